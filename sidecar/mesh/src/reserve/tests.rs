//! Leases ahead.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::AGAIN;
use crate::{
    Ask, AskId, Change, DynoState, Limits, Operation, Outcome, Output, Policy, Prefer, RecallId,
    Refusal, Reserved, Route, SessionKey, Settings, Time, WorkerId,
    testing::{Lab, dyno, put, set},
};

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad,
        ..Settings::default()
    }
}

/// Far from the numbers of the lab's own asks.
const FIRST: AskId = AskId(1_000);

fn reserve_as(lab: &mut Lab, session: SessionKey, count: u32, name: &str) -> Reserved {
    assert!(lab.mesh.reserve(session, FIRST, count, name));
    lab.mesh.check_invariants().unwrap();
    match lab.mesh.poll_output() {
        Some(Output::Reserved(reserved)) => reserved,
        other => panic!("{other:?} is no reservation"),
    }
}

fn reserve(lab: &mut Lab, count: u32) -> Reserved {
    reserve_as(lab, lab.session, count, "a.test")
}

/// Makes a change; which recalls it began, and whom they go to.
fn change(lab: &mut Lab, app: &str, operation: Operation) -> Vec<(RecallId, SessionKey)> {
    lab.change(app, vec![operation]).unwrap();
    let outputs = std::iter::from_fn(|| lab.mesh.poll_output());
    outputs
        .filter_map(|output| match output {
            Output::Recall(recall) => Some((recall.recall, recall.session)),
            _ => None,
        })
        .collect()
}

/// Makes a change; what has to be over before it is in effect.
fn applied(lab: &mut Lab, app: &str, operations: Vec<Operation>) -> Vec<RecallId> {
    let change = Change {
        app: app.into(),
        base_version: None,
        operations,
    };
    let updates = lab.mesh.plan(&change).unwrap();
    let (mesh, now) = (&mut lab.mesh, lab.now);
    let recalls = updates.iter().flat_map(|update| mesh.apply(update, now));
    recalls.collect()
}

fn load(lab: &Lab) -> (u32, Vec<u32>) {
    let view = lab.mesh.app("a", lab.now).unwrap();
    (view.in_flight, view.dynos.iter().map(|d| d.load).collect())
}

#[test]
fn they_are_spread_like_others_and_are_no_load_for_people() {
    let mut lab = Lab::new(open(), &["web.1", "web.2", "web.3"]);
    let reserved = reserve(&mut lab, 6);
    let of = |name: &str| reserved.dynos.iter().filter(|d| *d.name == *name).count();
    assert_eq!(["web.1", "web.2", "web.3"].map(of), [2, 2, 2]);
    assert_eq!(load(&lab), (0, vec![0, 0, 0]));
    assert_eq!(lab.mesh.totals().leases, 0);
    // Who is told of is like one that asked.
    let (session, now) = (lab.session, lab.now);
    lab.mesh.taken(session, FIRST, lab.now);
    assert_eq!((load(&lab).0, lab.mesh.totals().leases), (1, 1));
    lab.mesh.checkin(session, FIRST, Outcome::Done, now);
    // And so is one that ends without.
    lab.mesh.checkin(session, AskId(1_001), Outcome::Done, now);
    assert_eq!(lab.mesh.totals().counters.routed, 2);
    for ask in 1_002..1_006 {
        lab.mesh.cancel(session, AskId(ask), now);
    }
    lab.mesh.check_invariants().unwrap();
    let totals = lab.mesh.totals();
    assert_eq!((totals.counters.routed, totals.counters.cancelled), (2, 0));
    assert_eq!(change(&mut lab, "a", put("web.4")), []);
}

#[test]
fn one_that_is_passed_on_is_load_and_can_be_recalled() {
    let mut lab = Lab::new(open(), &["web.1"]);
    let reserved = reserve(&mut lab, 3);
    assert_eq!(reserved.again, AGAIN);
    let (session, now) = (lab.session, lab.now);
    lab.mesh.passed(session, FIRST);
    lab.mesh.passed(session, FIRST);
    lab.mesh.passed(session, AskId(1_001));
    lab.mesh.check_invariants().unwrap();
    assert_eq!((load(&lab).0, lab.mesh.totals().leases), (2, 2));
    // One ends, and says how many had it; the other one's last request takes it.
    lab.mesh.served(session, FIRST, 7);
    lab.mesh.checkin(session, FIRST, Outcome::Done, now);
    assert_eq!(lab.mesh.totals().counters.routed, 8);
    lab.mesh.cancel(session, AskId(1_002), now);
    let recalls = change(&mut lab, "a", put("web.2"));
    assert_eq!(recalls.len(), 1, "one is passed on");
    lab.mesh.taken(session, AskId(1_001), lab.now);
    lab.mesh.recalled(session, recalls[0].0);
    lab.mesh.check_invariants().unwrap();
    assert_eq!(change(&mut lab, "a", put("web.3")), []);
    lab.mesh.checkin(session, AskId(1_001), Outcome::Done, now);
    assert_eq!(lab.mesh.totals().counters.routed, 9);
    assert_eq!(load(&lab).0, 0);
}

#[test]
fn nobody_is_refused_for_what_is_not_used() {
    let settings = |queue_depth| Settings {
        policy: Policy::IdleOnly,
        dyno_limit: Some(64),
        queue_depth,
        ..Settings::default()
    };
    for (depth, expected) in [(Some(0), 0), (Some(31), 0), (Some(32), 3), (None, 3)] {
        let mut lab = Lab::new(settings(depth), &["web.1"]);
        assert_eq!(reserve(&mut lab, 3).dynos.len(), expected, "{depth:?}");
    }
}

#[test]
fn who_waited_keeps_its_lease() {
    let mut lab = Lab::new(open(), &[]);
    lab.change("a", vec![put("web.1"), set("web.1", DynoState::Starting)])
        .unwrap();
    let ask = lab.ask_as(Ask {
        passes_on: true,
        ..Ask::new(AskId(0), "a.test")
    });
    // Nothing has to be called back, so nobody has to wait for that.
    assert_eq!(
        applied(&mut lab, "a", vec![set("web.1", DynoState::Up)]),
        []
    );
    assert_eq!(lab.answers(), [(ask, Ok("web.1".into()))]);
    assert_eq!(lab.mesh.totals().counters.routed, 1);
}

/// The answer to an ask for "a", one of many.
fn ask_as_one_of_many(lab: &mut Lab, ask: Ask<'_>) -> (AskId, Route) {
    let passes_on = true;
    let id = lab.ask_as(Ask { passes_on, ..ask });
    let answers = lab.outputs().into_iter().filter_map(|output| match output {
        Output::Answer(answer) => Some(answer.result),
        _ => None,
    });
    let route = answers.last().expect("it is answered").expect("a route");
    (id, route)
}

#[test]
fn one_that_was_asked_for_may_be_passed_on_where_many_come() {
    let mut lab = Lab::new(open(), &["web.1"]);
    let (ask, route) = ask_as_one_of_many(&mut lab, Ask::new(AskId(0), "a.test"));
    assert_eq!(route.again, AGAIN);
    let routed = |lab: &Lab| lab.mesh.totals().counters.routed;
    assert_eq!((load(&lab), routed(&lab)), ((1, vec![1]), 0));
    let recalls = change(&mut lab, "a", put("web.2"));
    assert_eq!(recalls.len(), 1, "its router may have passed it on");
    lab.mesh.recalled(lab.session, recalls[0].0);
    // Its router says how many had it, as of any other.
    let (session, now) = (lab.session, lab.now);
    lab.mesh.passed(session, ask);
    lab.mesh.served(session, ask, 7);
    lab.mesh.checkin(session, ask, Outcome::Done, now);
    assert_eq!((load(&lab), routed(&lab)), ((0, vec![0, 0]), 8));
    // One that keeps its lease is like all that ask.
    let (ask, _) = ask_as_one_of_many(&mut lab, Ask::new(AskId(0), "a.test"));
    lab.mesh.taken(session, ask, now);
    assert_eq!(routed(&lab), 9);
    assert_eq!(change(&mut lab, "a", put("web.3")), []);
    lab.checkin(ask, Outcome::Done);
    assert_eq!((load(&lab).0, routed(&lab)), (0, 9));
}

#[test]
fn one_that_was_asked_for_is_for_one_where_it_is_anothers_or_chosen() {
    let any = Ask::new(AskId(0), "a.test");
    let preferring = Ask {
        prefer: Some(Prefer::Hash(7)),
        ..any.clone()
    };
    let tried = Ask {
        tried: vec!["web.2-1".into()],
        ..any.clone()
    };
    let random = Settings {
        policy: Policy::Random,
        ..Settings::default()
    };
    let idle = Settings {
        policy: Policy::IdleOnly,
        ..Settings::default()
    };
    let counted = Settings {
        max_requests: Some(9),
        ..open()
    };
    let cases = [
        (open(), preferring),
        (open(), tried),
        (random, any.clone()),
        (idle, any.clone()),
        (counted, any),
    ];
    for (settings, ask) in cases {
        let mut lab = Lab::new(settings, &["web.1", "web.2"]);
        let (ask, route) = ask_as_one_of_many(&mut lab, ask);
        assert_eq!(route.again, Duration::ZERO);
        assert_eq!(lab.mesh.totals().counters.routed, 1);
        assert_eq!(change(&mut lab, "a", put("web.3")), []);
        lab.checkin(ask, Outcome::Done);
    }
}

#[test]
fn each_request_has_a_random_dyno_where_it_shall() {
    let random = Settings {
        policy: Policy::Random,
        ..Settings::default()
    };
    let mut lab = Lab::new(random, &["web.1"]);
    assert_eq!(reserve(&mut lab, 1).again, Duration::ZERO);
}

#[test]
fn one_that_is_passed_on_ends_with_its_session() {
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 2);
    lab.mesh.passed(lab.session, FIRST);
    lab.mesh.close_session(lab.session, lab.now);
    lab.mesh.check_invariants().unwrap();
    assert_eq!(load(&lab), (0, vec![0]));
}

#[test]
fn nothing_is_reserved_where_it_would_take_something_from_somebody() {
    let busy = Settings {
        max_requests: Some(100),
        ..open()
    };
    let limited = Settings {
        dyno_limit: Some(63),
        ..open()
    };
    for settings in [Settings::default(), busy, limited] {
        let mut lab = Lab::new(settings, &["web.1"]);
        assert_eq!(reserve(&mut lab, 5).dynos.len(), 0);
    }
    let mut lab = Lab::new(open(), &["web.1"]);
    let session = lab.session;
    assert_eq!(reserve_as(&mut lab, session, 5, "b.test").dynos.len(), 0);
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    assert_eq!(reserve(&mut lab, 5).dynos.len(), 0);
    // A dyno with a limit of its own among those without.
    let mut one = dyno("web.2");
    one.limit = Some(3);
    let put = Operation::PutDyno {
        dyno: one,
        takeover: false,
    };
    let mut lab = Lab::new(open(), &["web.1"]);
    lab.change("a", vec![put]).unwrap();
    let reserved = reserve(&mut lab, 50);
    assert!(reserved.dynos.iter().all(|dyno| &*dyno.name == "web.1"));
}

#[test]
fn under_a_high_limit_half_of_it_may_be_ahead() {
    let settings = Settings {
        dyno_limit: Some(100),
        ..Settings::default()
    };
    let mut lab = Lab::new(settings, &["web.1"]);
    let reserved = reserve(&mut lab, 60);
    assert_eq!((reserved.dynos.len(), reserved.limited), (50, true));
    // They are given up as soon as somebody has to wait.
    for _ in 0..50 {
        lab.ask();
    }
    assert_eq!(lab.answers().len(), 50);
    let waits = lab.ask();
    let outputs = lab.outputs();
    let [Output::Recall(recall), Output::Next(_)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let also = lab.ask();
    let outputs = lab.outputs();
    assert!(matches!(outputs[..], [Output::Next(_)]), "once is enough");
    let (session, now) = (lab.session, lab.now);
    lab.mesh.cancel(session, FIRST, now);
    lab.mesh.recalled(session, recall.recall);
    assert_eq!(lab.answer(waits), Ok("web.1".into()));
    lab.mesh.cancel(session, AskId(1_001), now);
    assert_eq!(lab.answer(also), Ok("web.1".into()));
}

#[test]
fn a_session_gets_no_more_than_it_may_have() {
    let limits = Limits {
        asks_per_session: 4,
        ..Limits::default()
    };
    let mut lab = Lab::with(limits, open(), &["web.1"]);
    lab.ask();
    while lab.mesh.poll_output().is_some() {}
    assert_eq!(reserve(&mut lab, 10).dynos.len(), 3);
    let (session, now) = (lab.session, lab.now);
    assert!(!lab.mesh.reserve(session, FIRST, 1, "a.test"), "in use");
    lab.mesh.lose_session(session, now);
    assert!(!lab.mesh.reserve(session, AskId(9), 1, "a.test"), "lost");
    lab.mesh.close_session(session, now);
    assert_eq!(load(&lab), (0, vec![0]));
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn a_change_is_in_effect_when_all_routers_have_answered() {
    let mut lab = Lab::new(open(), &["web.1", "web.2"]);
    let first = lab.session;
    let second = lab.mesh.hello(WorkerId(2), [], lab.now).unwrap();
    reserve(&mut lab, 3);
    reserve_as(&mut lab, second, 3, "a.test");
    let recalls = change(&mut lab, "a", Operation::RemoveDyno("web.2".into()));
    let [(recall, a), (same, b)] = recalls[..] else {
        panic!("{recalls:?}");
    };
    assert_eq!((recall, a, b), (same, first, second));
    lab.mesh.recalled(first, recall);
    assert!(lab.mesh.is_recalling(recall));
    assert_eq!(lab.mesh.poll_output(), None);
    // Twice is once.
    lab.mesh.recalled(first, recall);
    // The other one is gone instead.
    let now = lab.now;
    lab.mesh.close_session(second, now);
    assert!(!lab.mesh.is_recalling(recall));
    let last = std::iter::from_fn(|| lab.mesh.poll_output()).last();
    assert_eq!(last, Some(Output::Recalled(recall)));
    lab.mesh.recalled(second, recall);
    assert_eq!(lab.mesh.poll_output(), None);
}

#[test]
fn nobody_waits_long_for_a_router_that_hangs() {
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 2);
    let recall = change(&mut lab, "a", put("web.2"))[0].0;
    lab.wait(999);
    assert!(lab.mesh.is_recalling(recall));
    lab.wait(1);
    assert!(!lab.mesh.is_recalling(recall));
    let said: Vec<_> = std::iter::from_fn(|| lab.mesh.poll_output()).collect();
    assert_eq!(said, [Output::Recalled(recall)]);
    // It answers late, and gives back what it has.
    let (session, now) = (lab.session, lab.now);
    lab.mesh.cancel(session, FIRST, now);
    lab.mesh.recalled(session, recall);
    assert_eq!(lab.mesh.poll_output(), None);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn whoever_loses_a_name_is_asked_too() {
    let mut lab = Lab::new(open(), &["web.1"]);
    lab.create("b", open(), &["web.9"]);
    lab.change("a", vec![Operation::AddDomain("*.w.test".into())])
        .unwrap();
    let session = lab.session;
    assert_eq!(
        reserve_as(&mut lab, session, 1, "x.y.w.test").dynos.len(),
        1
    );
    // Not when it is another name.
    let domain = |name: &str| Operation::AddDomain(name.into());
    assert_eq!(change(&mut lab, "b", domain("x.test")), []);
    for name in ["x.y.w.test", "*.y.w.test"] {
        assert_eq!(change(&mut lab, "b", domain(name)).len(), 1, "{name}");
    }
}

#[test]
fn a_change_waits_for_what_another_one_took_away() {
    for (lost, gained) in [
        ("x.test", "x.test"),
        ("*.x.test", "y.x.test"),
        ("y.x.test", "*.x.test"),
        ("*.x.test", "*.y.x.test"),
    ] {
        let mut lab = Lab::new(open(), &["web.1"]);
        lab.create("b", open(), &["web.9"]);
        lab.create("c", open(), &[]);
        let domain = |name: &str| vec![Operation::AddDomain(name.into())];
        lab.change("a", domain(lost)).unwrap();
        let session = lab.session;
        let name = lost.replace('*', "y");
        assert_eq!(reserve_as(&mut lab, session, 1, &name).dynos.len(), 1);
        let gone = vec![Operation::RemoveDomain(lost.into())];
        let recalls = applied(&mut lab, "a", gone);
        assert_eq!(recalls.len(), 1);
        assert_eq!(applied(&mut lab, "b", domain(gained)), recalls, "{lost}");
        assert_eq!(applied(&mut lab, "c", domain("z.test")), [], "{lost}");
        lab.mesh.recalled(session, recalls[0]);
        assert_eq!(applied(&mut lab, "b", domain("other.x.test")), []);
    }
    // An app that was deleted is another one, and has the same name.
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 1);
    let recalls = applied(&mut lab, "a", vec![Operation::DeleteApp]);
    let create = vec![Operation::CreateApp(open())];
    assert_eq!(applied(&mut lab, "a", create), recalls);
}

#[test]
fn a_dyno_is_drained_when_it_is_all_back() {
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 2);
    let recalls = change(&mut lab, "a", set("web.1", DynoState::Draining));
    let drained = |lab: &mut Lab| {
        let mut outputs = std::iter::from_fn(|| lab.mesh.poll_output());
        outputs.any(|output| matches!(output, Output::Event(crate::Event::Drained(_))))
    };
    let (session, now) = (lab.session, lab.now);
    lab.mesh.cancel(session, FIRST, now);
    assert!(!drained(&mut lab));
    lab.mesh.cancel(session, AskId(1_001), now);
    lab.mesh.recalled(session, recalls[0].0);
    assert!(drained(&mut lab));
}

#[test]
fn a_dyno_that_may_still_be_in_use_does_not_look_idle() {
    let mut lab = Lab::new(open(), &["web.1", "web.2"]);
    reserve(&mut lab, 4);
    change(&mut lab, "a", set("web.1", DynoState::Draining));
    assert_eq!(load(&lab).1, [2, 0]);
    let (session, now) = (lab.session, lab.now);
    for ask in 1_000..1_004 {
        lab.mesh.cancel(session, AskId(ask), now);
    }
    assert_eq!(load(&lab).1, [0, 0]);
}

#[test]
fn what_is_on_its_way_back_is_no_request() {
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 4);
    let limited = Settings {
        max_requests: Some(1),
        ..open()
    };
    change(&mut lab, "a", Operation::PutSettings(limited));
    let first = lab.ask();
    assert_eq!(lab.answer(first), Ok("web.1".into()));
    let second = lab.ask();
    assert_eq!(lab.answer(second), Err(Refusal::TooManyRequests));
}

#[test]
fn a_dyno_that_refuses_is_not_used_ahead() {
    let mut lab = Lab::new(open(), &["web.1", "web.2"]);
    reserve(&mut lab, 4);
    let (session, now) = (lab.session, lab.now);
    lab.mesh.checkin(session, FIRST, Outcome::Refused, now);
    let outputs: Vec<_> = std::iter::from_fn(|| lab.mesh.poll_output()).collect();
    let recalled = |output: &Output| matches!(output, Output::Recall(it) if it.session == session);
    assert!(outputs.iter().any(recalled), "{outputs:?}");
}

#[test]
fn what_a_hello_does_not_hold_is_not_held() {
    let mut lab = Lab::new(open(), &["web.1"]);
    reserve(&mut lab, 3);
    let held = [(AskId(1_001), "web.1-1".into())];
    let now = Time::from_micros(lab.now.as_micros() + 1);
    let session = lab.mesh.hello(WorkerId(1), held, now).unwrap();
    lab.mesh.check_invariants().unwrap();
    assert_eq!(load(&lab), (1, vec![1]));
    lab.mesh.checkin(session, AskId(1_001), Outcome::Done, now);
    assert_eq!(load(&lab), (0, vec![0]));
    // Its request had it before the link broke.
    assert_eq!(lab.mesh.totals().counters.routed, 1);
}
