//! This sidecar among the members, with a log that is its own echo.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use members::{Entry, Kind, Known, Node, SHARDS};
use tokio::time::{sleep, sleep_until, timeout};

use super::{Rig, create};
use crate::{
    driver::{Driver, Part},
    store::Write,
};

/// Writes and reads, as the module `amqp` does, until it is dropped.
async fn echo(driver: &Driver) {
    let mut place = 0;
    loop {
        while let Some(entry) = driver.next_members_entry() {
            place += 1;
            driver.members_entry(place, &entry);
        }
        let due = driver.members_due();
        let passed = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passed => driver.members_timeout(),
            () = driver.members_to_write() => {}
        }
    }
}

async fn until_it_grants(driver: &Driver) {
    while driver.members_view().may_grant.len() < SHARDS {
        let due = driver.members_due().expect("it goes on");
        // Behind the timer, which is set for the same moment.
        sleep_until((due + Duration::from_millis(1)).into()).await;
    }
}

/// One that takes part.
fn begun() -> Rig {
    begun_with(Known::default())
}

/// The same, with these on its disk.
fn begun_with(known: Known) -> Rig {
    let rig = Rig::new();
    assert_eq!(rig.driver.members_view().part, Part::None);
    rig.driver.take_part("a", "here:1", known);
    assert_eq!(rig.driver.members_view().part, Part::Joining);
    rig.driver.begin_membership();
    rig.driver.set_members_problem(None);
    rig
}

#[tokio::test]
async fn who_leaves_has_granted_its_last_and_is_heard() {
    let rig = begun();
    let driver = &*rig.driver;
    let leaving = async {
        until_it_grants(driver).await;
        let view = driver.members_view();
        assert_eq!((view.part, view.members.len()), (Part::Member, 1));
        assert!(view.members[0].is_own && view.members[0].shards == 256);
        let asked = Instant::now();
        driver.leave().await;
        assert!(asked.elapsed() < Duration::from_millis(400), "it was heard");
    };
    tokio::select! {
        () = echo(driver) => {}
        left = timeout(Duration::from_secs(20), leaving) => left.expect("in time"),
    }
    let view = driver.members_view();
    assert_eq!((view.part, view.may_grant.len()), (Part::Left, 0));
    // For good, whatever the connection does.
    driver.begin_membership();
    assert_eq!(driver.members_view().part, Part::Left);
    rig.stop().await;
}

#[tokio::test]
async fn who_is_cut_off_leaves_without_a_wait() {
    for begin in [true, false] {
        let rig = begun();
        let problem = begin.then(|| "the broker is away".into());
        rig.driver.set_members_problem(problem);
        let asked = Instant::now();
        rig.driver.leave().await;
        let took = asked.elapsed();
        // Where it may be heard, nobody echoes it here.
        assert_eq!(took < Duration::from_millis(400), begin, "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn whom_it_knew_before_it_was_started_again_may_hold_something_still() {
    let rig = begun_with(Known {
        origin: 7,
        names: ["b", "c"].map(Into::into).into(),
    });
    let driver = &*rig.driver;
    tokio::select! {
        () = echo(driver) => {}
        part = timeout(Duration::from_secs(20), until_it_grants(driver)) => {
            part.expect("in time");
        }
    }
    assert_eq!(driver.members_view().gone, ["b", "c"].map(Into::into));
    let kept = |write: Write| match write {
        Write::Members(known) => Some(known),
        _ => None,
    };
    let written = rig.stop().await.into_iter().flatten();
    let last = written.filter_map(kept).last().expect("it is written");
    assert_eq!(last.names, ["b", "c"].map(Into::into).into());
    assert_ne!(last.origin, 7, "it is another list");
}

#[tokio::test]
async fn who_the_members_are_reaches_a_disk_that_failed() {
    let rig = begun();
    rig.fails.store(true, Ordering::SeqCst);
    let driver = &*rig.driver;
    let reached = async {
        until_it_grants(driver).await;
        // The disk is full, as others see as well.
        rig.change("a", create("a.test")).await.expect_err("full");
        rig.fails.store(false, Ordering::SeqCst);
        let written = |write: &Write| matches!(write, Write::Members(_));
        while !rig
            .disk
            .try_recv()
            .is_ok_and(|writes| writes.iter().any(written))
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = echo(driver) => {}
        reached = timeout(Duration::from_secs(20), reached) => reached.expect("in time"),
    }
    rig.stop().await;
}

#[tokio::test]
async fn another_one_of_its_name_puts_it_out() {
    let rig = begun();
    let driver = &*rig.driver;
    tokio::select! {
        () = echo(driver) => {}
        granted = timeout(Duration::from_secs(20), until_it_grants(driver)) => {
            granted.expect("in time");
        }
    }
    let twin = Entry {
        from: Node {
            name: "a".into(),
            life: 7,
        },
        kind: Kind::Join {
            address: "there:1".into(),
            known: Known::default(),
        },
    };
    driver.members_entry(1_000_000, &twin);
    let view = driver.members_view();
    assert_eq!((view.part, view.may_grant.len()), (Part::Joining, 0));
    assert_eq!(view.lease, Duration::ZERO);
    rig.stop().await;
}
