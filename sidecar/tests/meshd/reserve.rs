//! Leases ahead, and changes that want them back.

use std::{future::Future, pin::pin};

use dynomesh_proto::v1::{
    Policy, Recalled, Settings, Taken, operation::Kind as Op, router_message::Kind, sidecar_message,
};
use futures_util::future::{Either, select};
use tonic::Code;

use crate::harness::{Meshd, Worker, change, create, dyno, eventually, put};

/// An app without limits, at `open.test`.
async fn open(meshd: &Meshd, ports: &[u16]) {
    let settings = Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    };
    let mut kinds = vec![create(settings), Op::AddDomain("open.test".into())];
    for (n, port) in ports.iter().enumerate() {
        kinds.push(put(dyno(&format!("web.{}", n + 1), *port)));
    }
    let mut control = meshd.control().await;
    control.apply(change("open", kinds)).await.expect("applied");
}

/// What the worker is told first, while the change goes on.
async fn before<T: std::fmt::Debug>(
    worker: &mut Worker,
    change: &mut (impl Future<Output = T> + Unpin),
) -> sidecar_message::Kind {
    let told = pin!(worker.message());
    match select(told, change).await {
        Either::Left((told, _)) => told,
        Either::Right((result, _)) => panic!("it is in effect already: {result:?}"),
    }
}

#[tokio::test]
async fn they_are_leases_like_others_when_they_are_in_use() {
    let meshd = Meshd::start(&[]).await;
    open(&meshd, &[5001, 5002]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let mut instances = worker.reserve(10, 4, "open.test").await;
    instances.sort();
    assert_eq!(
        instances,
        ["web.1-5001", "web.1-5001", "web.2-5002", "web.2-5002"]
    );
    let leases = async || meshd.status().await.expect("status").leases;
    assert_eq!(leases().await, 0);
    worker.say(Kind::Taken(Taken {
        asks: vec![10, 11, 99],
    }));
    eventually("they are in use", async || {
        (leases().await == 2).then_some(())
    })
    .await;
    for ask in 10..14 {
        worker.done(ask);
    }
    worker.waits(100).await;
    let status = meshd.status().await.expect("status");
    assert_eq!(status.leases, 0);
    assert_eq!(status.counters.expect("counters").routed, 4);
    assert_eq!(worker.reserve(20, 4, "nobody.test").await.len(), 0);
}

#[tokio::test]
async fn a_change_returns_when_they_are_back() {
    let meshd = Meshd::start(&[]).await;
    open(&meshd, &[5001, 5002]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    worker.reserve(10, 2, "open.test").await;
    let mut control = meshd.control().await;
    let removed = control.apply(change("open", [Op::RemoveDyno("web.1".into())]));
    let mut removed = pin!(removed);
    let sidecar_message::Kind::Recall(recall) = before(&mut worker, &mut removed).await else {
        panic!("it is no recall");
    };
    assert_eq!(recall.apps, ["open"]);
    // Somebody else's change does not wait, and nobody gets the dyno any more.
    let other = meshd
        .control()
        .await
        .apply(change("b", [create(Settings::default())]))
        .await;
    other.expect("applied");
    let now = worker.reserve(20, 2, "open.test");
    let Either::Left((instances, _)) = select(pin!(now), &mut removed).await else {
        panic!("it is in effect already");
    };
    assert_eq!(instances, ["web.2-5002", "web.2-5002"]);
    worker.cancel(10);
    worker.cancel(11);
    worker.say(Kind::Recalled(Recalled {
        recall: recall.recall,
    }));
    removed.await.expect("applied");
}

#[tokio::test]
async fn a_change_does_not_wait_for_a_worker_that_is_gone() {
    let meshd = Meshd::start(&[]).await;
    open(&meshd, &[5001]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    worker.reserve(10, 2, "open.test").await;
    let mut control = meshd.control().await;
    let mut removed = pin!(control.apply(change("open", [Op::RemoveDyno("web.1".into())])));
    before(&mut worker, &mut removed).await;
    worker.break_off();
    removed.await.expect("applied");
}

#[tokio::test]
async fn numbers_in_use_are_not_reserved() {
    let meshd = Meshd::start(&[]).await;
    open(&meshd, &[5001]).await;
    for first in [0, 9] {
        let mut worker = Worker::hello(&meshd.path("router.sock"), first + 1).await;
        worker.route(10, "open.test").await.expect("a dyno");
        worker.say(Kind::Reserve(dynomesh_proto::v1::Reserve {
            first,
            count: 5,
            name: "open.test".into(),
        }));
        let status = worker.end().await.expect("an error");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}
