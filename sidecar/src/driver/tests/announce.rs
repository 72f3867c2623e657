//! Which events are for this sidecar to publish.

use std::time::Duration;

use futures_util::FutureExt as _;
use mesh::{Change, Event, Operation, Settings};
use tokio::sync::oneshot;

use super::Rig;
use crate::driver::{
    Announcement, Changes, Entry, EntryKind, Position, Proposals, Report, Standing, Sync, Word,
};

fn position(offset: u64) -> Position {
    Position {
        log: 1,
        offset,
        mark: offset.into(),
    }
}

async fn follow(rig: &Rig, offset: u64, kind: EntryKind) {
    let position = position(offset);
    let entry = Entry { position, kind };
    let taken = rig.driver.changes().follow(entry).await;
    taken.expect("the writer is there");
}

/// A sidecar with an app that may be woken, at the offset 1.
async fn rig() -> (Rig, Proposals) {
    let (changes, inbox, proposals) = Changes::by_log(None, Vec::new());
    let rig = Rig::with(changes, inbox);
    let settings = Settings {
        wake: true,
        ..Settings::default()
    };
    let change = Change {
        app: "a".into(),
        base_version: None,
        operations: vec![Operation::CreateApp(settings)],
    };
    let kind = EntryKind::Change {
        id: 1,
        change,
        reply: None,
    };
    follow(&rig, 1, kind).await;
    (rig, proposals)
}

async fn need(rig: &Rig, offset: u64, seen: u64, own: bool) {
    let word = Word::Need {
        app: "a".into(),
        waiting: 1,
    };
    follow(rig, offset, EntryKind::Report(Report { seen, word }, own)).await;
    let (passed, marker) = oneshot::channel();
    follow(rig, offset + 1, EntryKind::Marker(passed)).await;
    marker.await.expect("passed");
}

fn in_sync(proposals: &Proposals) {
    proposals.set(Standing {
        sync: Sync::InSync,
        problem: "".into(),
    });
}

fn next(rig: &Rig) -> Option<Announcement> {
    rig.driver.next_announcement().now_or_never()
}

#[tokio::test]
async fn whoever_was_heard_publishes_and_nobody_else() {
    let (rig, proposals) = rig().await;
    // Said by an earlier process, as it seems: it may be a week old.
    need(&rig, 2, 1, true).await;
    assert!(next(&rig).is_none());
    in_sync(&proposals);
    need(&rig, 4, 2, true).await;
    let told = next(&rig).expect("an event");
    assert_eq!(told.position, position(4));
    assert!(matches!(told.event, Event::NeedDyno { .. }));
    // That of another one counts, and this one's comes too late.
    need(&rig, 6, 5, false).await;
    need(&rig, 8, 5, true).await;
    assert!(next(&rig).is_none());
    rig.stop().await;
}

#[tokio::test]
async fn what_does_not_hold_any_more_is_not_published_and_the_oldest_make_room() {
    let (rig, proposals) = rig().await;
    in_sync(&proposals);
    need(&rig, 2, 1, true).await;
    let remove = Change {
        app: "a".into(),
        base_version: None,
        operations: vec![Operation::DeleteApp],
    };
    let kind = EntryKind::Change {
        id: 2,
        change: remove,
        reply: None,
    };
    follow(&rig, 4, kind).await;
    let (passed, marker) = oneshot::channel();
    follow(&rig, 5, EntryKind::Marker(passed)).await;
    marker.await.expect("passed");
    assert!(next(&rig).is_none());
    let hint = |number: u32| {
        Event::Scale(mesh::ScaleHint {
            app: "a".into(),
            waiting: 1,
            oldest_wait: Duration::ZERO,
            in_flight: 0,
            dynos: 1,
            wanted: number,
        })
    };
    for number in 0..1_030 {
        rig.driver.announce(position(number.into()), hint(number));
    }
    assert_eq!(next(&rig).expect("an event").event, hint(6));
    rig.stop().await;
}
