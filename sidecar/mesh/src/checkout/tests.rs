//! Who gets which dyno, who waits, who is refused.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    DynoState, Event, Limits, Operation, Outcome, Policy, Settings, WorkerId,
    testing::{Lab, put, set},
};

fn settings() -> Settings {
    Settings::default()
}

#[test]
fn the_queue_refuses_the_one_after_its_last_place() {
    let mut lab = Lab::new(
        Settings {
            queue_depth: Some(3),
            ..settings()
        },
        &["web.1"],
    );
    let first = lab.ask();
    assert_eq!(lab.answer(first), Ok("web.1".into()));
    let waiting: Vec<_> = (0..3).map(|_| lab.ask()).collect();
    assert_eq!(lab.answers(), []);
    let last = lab.ask();
    assert_eq!(lab.answer(last), Err(Refusal::QueueFull));
    // Who was let in before, and failed by a dyno, is let in again.
    lab.ask_with(Duration::from_millis(1), &["web.9-1"]);
    assert_eq!(lab.answers(), []);
    lab.mesh.cancel(lab.session, waiting[1], lab.now);
    lab.mesh.cancel(lab.session, waiting[2], lab.now);
    lab.ask();
    assert_eq!(lab.answers(), []);
}

#[test]
fn whom_the_router_had_to_hold_is_not_turned_away() {
    let tight = Settings {
        queue_depth: Some(1),
        max_requests: Some(2),
        ..settings()
    };
    let mut lab = Lab::new(tight, &["web.1"]);
    for _ in 0..5 {
        lab.ask_as(Ask {
            held: true,
            ..Ask::new(AskId(0), "a.test")
        });
    }
    assert_eq!(lab.answers().len(), 1);
    // Nor is who comes while that crowd is served: 4 wait, as many more may.
    lab.ask();
    assert_eq!(lab.answers(), []);
    let newcomer = lab.ask();
    assert_eq!(lab.answer(newcomer), Err(Refusal::TooManyRequests));
    // When the queue is short again, the limit is what it was.
    for ask in 1..=5 {
        lab.mesh.cancel(lab.session, AskId(ask), lab.now);
    }
    lab.outputs();
    lab.ask();
    lab.outputs();
    let newcomer = lab.ask();
    assert_eq!(lab.answer(newcomer), Err(Refusal::TooManyRequests));
}

#[test]
fn time_with_a_dyno_is_no_wait() {
    let patient = Settings {
        queue_timeout: Some(Duration::from_millis(100)),
        ..settings()
    };
    let mut lab = Lab::new(patient, &["web.1"]);
    lab.ask();
    lab.outputs();
    let failed = lab.ask_as(Ask {
        waited: Duration::from_secs(20),
        served: Duration::from_secs(20),
        tried: vec!["web.9-1".into()],
        ..Ask::new(AskId(0), "a.test")
    });
    assert_eq!(lab.answers(), []);
    lab.wait(99);
    assert_eq!(lab.answers(), []);
    lab.wait(1);
    assert_eq!(lab.answer(failed), Err(Refusal::QueueTimeout));
}

#[test]
fn the_usual_queue_grows_with_the_dynos() {
    let mut lab = Lab::new(settings(), &["web.1", "web.2"]);
    for _ in 0..2 + 100 {
        lab.ask();
    }
    assert_eq!(lab.answers().len(), 2);
    let last = lab.ask();
    assert_eq!(lab.answer(last), Err(Refusal::QueueFull));
    lab.change("a", vec![set("web.2", DynoState::Draining)])
        .unwrap();
    assert_eq!(lab.mesh.totals().waiting, 100);
}

#[test]
fn requests_are_counted_in_flight_and_waiting() {
    let mut lab = Lab::new(
        Settings {
            max_requests: Some(2),
            ..settings()
        },
        &["web.1"],
    );
    let first = lab.ask();
    lab.ask();
    let third = lab.ask();
    let refused = (third, Err(Refusal::TooManyRequests));
    assert_eq!(lab.answers(), [(first, Ok("web.1".into())), refused]);
}

#[test]
fn every_signifier() {
    let mut lab = Lab::new(settings(), &[]);
    let expect = |lab: &mut Lab, reason| {
        let ask = lab.ask();
        assert_eq!(lab.answer(ask), Err(reason));
    };
    expect(&mut lab, Refusal::NeverReleased);
    lab.change("a", vec![put("web.1"), put("web.2")]).unwrap();
    lab.change(
        "a",
        vec![set("web.1", DynoState::Down), set("web.2", DynoState::Down)],
    )
    .unwrap();
    expect(&mut lab, Refusal::NoDynos);
    lab.change("a", vec![set("web.1", DynoState::Crashed)])
        .unwrap();
    expect(&mut lab, Refusal::Crashed);
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    expect(&mut lab, Refusal::Maintenance);
    lab.change("a", vec![Operation::SetMaintenance(false)])
        .unwrap();
    lab.change("a", vec![set("web.2", DynoState::Up)]).unwrap();
    let ask = lab.ask_with(Duration::ZERO, &["web.2-1"]);
    assert_eq!(lab.answer(ask), Err(Refusal::NoOtherDyno));
    let ask = lab.ask();
    lab.checkin(ask, Outcome::Refused);
    lab.outputs();
    expect(&mut lab, Refusal::Quarantined);
    lab.mesh
        .ask(lab.session, Ask::new(AskId(99), "who.test"), lab.now);
    assert_eq!(lab.answer(AskId(99)), Err(Refusal::UnknownName));
}

#[test]
fn waiting_has_an_end() {
    let waits = Settings {
        queue_timeout: Some(Duration::from_millis(100)),
        boot_timeout: Some(Duration::from_millis(500)),
        ..settings()
    };
    let mut lab = Lab::new(waits, &["web.1"]);
    lab.ask();
    lab.outputs();
    let waiting = lab.ask();
    lab.wait(99);
    assert_eq!(lab.answers(), []);
    lab.wait(1);
    assert_eq!(lab.answer(waiting), Err(Refusal::QueueTimeout));
    // What it waited elsewhere counts; who waited too long is told at once.
    let waiting = lab.ask_with(Duration::from_millis(40), &[]);
    lab.wait(60);
    assert_eq!(lab.answer(waiting), Err(Refusal::QueueTimeout));
    let late = lab.ask_with(Duration::from_millis(100), &[]);
    assert_eq!(lab.answer(late), Err(Refusal::QueueTimeout));
    lab.change("a", vec![set("web.1", DynoState::Starting)])
        .unwrap();
    lab.obey();
    let booting = lab.ask();
    lab.wait(499);
    assert_eq!(lab.answers(), []);
    lab.wait(1);
    assert_eq!(lab.answer(booting), Err(Refusal::BootTimeout));
    assert_eq!(lab.mesh.poll_timeout(), None);
}

#[test]
fn who_arrived_first_is_served_first_wherever_it_asked() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let busy = lab.ask();
    let second = lab.ask_again(Duration::from_millis(20));
    let third = lab.ask();
    let first = lab.ask_again(Duration::from_millis(30));
    lab.outputs();
    let mut last = busy;
    for next in [first, second, third] {
        lab.checkin(last, Outcome::Done);
        assert_eq!(lab.answer(next), Ok("web.1".into()));
        last = next;
    }
}

/// The first in the queue can't use the dyno that is free: others can.
#[test]
fn nobody_waits_behind_one_who_can_not_have_it() {
    let mut lab = Lab::new(settings(), &["web.1", "web.2"]);
    let busy = [lab.ask(), lab.ask()];
    let on_first = lab
        .answers()
        .into_iter()
        .find(|a| a.1 == Ok("web.1".into()))
        .unwrap()
        .0;
    lab.ask_with(Duration::from_millis(5), &["web.1-1"]);
    lab.checkin(on_first, Outcome::Done);
    assert_eq!(lab.answers(), []);
    let next = lab.ask();
    assert_eq!(lab.answer(next), Ok("web.1".into()));
    // And when both are waiting as the dyno comes free.
    let next_but_one = lab.ask();
    lab.checkin(next, Outcome::Done);
    assert_eq!(lab.answer(next_but_one), Ok("web.1".into()));
    assert_eq!(busy.len(), 2);
}

/// Behind one who waits, one who waits in vain is told so.
#[test]
fn nobody_waits_in_vain() {
    let mut lab = Lab::new(settings(), &["web.1", "web.2"]);
    lab.ask();
    lab.ask();
    lab.ask();
    let fussy = lab.ask_with(Duration::ZERO, &["web.1-1"]);
    lab.outputs();
    lab.change("a", vec![Operation::RemoveDyno("web.2".into())])
        .unwrap();
    assert_eq!(lab.answer(fussy), Err(Refusal::NoOtherDyno));
    assert_eq!(lab.mesh.totals().waiting, 1);
}

#[test]
fn a_limit_holds_when_it_is_lowered_and_raised() {
    let three = Settings {
        dyno_limit: Some(3),
        ..settings()
    };
    let mut lab = Lab::new(three.clone(), &["web.1"]);
    let asks: Vec<_> = (0..4).map(|_| lab.ask()).collect();
    assert_eq!(lab.answers().len(), 3);
    lab.change("a", vec![Operation::PutSettings(settings())])
        .unwrap();
    lab.checkin(asks[0], Outcome::Done);
    lab.checkin(asks[1], Outcome::Done);
    assert_eq!((lab.answers(), lab.loads("a")), (vec![], vec![1]));
    lab.change("a", vec![Operation::PutSettings(three)])
        .unwrap();
    assert_eq!(lab.answer(asks[3]), Ok("web.1".into()));
}

#[test]
fn policies_change_while_dynos_are_busy() {
    let with = |policy| Settings {
        policy,
        dyno_limit: Some(9),
        ..settings()
    };
    let mut lab = Lab::new(with(Policy::Random), &["web.1", "web.2", "web.3"]);
    for _ in 0..9 {
        lab.ask();
    }
    lab.outputs();
    for policy in [
        Policy::LeastLoad,
        Policy::Random,
        Policy::IdleOnly,
        Policy::LeastLoad,
    ] {
        lab.change("a", vec![Operation::PutSettings(with(policy))])
            .unwrap();
    }
    // Least load levels them.
    for _ in 0..18 {
        lab.ask();
    }
    assert_eq!(lab.loads("a"), [9, 9, 9]);
}

#[test]
fn maintenance_empties_the_queue() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    lab.ask();
    let waiting = lab.ask();
    lab.outputs();
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    assert_eq!(lab.answer(waiting), Err(Refusal::Maintenance));
}

#[test]
fn a_deleted_app_answers_everybody_and_is_forgotten_last() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let busy = lab.ask();
    let waiting = lab.ask();
    lab.outputs();
    lab.change("a", vec![Operation::DeleteApp]).unwrap();
    assert_eq!(lab.answer(waiting), Err(Refusal::UnknownName));
    assert_eq!(lab.mesh.apps.len(), 1);
    // One of the same name is another one, and owes nothing.
    lab.create(
        "a",
        Settings {
            max_requests: Some(1),
            ..settings()
        },
        &["web.2"],
    );
    let new = lab.ask();
    assert_eq!(lab.answer(new), Ok("web.2".into()));
    lab.checkin(busy, Outcome::Done);
    assert_eq!((lab.mesh.apps.len(), lab.mesh.dynos.len()), (1, 1));
}

#[test]
fn a_dyno_is_asked_for_once_an_episode() {
    let mut lab = Lab::new(
        Settings {
            wake: true,
            ..settings()
        },
        &[],
    );
    let need = |waiting| Event::NeedDyno {
        app: "a".into(),
        waiting,
    };
    let first = lab.ask();
    lab.ask();
    assert_eq!(lab.events(), [need(1)]);
    // Who comes later can ask what still holds.
    assert_eq!(lab.mesh.needs().collect::<Vec<_>>(), [need(2)]);
    lab.change("a", vec![put("web.1"), set("web.1", DynoState::Starting)])
        .unwrap();
    assert_eq!(lab.events(), []);
    assert_eq!(lab.mesh.needs().count(), 0);
    // The start comes to nothing: once more.
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    assert_eq!(lab.events(), [need(2)]);
    lab.ask();
    assert_eq!(lab.events(), []);
    lab.change("a", vec![put("web.2")]).unwrap();
    assert_eq!(lab.answers().len(), 1);
    // It goes while others wait still.
    lab.change("a", vec![set("web.2", DynoState::Down)])
        .unwrap();
    assert_eq!(lab.events(), [need(2)]);
    // Nobody waits any more: the next one asks again.
    for ask in 1..=3 {
        lab.mesh.cancel(lab.session, AskId(ask), lab.now);
    }
    lab.outputs();
    lab.ask();
    assert_eq!(lab.events(), [need(1)]);
    assert_eq!(first, AskId(1));
}

#[test]
fn who_comes_too_late_wakes_nobody() {
    let mut lab = Lab::new(
        Settings {
            wake: true,
            ..settings()
        },
        &[],
    );
    let late = lab.ask_with(BOOT_TIMEOUT, &[]);
    let outputs = lab.outputs();
    assert!(
        matches!(&outputs[..], [Output::Answer(a)] if a.ask == late),
        "{outputs:?}"
    );
}

#[test]
fn the_mesh_has_limits_of_its_own() {
    let limits = Limits {
        waiting: 1,
        asks_per_session: 3,
        ..Limits::default()
    };
    let mut lab = Lab::with(limits, settings(), &["web.1", "web.2"]);
    lab.ask();
    lab.ask();
    lab.ask();
    lab.outputs();
    let full = lab.ask();
    assert_eq!(lab.answer(full), Err(Refusal::Overloaded));
    // Another session has its own share, but nobody else may wait.
    lab.session = lab.mesh.hello(WorkerId(2), [], lab.now).unwrap();
    let full = lab.ask();
    assert_eq!(lab.answer(full), Err(Refusal::Overloaded));
}

#[test]
fn a_number_in_use_is_ignored() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let (busy, waiting) = (lab.ask(), lab.ask());
    lab.outputs();
    for ask in [busy, waiting] {
        assert!(!lab.mesh.ask(lab.session, Ask::new(ask, "a.test"), lab.now));
    }
    assert_eq!(lab.outputs(), []);
}

/// Of two that one router asked for in this order the first one is served first, however
/// long each is said to have waited; who is asked for again has its own time.
#[test]
fn newcomers_of_a_router_are_served_in_their_order() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let one = lab.ask();
    let first = lab.ask();
    // It lay in the socket with the one before it, for as long.
    let second = lab.ask_with(Duration::from_millis(1), &[]);
    let again = lab.ask_again(Duration::from_millis(1));
    lab.outputs();
    let mut before = one;
    for next in [again, first, second] {
        lab.checkin(before, Outcome::Done);
        assert_eq!(lab.answers(), [(next, Ok("web.1".into()))]);
        before = next;
    }
}
