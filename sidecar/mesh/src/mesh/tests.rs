//! Sessions, leases, quarantine, recovery.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    Ask, DynoState, Operation, Refusal, Settings,
    testing::{Lab, put, set},
};

fn lab(dynos: &[&str]) -> Lab {
    Lab::new(Settings::default(), dynos)
}

fn hello(lab: &mut Lab, worker: u64, held: &[(u64, &str)]) -> SessionKey {
    let held: Vec<_> = held
        .iter()
        .map(|(ask, i)| (AskId(*ask), (*i).into()))
        .collect();
    let key = lab.mesh.hello(WorkerId(worker), held, lab.now).unwrap();
    lab.mesh.check_invariants().unwrap();
    key
}

/// A lease that is released as the session closes must not go to the session
/// itself.
#[test]
fn a_session_that_closes_takes_its_waiters_along() {
    for dynos in 1..6 {
        let names: Vec<_> = (0..dynos).map(|i| format!("web.{i}")).collect();
        let mut lab = lab(&names.iter().map(|n| &**n).collect::<Vec<_>>());
        for _ in 0..dynos * 2 {
            lab.ask();
        }
        lab.outputs();
        lab.mesh.close_session(lab.session, lab.now);
        lab.mesh.check_invariants().unwrap();
        assert_eq!(lab.outputs(), []);
        let totals = lab.mesh.totals();
        assert_eq!((totals.leases, totals.waiting, totals.sessions), (0, 0, 0));
    }
}

#[test]
fn what_a_closed_session_held_goes_to_others() {
    let mut lab = lab(&["web.1"]);
    let first = lab.session;
    lab.ask();
    lab.session = hello(&mut lab, 2, &[]);
    let waiting = lab.ask();
    lab.outputs();
    lab.mesh.close_session(first, lab.now);
    assert_eq!(lab.answer(waiting), Ok("web.1".into()));
}

#[test]
fn a_broken_session_keeps_its_leases_for_a_grace() {
    let mut lab = lab(&["web.1"]);
    lab.ask();
    lab.ask();
    lab.outputs();
    let broken = lab.session;
    lab.mesh.lose_session(broken, lab.now);
    assert_eq!(lab.mesh.totals().waiting, 0);
    assert!(!lab.mesh.ask(broken, Ask::new(AskId(9), "a.test"), lab.now));
    lab.session = hello(&mut lab, 2, &[]);
    let waiting = lab.ask();
    lab.wait(499);
    assert_eq!(lab.answers(), []);
    lab.wait(1);
    assert_eq!(lab.answer(waiting), Ok("web.1".into()));
    assert_eq!(lab.mesh.totals().sessions, 1);
}

#[test]
fn a_worker_that_comes_back_keeps_what_it_says() {
    let mut lab = lab(&["web.1", "web.2"]);
    let (kept, dropped) = (lab.ask(), lab.ask());
    let names: Vec<_> = lab
        .answers()
        .into_iter()
        .map(|(_, dyno)| dyno.unwrap())
        .collect();
    lab.mesh.lose_session(lab.session, lab.now);
    let other = hello(&mut lab, 2, &[]);
    lab.session = other;
    let waiting = lab.ask();
    let instance = format!("{}-1", names[0]);
    let back = hello(&mut lab, 1, &[(kept.0, &instance)]);
    // What it did not name goes to whoever waits.
    assert_eq!(lab.answer(waiting), Ok(names[1].clone()));
    lab.wait(10_000);
    assert_eq!(lab.mesh.totals().leases, 2);
    lab.mesh.checkin(back, dropped, Outcome::Done, lab.now);
    assert_eq!(lab.mesh.totals().leases, 2);
    lab.mesh.checkin(back, kept, Outcome::Done, lab.now);
    lab.mesh.check_invariants().unwrap();
    assert_eq!(lab.mesh.totals().leases, 1);
}

#[test]
fn strange_things_are_held() {
    let mut lab = lab(&["web.1", "web.2"]);
    // One ask twice: the first counts. An instance that nobody knows: nothing.
    let held = [
        (5, "web.1-1"),
        (5, "web.2-1"),
        (6, "nobody"),
        (7, "web.1-1"),
    ];
    let session = hello(&mut lab, 2, &held);
    assert_eq!(lab.loads("a"), [2, 0]);
    for ask in [5, 6, 7] {
        lab.mesh
            .checkin(session, AskId(ask), Outcome::Done, lab.now);
        lab.mesh.check_invariants().unwrap();
    }
    assert_eq!(lab.loads("a"), [0, 0]);
}

#[test]
fn sessions_are_limited_but_not_for_who_has_one() {
    let limits = Limits {
        sessions: 2,
        ..Limits::default()
    };
    let mut lab = Lab::with(limits, Settings::default(), &[]);
    hello(&mut lab, 2, &[]);
    assert_eq!(
        lab.mesh.hello(WorkerId(3), [], lab.now),
        Err(TooManySessions(2))
    );
    hello(&mut lab, 2, &[]);
    assert_eq!(lab.mesh.totals().sessions, 2);
}

#[test]
fn a_dyno_taken_out_keeps_its_leases_to_their_end() {
    let mut lab = lab(&["web.1"]);
    let ask = lab.ask();
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    assert_eq!((lab.mesh.totals().dynos, lab.mesh.totals().leases), (0, 1));
    // Its worker comes back meanwhile.
    lab.mesh.lose_session(lab.session, lab.now);
    lab.session = hello(&mut lab, 1, &[(ask.0, "web.1-1")]);
    assert_eq!(lab.mesh.totals().leases, 1);
    lab.checkin(ask, Outcome::Refused);
    assert_eq!((lab.mesh.totals().leases, lab.mesh.dynos.len()), (0, 0));
}

/// The process never stopped, so what it does counts when it is back.
#[test]
fn a_dyno_put_back_has_its_leases_again() {
    for delete in [false, true] {
        let mut lab = lab(&["web.1"]);
        let ask = lab.ask();
        lab.outputs();
        match delete {
            false => {
                lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
                    .unwrap();
                lab.change("a", vec![put("web.1")]).unwrap();
            }
            true => {
                lab.change("a", vec![Operation::DeleteApp]).unwrap();
                lab.create("a", Settings::default(), &["web.1"]);
            }
        }
        assert_eq!(lab.loads("a"), [1]);
        assert_eq!(lab.mesh.apps.len(), 1);
        let waiting = lab.ask();
        assert_eq!(lab.answers(), []);
        lab.checkin(ask, Outcome::Done);
        assert_eq!(lab.answer(waiting), Ok("web.1".into()));
    }
}

/// While it has leases, its instance means that process and no other.
#[test]
fn an_instance_does_not_move_while_it_has_leases() {
    let mut lab = lab(&["web.1"]);
    lab.create("b", Settings::default(), &[]);
    let ask = lab.ask();
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    assert!(lab.change("b", vec![put("web.1")]).is_err());
    lab.checkin(ask, Outcome::Done);
    lab.change("b", vec![put("web.1")]).unwrap();
}

#[test]
fn quarantine_doubles_and_ends() {
    let mut lab = lab(&["web.1"]);
    let mut spans = Vec::new();
    for _ in 0..6 {
        let ask = lab.ask();
        assert_eq!(lab.answer(ask), Ok("web.1".into()));
        lab.checkin(ask, Outcome::ConnectTimeout);
        let Some(Event::Quarantined(_, span)) = lab.events().pop() else {
            panic!("no event")
        };
        let left = lab.mesh.app("a", lab.now).unwrap().dynos[0].quarantine;
        assert_eq!(left, span);
        spans.push(span.as_millis());
        lab.wait(span.as_millis() as u64);
    }
    assert_eq!(spans, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    // Served at last: it begins anew.
    let ask = lab.ask();
    lab.checkin(ask, Outcome::Done);
    let ask = lab.ask();
    lab.checkin(ask, Outcome::Refused);
    let events = lab.events();
    assert!(matches!(&events[..], [Event::Quarantined(_, span)] if span.as_millis() == 500));
}

#[test]
fn quarantine_ends_with_a_new_state() {
    let mut lab = lab(&["web.1"]);
    let ask = lab.ask();
    lab.checkin(ask, Outcome::Refused);
    lab.outputs();
    lab.change("a", vec![set("web.1", DynoState::Starting)])
        .unwrap();
    assert_eq!(lab.mesh.poll_timeout(), None);
    let waiting = lab.ask();
    lab.change("a", vec![set("web.1", DynoState::Up)]).unwrap();
    assert_eq!(lab.answer(waiting), Ok("web.1".into()));
    // And with it what it was blamed for.
    lab.checkin(waiting, Outcome::Refused);
    let events = lab.events();
    assert!(matches!(&events[..], [Event::Quarantined(_, span)] if span.as_millis() == 500));
}

/// The last dyno goes into quarantine, as one does that is started anew: whoever
/// waits for it waits on, whoever comes now is told.
#[test]
fn the_queue_outlasts_a_quarantine() {
    let mut lab = lab(&["web.1"]);
    let ask = lab.ask();
    let waiting = lab.ask();
    lab.outputs();
    lab.checkin(ask, Outcome::Refused);
    assert_eq!(lab.answers(), []);
    let newcomer = lab.ask();
    assert_eq!(lab.answer(newcomer), Err(Refusal::Quarantined));
    lab.wait(500);
    assert_eq!(lab.answer(waiting), Ok("web.1".into()));

    // But not for ever.
    let limits = Limits {
        quarantine_first: Duration::from_secs(60),
        quarantine_longest: Duration::from_secs(60),
        ..Limits::default()
    };
    let mut lab = Lab::with(limits, Settings::default(), &["web.1"]);
    let ask = lab.ask();
    let waiting = lab.ask();
    lab.checkin(ask, Outcome::Refused);
    lab.outputs();
    lab.wait(30_000);
    assert_eq!(lab.answer(waiting), Err(Refusal::Quarantined));
}

#[test]
fn a_huge_quarantine_is_no_harm() {
    let limits = Limits {
        quarantine_first: Duration::MAX,
        quarantine_longest: Duration::MAX,
        ..Limits::default()
    };
    let mut lab = Lab::with(limits, Settings::default(), &["web.1"]);
    let ask = lab.ask();
    lab.checkin(ask, Outcome::Refused);
}

#[test]
fn drained_is_said_once() {
    let mut lab = lab(&["web.1", "web.2"]);
    let (first, second) = (lab.ask(), lab.ask());
    lab.checkin(second, Outcome::Done);
    lab.outputs();
    let drain = |name| set(name, DynoState::Draining);
    lab.change("a", vec![drain("web.1"), drain("web.2")])
        .unwrap();
    assert_eq!(lab.events().len(), 1);
    lab.change("a", vec![drain("web.1"), drain("web.2")])
        .unwrap();
    assert_eq!(lab.events(), []);
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.events().len(), 1);
}

#[test]
fn nobody_is_served_before_everybody_has_reported() {
    let mut lab = lab(&["web.1", "web.2"]);
    lab.mesh
        .recover([WorkerId(7), WorkerId(8)], lab.now + Duration::from_secs(1));
    let late = lab.ask();
    let early = lab.ask_again(Duration::from_millis(5));
    let session = hello(&mut lab, 7, &[(3, "web.1-1")]);
    assert_eq!(lab.answers(), []);
    lab.mesh.worker_gone(WorkerId(8), lab.now);
    lab.mesh.check_invariants().unwrap();
    assert_eq!(lab.answer(early), Ok("web.2".into()));
    lab.mesh.checkin(session, AskId(3), Outcome::Done, lab.now);
    assert_eq!(lab.answer(late), Ok("web.1".into()));
    assert_eq!(lab.mesh.poll_timeout(), None);
}

/// Somebody who has not reported yet may have a lease of it.
#[test]
fn drained_is_not_said_before_everybody_has_reported() {
    let mut lab = lab(&["web.1", "web.2"]);
    lab.mesh
        .recover([WorkerId(7), WorkerId(8)], lab.now + Duration::from_secs(1));
    let drain = |name| set(name, DynoState::Draining);
    lab.change("a", vec![drain("web.1"), drain("web.2")])
        .unwrap();
    let first = hello(&mut lab, 7, &[(3, "web.1-1")]);
    lab.mesh.checkin(first, AskId(3), Outcome::Done, lab.now);
    assert_eq!(lab.events(), []);
    let second = hello(&mut lab, 8, &[(3, "web.1-1")]);
    let drained = |events: &[Event], name: &str| matches!(events, [Event::Drained(dyno)] if *dyno.name == *name);
    assert!(drained(&lab.events(), "web.2"));
    lab.mesh.checkin(second, AskId(3), Outcome::Done, lab.now);
    assert!(drained(&lab.events(), "web.1"));
}

#[test]
fn recovery_has_an_end() {
    let mut lab = lab(&["web.1"]);
    lab.mesh
        .recover([WorkerId(7)], lab.now + Duration::from_secs(9));
    lab.mesh
        .recover([WorkerId(7)], lab.now + Duration::from_secs(1));
    let waiting = lab.ask();
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    lab.change("a", vec![Operation::SetMaintenance(false)])
        .unwrap();
    assert_eq!(lab.answers(), []);
    lab.wait(1_000);
    assert_eq!(lab.answer(waiting), Ok("web.1".into()));
    assert!(!lab.mesh.is_recovering());
}
