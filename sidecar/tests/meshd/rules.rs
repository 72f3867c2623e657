//! Rules of apps: refused when they are wrong, told to routers, recalled.

use dynomesh_proto::v1::{
    AppRules, AskRules, Change, Recalled, Rules, operation::Kind as Op, router_message::Kind,
    sidecar_message,
};
use tonic::Code;

use crate::{
    control::get,
    control_errors::refused,
    harness::{Meshd, Worker, app, change},
};

fn rules(lines: &[&str]) -> Change {
    let lines = lines.iter().map(|line| (*line).into()).collect();
    change("shop", [Op::PutRules(Rules { lines })])
}

async fn known(worker: &mut Worker, name: &str) -> AppRules {
    worker.say(Kind::AskRules(AskRules { name: name.into() }));
    match worker.message().await {
        sidecar_message::Kind::Rules(rules) => rules,
        other => panic!("{other:?} are no rules"),
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_when_it_is_set() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let good = ["# pages", "when path ^= /old then redirect 301 /new"];
    control.apply(rules(&good)).await.expect("applied");
    let wrong = rules(&["always deny", "when path ~ ( then deny"]);
    let (code, message) = refused(control, wrong).await;
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("line 2, column 13: "), "{message}");
    let shop = get(control, "shop").await.and_then(|status| status.app);
    assert_eq!(shop.expect("the app").rules, good);
}

#[tokio::test]
async fn a_change_returns_when_routers_know() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(!worker.welcome.ruled);
    let mut second = meshd.control().await;
    let set = tokio::spawn(async move { second.apply(rules(&["always deny"])).await });
    let sidecar_message::Kind::Recall(recall) = worker.message().await else {
        panic!("it is no recall");
    };
    assert!(recall.ruled && recall.names == ["shop.test"], "{recall:?}");
    assert!(!set.is_finished());
    let known = known(&mut worker, "shop.test").await;
    assert_eq!(
        (&*known.app, &known.lines[..]),
        ("shop", &["always deny".into()][..])
    );
    let recall = recall.recall;
    worker.say(Kind::Recalled(Recalled { recall }));
    set.await.expect("no panic").expect("applied");
    // They are on disk.
    worker.close();
    let (dir, options) = meshd.kill();
    let meshd = Meshd::start_in(dir, options).await;
    let worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(worker.welcome.ruled);
}
