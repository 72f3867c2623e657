//! When an app is said to be idle.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::{
    AskId, DynoState, Operation, Outcome, WorkerId,
    testing::{Lab, put, set},
};

fn lab(dynos: &[&str]) -> Lab {
    let settings = Settings {
        idle_timeout: Some(Duration::from_secs(10)),
        wake: true,
        ..Settings::default()
    };
    let mut lab = Lab::new(settings, dynos);
    lab.outputs();
    lab
}

fn idle() -> Event {
    Event::Idle { app: "a".into() }
}

/// How often that was said.
fn said(lab: &mut Lab) -> usize {
    lab.events()
        .iter()
        .filter(|event| **event == idle())
        .count()
}

#[test]
fn an_app_without_requests_is_idle_once() {
    let mut lab = lab(&["web.1"]);
    lab.wait(9_999);
    assert_eq!(said(&mut lab), 0);
    lab.wait(1);
    assert_eq!(said(&mut lab), 1);
    assert_eq!(lab.mesh.needs().collect::<Vec<_>>(), [idle()]);
    lab.wait(60_000);
    assert_eq!(said(&mut lab), 0);
}

#[test]
fn a_request_ends_the_episode_and_the_next_begins_with_its_end() {
    let mut lab = lab(&["web.1"]);
    lab.wait(10_000);
    lab.outputs();
    let ask = lab.ask();
    assert_eq!(lab.mesh.needs().count(), 0);
    // However long it takes.
    for _ in 0..30 {
        lab.wait(999);
    }
    lab.checkin(ask, Outcome::Done);
    lab.wait(9_999);
    assert_eq!(said(&mut lab), 0);
    lab.wait(1);
    assert_eq!(said(&mut lab), 1);
}

#[test]
fn who_waits_keeps_an_app_from_being_idle() {
    let mut lab = lab(&[]);
    lab.change("a", vec![put("web.1"), set("web.1", DynoState::Starting)])
        .unwrap();
    let ask = lab.ask();
    lab.wait(30_000);
    assert_eq!(said(&mut lab), 0);
    lab.mesh.cancel(lab.session, ask, lab.now);
    lab.wait(9_999);
    assert_eq!(said(&mut lab), 0);
    // A boot that nobody waits for any more.
    lab.wait(1);
    assert_eq!(said(&mut lab), 1);
}

#[test]
fn an_app_that_sleeps_is_not_idle() {
    let mut lab = lab(&["web.1"]);
    lab.wait(10_000);
    lab.outputs();
    lab.change("a", vec![set("web.1", DynoState::Draining)])
        .unwrap();
    assert_eq!(lab.mesh.needs().count(), 0);
    assert_eq!(lab.mesh.poll_timeout(), None);
    // When it is started again, its time begins again.
    lab.wait(60_000);
    lab.change("a", vec![put("web.2")]).unwrap();
    lab.outputs();
    lab.wait(9_999);
    assert_eq!(said(&mut lab), 0);
    lab.wait(1);
    assert_eq!(said(&mut lab), 1);
}

#[test]
fn the_setting_may_come_and_go() {
    let mut lab = lab(&["web.1"]);
    let seconds = |n| {
        let idle_timeout = Some(Duration::from_secs(n)).filter(|span| !span.is_zero());
        let settings = Settings {
            idle_timeout,
            ..Settings::default()
        };
        vec![Operation::PutSettings(settings)]
    };
    lab.change("a", seconds(0)).unwrap();
    assert_eq!(lab.mesh.poll_timeout(), None);
    lab.wait(60_000);
    // It was idle for that long.
    lab.change("a", seconds(60)).unwrap();
    assert_eq!(said(&mut lab), 1);
    lab.change("a", seconds(61)).unwrap();
    assert_eq!(lab.mesh.needs().count(), 0);
    lab.wait(1_000);
    assert_eq!(said(&mut lab), 1);
    assert!(lab.change("a", vec![Operation::DeleteApp]).is_ok());
    assert_eq!(lab.mesh.poll_timeout(), None);
}

#[test]
fn nobody_is_idle_before_it_is_known_who_holds_what() {
    let mut lab = lab(&["web.1"]);
    lab.mesh.recover(
        [WorkerId(7), WorkerId(8)],
        lab.now + Duration::from_secs(15),
    );
    lab.wait(14_000);
    assert_eq!(said(&mut lab), 0);
    let held = [(AskId(3), "web.1-1".into())];
    let session = lab.mesh.hello(WorkerId(7), held, lab.now).unwrap();
    lab.wait(20_000);
    assert_eq!(said(&mut lab), 0);
    lab.mesh.checkin(session, AskId(3), Outcome::Done, lab.now);
    lab.wait(10_000);
    assert_eq!(said(&mut lab), 1);
}
