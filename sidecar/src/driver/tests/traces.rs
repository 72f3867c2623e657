//! What routers are told of traces, and what becomes of what they tell.

use super::*;
use crate::{convert, driver::TraceOrder};

/// Requests a second that a session was told it may trace, since it was asked last.
fn parts(session: &mut Session) -> Vec<u32> {
    let mut parts = Vec::new();
    loop {
        match session.poll_reply(&Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Reply::Tracing(order))) => {
                assert_eq!(order.sample, 7);
                parts.push(order.per_second);
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => return parts,
        }
    }
}

const ORDER: TraceOrder = TraceOrder {
    sample: 7,
    per_second: 100,
};

#[tokio::test]
async fn each_router_has_its_part() {
    let rig = Rig::new();
    let mut early = Session::open(&rig.driver, hello(9)).expect("open");
    assert_eq!(parts(&mut early), [0; 0], "nothing is traced");
    assert_eq!(rig.driver.trace_counts(), None);
    early.close();
    assert!(rig.driver.trace(ORDER).is_some());
    assert!(rig.driver.trace(ORDER).is_none(), "somebody has it");
    let open = |worker| Session::open(&rig.driver, hello(worker)).expect("open");
    let mut all = vec![open(1)];
    assert_eq!(parts(&mut all[0]), [100]);
    all.push(open(2));
    assert_eq!(
        (parts(&mut all[0]), parts(&mut all[1])),
        (vec![50], vec![50])
    );
    all.push(open(3));
    for session in &mut all {
        assert_eq!(parts(session), [25]);
    }
    // Who comes to have the same part is told alone.
    all.push(open(4));
    let told: Vec<_> = all.iter_mut().map(parts).collect();
    assert_eq!(told, [vec![], vec![], vec![], vec![25]]);
    all.pop().expect("a session").close();
    drop(all.pop());
    for session in &mut all {
        assert_eq!(parts(session), [50]);
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_there_is_no_room_for_is_counted() {
    use dynomesh_proto::v1::{TappedRequest, Traced, TracedRequest};
    let rig = Rig::new();
    let mut from = rig.driver.trace(ORDER).expect("nobody has it");
    let mut session = Session::open(&rig.driver, hello(1)).expect("open");
    let request = TracedRequest {
        request: Some(TappedRequest::default()),
        trace: vec![1; 16],
        span: vec![2; 8],
        dyno_span: vec![3; 8],
        ..TracedRequest::default()
    };
    for _ in 0..100 {
        session.traced(convert::traced(Traced {
            requests: vec![request.clone(); 64],
            limited: 1,
            lost: 2,
        }));
    }
    let told = std::iter::from_fn(|| from.try_recv().ok()).count() as u64;
    let counts = rig.driver.trace_counts().expect("it traces");
    assert_eq!(counts.requests, [told, 100, 200 + 6_400 - told]);
    assert!(told > 1_000 && told < 6_400, "{told}");
    rig.stop().await;
}
