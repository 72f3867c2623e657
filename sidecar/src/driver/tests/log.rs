//! What a log says, with a disk that fails at will.

use std::sync::atomic::Ordering;

use mesh::{AppSpec, Change};
use tokio::sync::oneshot;

use super::{Rig, ask, create, hello, poll};
use crate::{
    driver::{Changes, Entry, EntryKind, Outcome, Position, Seen, Session},
    store::Write,
};

/// An entry of a log that creates an app, or nothing.
fn entry(offset: u64, app: Option<&str>) -> (Entry, oneshot::Receiver<Outcome>) {
    let (reply, outcome) = oneshot::channel();
    let kind = match app {
        Some(app) => EntryKind::Change {
            id: offset.into(),
            change: Change {
                app: app.into(),
                base_version: None,
                operations: create(&format!("{app}.test")),
            },
            reply: Some(reply),
        },
        None => EntryKind::Other,
    };
    let position = position(offset);
    (Entry { position, kind }, outcome)
}

fn position(offset: u64) -> Position {
    Position {
        log: 1,
        offset,
        mark: offset.into(),
    }
}

#[tokio::test]
async fn what_a_log_says_stays_though_the_disk_fails() {
    let (changes, inbox, _proposals) = Changes::by_log(None, Vec::new());
    let rig = Rig::with(changes, inbox);
    let follow = async |entry| {
        let taken = rig.driver.changes().follow(entry).await;
        taken.expect("the writer is there");
    };
    rig.fails.store(true, Ordering::SeqCst);
    let (change, outcome) = entry(1, Some("a"));
    follow(change).await;
    let made = outcome.await.expect("an answer");
    assert_eq!(made.map(|made| made.version), Ok(1), "the log has it");
    assert!(rig.driver.view("a").is_some());
    rig.fails.store(false, Ordering::SeqCst);
    let (change, outcome) = entry(2, Some("b"));
    follow(change).await;
    let made = outcome.await.expect("an answer");
    assert!(made.is_ok());
    // The disk got both, and their place, at once.
    let writes = rig.disk.recv().expect("a transaction");
    let apps = writes.iter().filter(|write| matches!(write, Write::App(_)));
    assert_eq!(apps.count(), 2, "{writes:?}");
    let place = writes.iter().rfind(|write| matches!(write, Write::Log(_)));
    assert_eq!(place, Some(&Write::Log(Some(position(2)))), "{writes:?}");
    // The same again is not made again.
    let (mut again, outcome) = entry(3, Some("a"));
    if let EntryKind::Change { id, .. } = &mut again.kind {
        *id = 1;
    }
    follow(again).await;
    outcome.await.expect_err("no answer");
    let (passed, marker) = oneshot::channel();
    let marked = Entry {
        position: position(4),
        kind: EntryKind::Marker(passed),
    };
    follow(marked).await;
    marker.await.expect("passed");
    let log = rig.driver.changes().log().expect("a log");
    assert_eq!((log.applied, log.duplicates), (2, 1));
    assert_eq!(log.position, Some(position(4)));
    rig.stop().await;
}

#[tokio::test]
async fn a_table_takes_the_place_of_another_one() {
    let (changes, inbox, _proposals) = Changes::by_log(None, Vec::new());
    let rig = Rig::with(changes, inbox);
    let changes = rig.driver.changes();
    for (offset, app) in [(1, "a"), (2, "b")] {
        changes
            .follow(entry(offset, Some(app)).0)
            .await
            .expect("taken");
    }
    let spec = |name: &str, version| AppSpec {
        name: name.into(),
        version,
        domains: vec!["a.test".into()],
        ..AppSpec::default()
    };
    let seen = Seen {
        ring: vec![7],
        next: 1,
    };
    let kind = EntryKind::Replace {
        apps: vec![spec("c", 9)],
        seen,
    };
    let replaced = Entry {
        position: position(5),
        kind,
    };
    changes.follow(replaced).await.expect("taken");
    let (passed, marker) = oneshot::channel();
    let marked = Entry {
        position: position(6),
        kind: EntryKind::Marker(passed),
    };
    changes.follow(marked).await.expect("taken");
    marker.await.expect("passed");
    assert!(rig.driver.view("a").is_none() && rig.driver.view("b").is_none());
    let view = rig.driver.view("c").expect("an app");
    assert_eq!(view.spec, spec("c", 9));
    let mut session = Session::open(&rig.driver, hello(1)).expect("opened");
    assert!(ask(&mut session, 1, "a.test"));
    let answer = poll(&mut session).expect("an answer");
    assert_eq!(answer.app.as_deref(), Some("c"), "it has its domain");
    rig.stop().await;
}
