//! This sidecar among the members, with a log that is its own echo.

use std::time::{Duration, Instant};

use members::{Entry, Kind, Node, SHARDS};
use tokio::time::{sleep_until, timeout};

use super::Rig;
use crate::driver::{Driver, Part};

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
    let rig = Rig::new();
    assert_eq!(rig.driver.members_view().part, Part::None);
    rig.driver.take_part("a", "here:1");
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
        },
    };
    driver.members_entry(1_000_000, &twin);
    let view = driver.members_view();
    assert_eq!((view.part, view.may_grant.len()), (Part::Joining, 0));
    assert_eq!(view.lease, Duration::ZERO);
    rig.stop().await;
}
