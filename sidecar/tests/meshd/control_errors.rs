//! Operators: every error.

use dynomesh_proto::v1::{Change, Dyno, DynoState, PutDyno, Settings, operation::Kind};
use tonic::Code;

use crate::{
    control::{Control, get},
    harness::{Meshd, app, change, create, dyno, put, state},
};

pub(crate) async fn refused(control: &mut Control, change: Change) -> (Code, String) {
    let status = control.apply(change).await.expect_err("refused");
    (status.code(), status.message().into())
}

#[tokio::test]
async fn every_error_says_what_it_is_and_changes_nothing() {
    let meshd = Meshd::start(&[
        "--max-apps",
        "2",
        "--max-dynos-per-app",
        "2",
        "--max-domains-per-app",
        "2",
    ])
    .await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    control.apply(app("blog", &[6001])).await.expect("applied");
    let before = (get(control, "shop").await, get(control, "blog").await);

    let dyno_at = |address: &str| {
        put(Dyno {
            address: address.into(),
            ..dyno("web.9", 1)
        })
    };
    let old = Change {
        base_version: 7,
        ..change("shop", [Kind::SetMaintenance(true)])
    };
    let cases = [
        (
            Code::InvalidArgument,
            "operations, not 0",
            change("shop", []),
        ),
        (
            Code::InvalidArgument,
            "operations[0].kind",
            Change {
                operations: vec![Default::default()],
                ..change("shop", [])
            },
        ),
        (
            Code::InvalidArgument,
            "operations[1].put_dyno.dyno: ",
            change(
                "shop",
                [
                    Kind::SetMaintenance(true),
                    Kind::PutDyno(PutDyno::default()),
                ],
            ),
        ),
        (
            Code::InvalidArgument,
            "operations[0].put_dyno.dyno.address",
            change("shop", [dyno_at("localhost:80")]),
        ),
        (
            Code::InvalidArgument,
            "operations[0].put_dyno.dyno.state",
            change(
                "shop",
                [put(Dyno {
                    state: 77,
                    ..dyno("web.9", 1)
                })],
            ),
        ),
        (
            Code::InvalidArgument,
            "operations[0].put_settings.policy",
            change(
                "shop",
                [Kind::PutSettings(Settings {
                    policy: -1,
                    ..Settings::default()
                })],
            ),
        ),
        (
            Code::InvalidArgument,
            "queue_depth",
            change(
                "shop",
                [Kind::PutSettings(Settings {
                    queue_depth: u32::MAX,
                    ..Settings::default()
                })],
            ),
        ),
        (
            Code::InvalidArgument,
            "tap_rate may be at most 1000",
            change(
                "shop",
                [Kind::PutSettings(Settings {
                    tap_rate: 1_001,
                    ..Settings::default()
                })],
            ),
        ),
        (
            Code::InvalidArgument,
            "dyno name",
            change("shop", [put(dyno("a b", 5009))]),
        ),
        (
            Code::InvalidArgument,
            "domain",
            change("shop", [Kind::AddDomain("a b".into())]),
        ),
        (
            Code::InvalidArgument,
            "app name",
            change("Shop!", [create(Settings::default())]),
        ),
        (
            Code::NotFound,
            "\"nope\"",
            change("nope", [Kind::SetMaintenance(true)]),
        ),
        (
            Code::NotFound,
            "\"web.7\"",
            change("shop", [Kind::RemoveDyno("web.7".into())]),
        ),
        (
            Code::NotFound,
            "\"web.7\"",
            change("shop", [state("web.7", DynoState::Down)]),
        ),
        (
            Code::NotFound,
            "\"a.test\"",
            change("shop", [Kind::RemoveDomain("a.test".into())]),
        ),
        (
            Code::AlreadyExists,
            "\"shop\"",
            change("shop", [create(Settings::default())]),
        ),
        (
            Code::AlreadyExists,
            "\"blog\"",
            change("shop", [Kind::AddDomain("blog.test".into())]),
        ),
        (
            Code::AlreadyExists,
            "\"blog\"",
            change("shop", [dyno_at("127.0.0.1:6001")]),
        ),
        (Code::Aborted, "7", old),
        (
            Code::ResourceExhausted,
            "2 apps",
            change("third", [create(Settings::default())]),
        ),
        (
            Code::ResourceExhausted,
            "2 dynos",
            change("shop", [put(dyno("web.2", 5002)), put(dyno("web.3", 5003))]),
        ),
        (
            Code::ResourceExhausted,
            "2 domains",
            change(
                "shop",
                ["a.test", "b.test"].map(|d| Kind::AddDomain(d.into())),
            ),
        ),
    ];
    for (code, word, change) in cases {
        let (found, message) = refused(control, change.clone()).await;
        assert_eq!(found, code, "{message}: {change:?}");
        assert!(message.contains(word), "{message} does not say {word}");
    }
    assert_eq!(
        (get(control, "shop").await, get(control, "blog").await),
        before
    );
}
