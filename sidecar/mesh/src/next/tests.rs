//! Who is next.
#![allow(clippy::unwrap_used)]

use std::{num::NonZeroU32, time::Duration};

use crate::{
    Ask, AskId, DynoState, Next, Operation, Outcome, Output, Policy, SessionKey, Settings,
    WorkerId,
    testing::{Lab, dyno, put, set},
};

fn idle_only() -> Settings {
    Settings {
        policy: Policy::IdleOnly,
        ..Settings::default()
    }
}

/// Who was said to be next, in order, and in which edition; other outputs are dropped.
fn said(lab: &mut Lab) -> Vec<(AskId, NonZeroU32)> {
    let next = lab.outputs().into_iter().filter_map(|output| match output {
        Output::Next(next) => Some((next.ask?, next.edition)),
        _ => None,
    });
    next.collect()
}

fn named(lab: &mut Lab) -> Vec<AskId> {
    said(lab).into_iter().map(|(ask, _)| ask).collect()
}

fn hand_on(lab: &mut Lab, ask: AskId, next: AskId) {
    lab.mesh.hand_on(lab.session, ask, next, lab.now);
    lab.mesh.check_invariants().unwrap();
}

fn ask_from(lab: &mut Lab, session: SessionKey, ask: u64) -> AskId {
    let id = AskId(ask);
    assert!(lab.mesh.ask(session, Ask::new(id, "a.test"), lab.now));
    lab.mesh.check_invariants().unwrap();
    id
}

/// What the route says to the request that has the only dyno.
fn edition_of_first(lab: &mut Lab) -> (AskId, Option<NonZeroU32>) {
    let ask = lab.ask();
    match &lab.outputs()[..] {
        [Output::Answer(answer)] => (ask, answer.result.as_ref().unwrap().edition),
        other => panic!("{other:?} is no answer"),
    }
}

#[test]
fn the_first_who_waits_has_a_lease_that_is_handed_on() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (first, edition) = edition_of_first(&mut lab);
    lab.wait(5);
    let (second, third) = (lab.ask(), lab.ask());
    let asks = said(&mut lab);
    assert_eq!(
        asks.iter().map(|it| it.0).collect::<Vec<_>>(),
        [second, third]
    );
    assert!(asks.iter().all(|(_, of)| Some(*of) == edition));
    hand_on(&mut lab, first, second);
    // Nobody is answered: its router has chosen.
    assert_eq!(lab.outputs(), []);
    let view = lab.mesh.app("a", lab.now).unwrap();
    assert_eq!((view.in_flight, view.waiting), (1, 1));
    let counters = lab.mesh.totals().counters;
    assert_eq!(
        (counters.routed, counters.queued, counters.cancelled),
        (2, 1, 0)
    );
    // It has the lease under its own name.
    lab.checkin(second, Outcome::Done);
    assert_eq!(lab.answer(third), Ok("web.1".into()));
    lab.checkin(third, Outcome::Done);
    assert_eq!(lab.loads("a"), [0]);
}

#[test]
fn nobody_of_another_session_is_passed_by() {
    let mut lab = Lab::new(idle_only(), &["web.1", "web.2"]);
    let other = lab.mesh.hello(WorkerId(2), [], lab.now).unwrap();
    let held = [lab.ask(), ask_from(&mut lab, other, 900)];
    said(&mut lab);
    let a = lab.ask();
    let b = ask_from(&mut lab, other, 901);
    let c = lab.ask();
    // The third is behind another session's.
    assert_eq!(named(&mut lab), [a]);
    hand_on(&mut lab, held[0], a);
    assert_eq!(named(&mut lab), [b]);
    lab.mesh.hand_on(other, held[1], b, lab.now);
    assert_eq!(named(&mut lab), [c]);
}

#[test]
fn who_wants_a_certain_dyno_or_arrived_before_is_not_passed_by() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (first, edition) = edition_of_first(&mut lab);
    lab.wait(1_000);
    let late = lab.ask();
    assert_eq!(named(&mut lab), [late]);
    // It comes before the other one, and others' leases may not be its own.
    lab.ask_with(Duration::from_millis(500), &["none-1"]);
    // Its router is told.
    let outputs = lab.outputs();
    let [Output::Next(Next { ask: None, .. })] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    let early = lab.ask_again(Duration::from_millis(900));
    let asks = said(&mut lab);
    assert_eq!(asks[0].0, early);
    // Of the lease from before nothing is said any more.
    assert_ne!(Some(asks[0].1), edition);
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.answer(early), Ok("web.1".into()));
}

#[test]
fn a_change_recalls_who_is_next() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (first, edition) = edition_of_first(&mut lab);
    let next = lab.ask();
    lab.outputs();
    for operation in [
        put("web.2"),
        set("web.1", DynoState::Draining),
        Operation::PutSettings(Settings {
            dyno_limit: Some(2),
            ..idle_only()
        }),
    ] {
        let before = lab.mesh.app("a", lab.now).unwrap().waiting;
        lab.change("a", vec![operation]).unwrap();
        let outputs = lab.outputs();
        let of = |output: &Output| matches!(output, Output::Recall(recall) if recall.session == lab.session);
        // After that nobody believes anything.
        assert_eq!(
            outputs.iter().filter(|it| of(it)).count(),
            usize::from(before > 0)
        );
        let after = outputs.iter().skip_while(|it| !of(it));
        let later = after.filter_map(|output| match output {
            Output::Next(Next { edition, .. }) => Some(*edition),
            _ => None,
        });
        assert!(later.into_iter().all(|it| Some(it) != edition));
    }
    // Its router had not heard of it yet: it is so all the same.
    hand_on(&mut lab, first, next);
    assert_eq!(lab.loads("a"), [1, 0]);
}

#[test]
fn of_two_dynos_the_one_that_the_router_chose_counts() {
    let mut lab = Lab::new(idle_only(), &["web.1", "web.2"]);
    let other = lab.mesh.hello(WorkerId(2), [], lab.now).unwrap();
    let (mine, _) = edition_of_first(&mut lab);
    let theirs = ask_from(&mut lab, other, 900);
    let (next, last) = (lab.ask(), lab.ask());
    lab.outputs();
    // The other's dyno is free first, and before this is heard the first one is handed on.
    lab.mesh.checkin(other, theirs, Outcome::Done, lab.now);
    assert!(lab.answer(next).is_ok());
    hand_on(&mut lab, mine, next);
    // So the other dyno is the next one's.
    assert!(lab.answer(last).is_ok());
    assert_eq!(lab.loads("a"), [1, 1]);
    hand_on(&mut lab, AskId(77), AskId(78));
    hand_on(&mut lab, next, next);
    lab.checkin(last, Outcome::Done);
    assert_eq!(lab.loads("a"), [0, 0]);
}

#[test]
fn of_an_app_that_is_created_again_nothing_is_believed() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (_, before) = edition_of_first(&mut lab);
    lab.ask();
    lab.change("a", vec![Operation::DeleteApp]).unwrap();
    lab.create("a", idle_only(), &["web.2"]);
    lab.outputs();
    let (_, after) = edition_of_first(&mut lab);
    assert_ne!(before, after);
}

#[test]
fn a_dyno_that_two_nodes_chose_is_not_handed_on() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    lab.mesh.share_load();
    let (first, edition) = edition_of_first(&mut lab);
    let next = lab.ask();
    assert_eq!(named(&mut lab), [next]);
    let report = crate::LoadReport {
        node: crate::NodeId(2),
        name: "other".into(),
        epoch: 1,
        seq: 1,
        extent: crate::WHOLE,
        loads: vec![("web.1-1".into(), 1)],
    };
    lab.mesh.hear_load(report, lab.now);
    let said = said(&mut lab);
    assert!(
        said.iter()
            .all(|(ask, of)| *ask == next && Some(*of) != edition)
    );
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.loads("a"), [0]);
}

#[test]
fn one_that_was_refused_meanwhile_has_the_dyno_all_the_same() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (first, _) = edition_of_first(&mut lab);
    let next = lab.ask();
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    assert!(
        lab.answers()
            .iter()
            .any(|(ask, it)| *ask == next && it.is_err())
    );
    hand_on(&mut lab, first, next);
    assert_eq!(lab.loads("a"), [1]);
    lab.checkin(next, Outcome::Done);
    assert_eq!(lab.loads("a"), [0]);
}

#[test]
fn so_many_are_named_and_more_when_half_of_them_are_served() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let (mut first, _) = edition_of_first(&mut lab);
    let asks: Vec<_> = (0..40).map(|_| lab.ask()).collect();
    assert_eq!(named(&mut lab), asks[..9]);
    for next in &asks[..8] {
        hand_on(&mut lab, first, *next);
        first = *next;
    }
    assert_eq!(named(&mut lab), asks[9..17]);
    hand_on(&mut lab, first, asks[8]);
    assert_eq!(named(&mut lab), asks[17..25]);
}

#[test]
fn nobody_is_next_without_a_limit_or_with_a_queue_that_is_shared() {
    let mut lab = Lab::new(idle_only(), &["web.1"]);
    let open = Settings {
        policy: Policy::LeastLoad,
        ..Settings::default()
    };
    lab.create("b", open, &["job.1"]);
    let ask = Ask::new(AskId(0), "b.test");
    lab.ask_as(ask);
    let exact = Settings {
        exact: Some(crate::Exact::Strict),
        ..idle_only()
    };
    lab.create("c", exact, &[]);
    let c = Operation::PutDyno {
        dyno: dyno("run.1"),
        takeover: false,
    };
    lab.change("c", vec![c]).unwrap();
    lab.ask_as(Ask::new(AskId(0), "c.test"));
    lab.ask_as(Ask::new(AskId(0), "c.test"));
    for output in lab.outputs() {
        match output {
            Output::Answer(answer) => assert_eq!(answer.result.unwrap().edition, None),
            Output::Next(next) => panic!("{next:?}"),
            _ => {}
        }
    }
}
