//! What a session's end does to what it held.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::{Ask, Hello, Refusal, RouterMessage, router_message::Kind};
use prost::Message as _;
use tonic::Code;

use crate::harness::{Meshd, Worker, app, eventually};

/// Long enough that no test ever sees its end.
const LONG: [&str; 2] = ["--session-grace-ms", "60000"];

async fn shop(more: &[&str]) -> Meshd {
    let meshd = Meshd::start(more).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001]))
        .await
        .expect("applied");
    meshd
}

async fn sessions(meshd: &Meshd, wanted: u32) {
    eventually("so many sessions", async || {
        (meshd.status().await?.sessions == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_router_that_closes_releases_at_once() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;
    assert!(first.route(1, "shop.test").await.is_ok());
    second.ask(1, "shop.test");
    second.waits(2).await;
    first.close();
    assert!(first.end().await.is_none(), "a proper end");
    assert!(second.reply(1).await.is_ok(), "although the grace is long");
    sessions(&meshd, 1).await;
}

#[tokio::test]
async fn a_session_that_breaks_keeps_its_leases_for_the_grace() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;
    assert!(first.route(1, "shop.test").await.is_ok());
    first.break_off();
    second.ask(1, "shop.test");
    second.waits(2).await;
    tokio::time::sleep(Worker::MOMENT).await;
    second.waits(3).await;
    let status = meshd.status().await.expect("status");
    assert_eq!((status.leases, status.waiting, status.sessions), (1, 1, 2));

    // The same worker comes back and has finished meanwhile.
    let _first = Worker::hello(&socket, 1).await;
    assert!(second.reply(1).await.is_ok());
    sessions(&meshd, 2).await;
}

/// As a router does that gives up the call and keeps the connection. tonic would
/// take this for the proper end.
#[tokio::test]
async fn a_stream_that_is_reset_is_a_broken_one() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let stream = tokio::net::UnixStream::connect(&socket).await;
    let (mut client, connection) = h2::client::handshake(stream.expect("connected"))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::post("http://localhost/mesh.v1.Router/Session")
        .header("content-type", "application/grpc");
    let request = request.body(()).expect("a request");
    let (_response, mut messages) = client.send_request(request, false).expect("sent");
    let hello = Hello {
        protocol: 1,
        worker: 1,
        ..Hello::default()
    };
    let ask = Ask {
        ask: 1,
        name: "shop.test".into(),
        ..Ask::default()
    };
    for kind in [Kind::Hello(hello), Kind::Ask(ask)] {
        messages
            .send_data(framed(kind).into(), false)
            .expect("sent");
    }
    eventually("a lease", async || {
        (meshd.status().await?.leases == 1).then_some(())
    })
    .await;
    messages.send_reset(h2::Reason::CANCEL);

    let mut other = Worker::hello(&socket, 2).await;
    other.ask(1, "shop.test");
    other.waits(2).await;
    tokio::time::sleep(Worker::MOMENT).await;
    other.waits(3).await;
    let status = meshd.status().await.expect("status");
    assert_eq!(
        (status.leases, status.sessions),
        (1, 2),
        "kept for the grace"
    );
}

/// A message as gRPC frames it.
fn framed(kind: Kind) -> Vec<u8> {
    let message = RouterMessage { kind: Some(kind) }.encode_to_vec();
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[0], &length[..], &message].concat()
}

/// A router that is stopped or blocked, for a while or for good.
#[test]
fn a_silent_router_keeps_its_leases_until_a_ping_is_not_answered() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    let (own, frozen) = (runtime().expect("a runtime"), runtime().expect("a runtime"));
    let more = [
        "--ping-every-ms",
        "200",
        "--ping-within-ms",
        "800",
        "--session-grace-ms",
        "50",
    ];
    let meshd = own.block_on(shop(&more));
    let socket = meshd.path("router.sock");
    // Nothing on its runtime moves while nobody runs it.
    let mut silent = frozen.block_on(Worker::hello(&socket, 1));
    assert!(frozen.block_on(silent.route(1, "shop.test")).is_ok());
    let began = Instant::now();
    own.block_on(async {
        let mut other = Worker::hello(&socket, 2).await;
        other.ask(1, "shop.test");
        assert!(other.reply(1).await.is_ok());
    });
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(800),
        "it was only slow: {took:?}"
    );
    drop(silent);
}

#[tokio::test]
async fn when_the_grace_is_over_its_leases_are_free() {
    let meshd = shop(&["--session-grace-ms", "50"]).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;
    assert!(first.route(1, "shop.test").await.is_ok());
    second.ask(1, "shop.test");
    second.waits(2).await;
    first.break_off();
    assert!(second.reply(1).await.is_ok());
    sessions(&meshd, 1).await;
}

#[tokio::test]
async fn a_worker_that_comes_back_says_what_it_holds() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let held = first.route(7, "shop.test").await.expect("a dyno");
    first.break_off();
    let mut first = Worker::hello_with(&socket, 1, &[(7, &held)]).await;
    first.ask(8, "shop.test");
    first.waits(9).await;
    first.done(7);
    assert!(first.reply(8).await.is_ok());
    sessions(&meshd, 1).await;
}

#[tokio::test]
async fn whoever_waited_in_a_broken_session_leaves_the_queue() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;
    assert!(first.route(1, "shop.test").await.is_ok());
    second.ask(1, "shop.test");
    second.waits(2).await;
    second.break_off();
    eventually("nobody waits", async || {
        (meshd.status().await?.waiting == 0).then_some(())
    })
    .await;
    first.done(1);
    assert!(first.route(2, "shop.test").await.is_ok());
}

#[tokio::test]
async fn a_second_session_of_a_worker_ends_the_first() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let mut old = Worker::hello(&socket, 1).await;
    let held = old.route(1, "shop.test").await.expect("a dyno");
    let mut new = Worker::hello_with(&socket, 1, &[(1, &held)]).await;
    let status = old.end().await.expect("a status");
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("another session"), "{status}");
    assert_eq!(meshd.status().await.expect("status").leases, 1);
    new.done(1);
    assert!(new.route(2, "shop.test").await.is_ok());
    sessions(&meshd, 1).await;
}

#[tokio::test]
async fn a_hello_that_comes_late_does_not_end_a_later_link() {
    let meshd = shop(&LONG).await;
    let socket = meshd.path("router.sock");
    let hello = |link| {
        Kind::Hello(Hello {
            protocol: 1,
            worker: 1,
            link,
            ..Hello::default()
        })
    };
    let mut second = Worker::open(&socket, hello(2)).await.expect("welcome");
    let refused = Worker::open(&socket, hello(1))
        .await
        .err()
        .expect("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("link"), "{refused}");
    assert!(second.route(1, "shop.test").await.is_ok());
    second.break_off();
    // Also while it is only remembered.
    Worker::open(&socket, hello(1))
        .await
        .err()
        .expect("refused");
    Worker::open(&socket, hello(3)).await.expect("welcome");
}

#[tokio::test]
async fn one_session_too_many_is_turned_away() {
    let meshd = shop(&["--max-sessions", "1"]).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let hello = Kind::Hello(Hello {
        protocol: 1,
        worker: 2,
        ..Hello::default()
    });
    let refused = Worker::open(&socket, hello).await.err().expect("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(
        first.route(1, "nobody.test").await,
        Err(Refusal::UnknownName)
    );
}
