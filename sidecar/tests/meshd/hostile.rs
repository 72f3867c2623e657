//! Messages that are too large, or none at all.

use dynomesh_proto::{
    MAX_MESSAGE, PROTOCOL,
    v1::{
        Ask, Cancel, Checkin, Held, Hello, RouterMessage, Settings, operation::Kind as Operation,
        router_message::Kind,
    },
};
use proptest::{prelude::*, test_runner::TestRunner};
use prost::{
    Message as _,
    bytes::{Buf as _, BufMut as _},
};
use tokio::runtime::Runtime;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

use crate::{
    control::get,
    harness::{Meshd, app, change, channel, create, eventually, within},
};

/// Bytes in place of messages.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; from.remaining()];
        from.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// Calls a method with these messages. How many come back, unless it fails.
async fn call(channel: &Channel, method: &str, messages: Vec<Vec<u8>>) -> Result<usize, Status> {
    let mut grpc = Grpc::new(channel.clone());
    within("the channel is ready", grpc.ready())
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::try_from(format!("/mesh.v1.{method}")).expect("a path");
    let messages = Request::new(tokio_stream::iter(messages));
    within("the call ends", async {
        let mut replies = grpc.streaming(messages, path, Raw).await?.into_inner();
        let mut count = 0;
        while replies.message().await?.is_some() {
            count += 1;
        }
        Ok(count)
    })
    .await
}

/// One domain too long for any message.
fn oversized(app: &str) -> dynomesh_proto::v1::Change {
    let domain = "a".repeat(MAX_MESSAGE + 1);
    change(
        app,
        [
            Operation::SetMaintenance(true),
            Operation::AddDomain(domain),
        ],
    )
}

fn is_about_size(status: &Status) {
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("too large"), "{status}");
    assert!(
        status.message().contains(&MAX_MESSAGE.to_string()),
        "{status}"
    );
}

#[tokio::test]
async fn a_change_that_is_too_large_changes_nothing() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let before = get(control, "shop").await;

    is_about_size(&control.apply(oversized("shop")).await.expect_err("refused"));
    assert_eq!(get(control, "shop").await, before);

    // What came before it in a stream is done, what comes behind is not.
    let settings = Settings::default;
    let many = [
        change("first", [create(settings())]),
        oversized("shop"),
        change("last", [create(settings())]),
    ];
    let replies = control.apply_many(tokio_stream::iter(many)).await;
    let mut replies = replies.expect("it begins").into_inner();
    let first = replies.message().await.expect("applied").expect("a reply");
    assert_eq!((&*first.app, first.error), ("first", None));
    is_about_size(&replies.message().await.expect_err("refused"));
    assert_eq!(get(control, "shop").await, before);
    assert!(get(control, "first").await.is_some());
    assert_eq!(get(control, "last").await, None);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let before = get(control, "shop").await;
    let (operators, _) = channel(&meshd.path("control.sock"))
        .await
        .expect("connected");
    let (routers, _) = channel(&meshd.path("router.sock"))
        .await
        .expect("connected");
    // No such field type; a string that is no UTF-8; a length beyond the end.
    for bytes in [&b"\x0f"[..], b"\x0a\x02\xff\xff", b"\x0a\x7f"] {
        for (channel, method) in [
            (&operators, "Control/Apply"),
            (&operators, "Control/ApplyMany"),
            (&operators, "Control/GetApp"),
            (&operators, "Control/Watch"),
            (&routers, "Router/Session"),
        ] {
            let status = call(channel, method, vec![bytes.to_vec()]).await;
            let status = status.expect_err(method);
            assert_eq!(status.code(), Code::Internal, "{method}: {status}");
            assert!(status.message().contains("decode"), "{method}: {status}");
        }
    }
    assert_eq!(get(control, "shop").await, before);
    let status = meshd.status().await.expect("it lives on");
    assert_eq!((status.sessions, status.leases), (0, 0));
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        protocol: PROTOCOL,
        node: "test".into(),
        worker: 1,
        ..Hello::default()
    };
    encoded(Kind::Hello(hello))
}

fn encoded(kind: Kind) -> Vec<u8> {
    RouterMessage { kind: Some(kind) }.encode_to_vec()
}

/// What a router may say, with anything in it.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![0..4_u64, any::<u64>()];
    let name = prop_oneof![Just("shop.test".to_owned()), any::<String>()];
    let tried = prop::collection::vec(
        prop_oneof![Just("web.1-5001".to_owned()), any::<String>()],
        0..4,
    );
    let times = any::<(u32, u32, bool, bool)>();
    let ask = (number(), name, tried, times).prop_map(|(ask, name, tried, times)| {
        let (waited_ms, served_ms, held, passes_on) = times;
        // Nobody passes on what was chosen for one request.
        let prefer = if passes_on { 0 } else { ask };
        Kind::Ask(Ask {
            ask,
            name,
            waited_ms,
            tried,
            served_ms,
            held,
            passes_on,
            prefer_dyno: prefer,
            prefer_hash: prefer,
            client: ask,
        })
    });
    let held = (number(), any::<String>()).prop_map(|(ask, instance)| Held { ask, instance });
    let hello = (0..3_u32, number(), prop::collection::vec(held, 0..3)).prop_map(
        |(protocol, worker, held)| {
            Kind::Hello(Hello {
                protocol,
                worker,
                held,
                ..Hello::default()
            })
        },
    );
    let checkin = (number(), any::<i32>(), any::<u32>(), number());
    let checkin = checkin.prop_map(|(ask, outcome, before, next)| {
        Kind::Checkin(Checkin {
            ask,
            outcome,
            before,
            next,
        })
    });
    let cancel = number().prop_map(|ask| Kind::Cancel(Cancel { ask }));
    let kind = prop_oneof![8 => ask, 4 => checkin, 4 => cancel, 1 => hello];
    let flips = prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..2);
    let nearly = (kind, flips).prop_map(|(kind, flips)| {
        let mut bytes = encoded(kind);
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        bytes
    });
    prop_oneof![9 => nearly, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

#[test]
fn whatever_routers_say_nobody_else_suffers() {
    let runtime = Runtime::new().expect("a runtime");
    let meshd = runtime.block_on(Meshd::start(&[]));
    let (routers, _) = runtime.block_on(async {
        let control = &mut meshd.control().await;
        control
            .apply(app("shop", &[5001, 5002]))
            .await
            .expect("applied");
        channel(&meshd.path("router.sock"))
            .await
            .expect("connected")
    });
    let sessions = (any::<bool>(), prop::collection::vec(message(), 0..12));
    let config = ProptestConfig::with_cases(1_500);
    let result = TestRunner::new(config).run(&sessions, |(greets, mut messages)| {
        if greets {
            messages.insert(0, hello());
        }
        if let Err(status) = runtime.block_on(call(&routers, "Router/Session", messages)) {
            let known = [
                Code::InvalidArgument,
                Code::FailedPrecondition,
                Code::Internal,
            ];
            prop_assert!(known.contains(&status.code()), "{}", status);
            prop_assert!(!status.message().is_empty());
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        eventually("nobody holds anything", async || {
            let status = meshd.status().await?;
            (status.sessions == 0 && status.leases == 0 && status.waiting == 0).then_some(())
        })
        .await;
    });
    assert!(!meshd.log().contains("panicked"), "{}", meshd.log());
}
