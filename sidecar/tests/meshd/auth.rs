//! Who may use apps: refused when it is wrong, told to routers without its secrets,
//! recalled, and what comes of credentials.

use dynomesh_proto::v1::{
    AppRules, AskRules, Auth, AuthVerdict, Authenticate, Authenticated, Change, Recalled,
    operation::Kind as Op, router_message::Kind, sidecar_message,
};
use tonic::Code;

use crate::{
    control::get,
    control_errors::refused,
    harness::{Meshd, Worker, app, change},
};

/// Of "secret".
const USER: &str = "user ann $2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";

fn auth(lines: &[&str]) -> Change {
    let lines = lines.iter().map(|line| (*line).into()).collect();
    change("shop", [Op::PutAuth(Auth { lines })])
}

async fn known(worker: &mut Worker, name: &str) -> AppRules {
    worker.say(Kind::AskRules(AskRules { name: name.into() }));
    match worker.message().await {
        sidecar_message::Kind::Rules(rules) => rules,
        other => panic!("{other:?} are no rules"),
    }
}

fn asked(number: u64, credential: &[u8]) -> Kind {
    Kind::Authenticate(Authenticate {
        number,
        app: "shop".into(),
        credential: credential.into(),
        ..Default::default()
    })
}

async fn verdict(worker: &mut Worker, number: u64, credential: &[u8]) -> Authenticated {
    worker.say(asked(number, credential));
    match worker.message().await {
        sidecar_message::Kind::Authenticated(answer) => answer,
        other => panic!("{other:?} is no verdict"),
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_when_it_is_set() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let good = ["# us", "basic", USER];
    control.apply(auth(&good)).await.expect("applied");
    let (code, message) = refused(control, auth(&["basic", "user ann secret"])).await;
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("line 2, column 10: "), "{message}");
    let shop = get(control, "shop").await.and_then(|status| status.app);
    assert_eq!(shop.expect("the app").auth, good);
}

#[tokio::test]
async fn routers_are_told_and_ask() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(!worker.welcome.ruled);
    let open = verdict(&mut worker, 1, b"").await;
    assert_eq!(
        (open.verdict(), &open.mark[..]),
        (AuthVerdict::Pass, &[][..])
    );
    let mut second = meshd.control().await;
    let lines = ["basic", USER, "claim sub to X-User"];
    let set = tokio::spawn(async move { second.apply(auth(&lines)).await });
    let sidecar_message::Kind::Recall(recall) = worker.message().await else {
        panic!("it is no recall");
    };
    let names = ["shop.test", "@shop"];
    assert!(recall.ruled && recall.names == names, "{recall:?}");
    assert!(!set.is_finished());
    let by_name = known(&mut worker, "shop.test")
        .await
        .auth
        .expect("something");
    assert_eq!(by_name.lines, ["basic", "claim sub to X-User"]);
    let by_app = known(&mut worker, "@shop").await;
    assert_eq!(
        (&*by_app.app, by_app.auth.as_ref()),
        ("shop", Some(&by_name))
    );
    let recall = recall.recall;
    worker.say(Kind::Recalled(Recalled { recall }));
    set.await.expect("no panic").expect("applied");
    let right = verdict(&mut worker, 2, b"Basic YW5uOnNlY3JldA==").await;
    assert_eq!((right.number, right.verdict()), (2, AuthVerdict::Pass));
    assert!(
        right.mark == by_name.mark && right.valid_ms > 0,
        "{right:?}"
    );
    assert_eq!((&*right.headers[0].value, &*right.user), ("ann", "ann"));
    let wrong = verdict(&mut worker, 3, b"Basic YW5uOndyb25n").await;
    assert_eq!(wrong.verdict(), AuthVerdict::Wrong);
    assert!(wrong.headers.is_empty() && wrong.valid_ms == 0, "{wrong:?}");
    // It is on disk.
    worker.close();
    let (dir, options) = meshd.kill();
    let meshd = Meshd::start_in(dir, options).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(worker.welcome.ruled);
    let again = known(&mut worker, "shop.test").await.auth;
    assert_eq!(again, Some(by_name));
}

#[tokio::test]
async fn what_is_no_question_ends_the_session() {
    let meshd = Meshd::start(&[]).await;
    let long = vec![b'x'; 8_193];
    let client = Kind::Authenticate(Authenticate {
        number: 1,
        client: vec![1; 5],
        ..Default::default()
    });
    for (n, kind) in [asked(0, b""), asked(1, &long), client]
        .into_iter()
        .enumerate()
    {
        let mut worker = Worker::hello(&meshd.path("router.sock"), n as u64 + 1).await;
        worker.say(kind);
        let status = worker.end().await.expect("a reason");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains("authenticate."), "{status}");
    }
}
