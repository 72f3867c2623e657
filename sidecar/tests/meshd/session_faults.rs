//! Routers that don't keep to the protocol.

use dynomesh_proto::v1::{
    Ask, Held, Hello, RouterMessage, router_client::RouterClient, router_message::Kind,
};
use tonic::{Code, Status};

use crate::harness::{Meshd, Worker, app, channel, within};

async fn refused(meshd: &Meshd, first: Kind) -> Status {
    Worker::open(&meshd.path("router.sock"), first)
        .await
        .err()
        .expect("refused")
}

#[tokio::test]
async fn the_first_message_is_hello_in_our_protocol() {
    let meshd = Meshd::start(&[]).await;
    let status = refused(
        &meshd,
        Kind::Ask(Ask {
            ask: 1,
            ..Ask::default()
        }),
    )
    .await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("hello"), "{status}");
    for protocol in [0, 2, u32::MAX] {
        let status = refused(
            &meshd,
            Kind::Hello(Hello {
                protocol,
                ..Hello::default()
            }),
        )
        .await;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(&protocol.to_string()), "{status}");
    }
    let held = vec![Held {
        ask: 0,
        instance: "i".into(),
    }];
    let status = refused(
        &meshd,
        Kind::Hello(Hello {
            protocol: 1,
            held,
            ..Hello::default()
        }),
    )
    .await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(meshd.status().await.expect("status").sessions, 0);
}

#[tokio::test]
async fn a_stream_without_a_word_is_refused() {
    let meshd = Meshd::start(&[]).await;
    let (channel, _) = channel(&meshd.path("router.sock"))
        .await
        .expect("a connection");
    let nothing = tokio_stream::iter(Vec::<RouterMessage>::new());
    let status = within("an end", RouterClient::new(channel).session(nothing)).await;
    assert_eq!(status.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_router_at_fault_loses_its_session_and_nobody_else_does() {
    let meshd = Meshd::start(&[]).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001, 5002]))
        .await
        .expect("applied");
    let socket = meshd.path("router.sock");
    let mut other = Worker::hello(&socket, 1_000).await;

    let ask = |ask: u64, name: String| {
        Kind::Ask(Ask {
            ask,
            name,
            ..Ask::default()
        })
    };
    let long = "a".repeat(65_537);
    let faults = [
        ("ask.ask is 0", vec![ask(0, "shop.test".into())]),
        (
            "asked already",
            vec![ask(7, "shop.test".into()), ask(7, "shop.test".into())],
        ),
        ("longer", vec![ask(1, long)]),
        (
            "hello",
            vec![Kind::Hello(Hello {
                protocol: 1,
                worker: 9,
                ..Hello::default()
            })],
        ),
    ];
    for (worker, (word, messages)) in faults.into_iter().enumerate() {
        let mut worker = Worker::hello(&socket, worker as u64).await;
        messages.into_iter().for_each(|message| worker.say(message));
        let status = worker.end().await.expect("a status");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(word), "{status}");
    }
    assert!(other.route(1, "shop.test").await.is_ok());
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_just_unknown() {
    // A client chooses it, so it must not end its router's session.
    let meshd = Meshd::start(&[]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    for (ask, name) in ["", "a b", "ä.test", "\0", &"a.".repeat(4_000)]
        .into_iter()
        .enumerate()
    {
        let reply = worker.route(ask as u64 + 1, name).await;
        assert_eq!(
            reply,
            Err(dynomesh_proto::v1::Refusal::UnknownName),
            "{name}"
        );
    }
}

#[tokio::test]
async fn each_socket_serves_its_own_service_only() {
    let meshd = Meshd::start(&[]).await;
    let control = crate::harness::control(&meshd.path("router.sock")).await;
    let status = control
        .expect("a connection")
        .get_status(dynomesh_proto::v1::GetStatusRequest {})
        .await;
    assert_eq!(status.expect_err("refused").code(), Code::Unimplemented);
    let hello = Kind::Hello(Hello {
        protocol: 1,
        ..Hello::default()
    });
    let status = Worker::open(&meshd.path("control.sock"), hello)
        .await
        .err()
        .expect("refused");
    assert_eq!(status.code(), Code::Unimplemented);
}
