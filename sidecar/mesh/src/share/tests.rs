//! Load that others have, and load that they are told of.
#![allow(clippy::unwrap_used)]

use crate::{
    AskId, DynoState, Extent, Heard, LoadReport, NodeId, Operation, Outcome, Policy, Settings,
    WHOLE,
    testing::{Lab, put, set},
};

fn least() -> Settings {
    Settings {
        policy: Policy::LeastLoad,
        ..Settings::default()
    }
}

/// What another node says.
fn say(lab: &mut Lab, node: u64, seq: u64, extent: Extent, loads: &[(&str, u32)]) -> Heard {
    let report = LoadReport {
        node: NodeId(node),
        name: "other".into(),
        epoch: 1,
        seq,
        extent,
        loads: loads.iter().map(|(i, n)| ((*i).into(), *n)).collect(),
    };
    let heard = lab.mesh.hear_load(report, lab.now);
    lab.mesh.check_invariants().unwrap();
    heard
}

fn elsewhere(lab: &Lab) -> Vec<u32> {
    let view = lab.mesh.app("a", lab.now).unwrap();
    view.dynos.iter().map(|dyno| dyno.elsewhere).collect()
}

/// Everything there is to tell.
fn untold(lab: &mut Lab) -> Vec<(Box<str>, u32)> {
    let mut all = Vec::new();
    while lab.mesh.has_untold() {
        all.extend(lab.mesh.poll_untold(2));
        lab.mesh.check_invariants().unwrap();
    }
    all.sort();
    all
}

fn told(loads: &[(&str, u32)]) -> Vec<(Box<str>, u32)> {
    loads.iter().map(|(i, n)| ((*i).into(), *n)).collect()
}

#[test]
fn the_least_loaded_is_so_with_everybodys_requests() {
    let mut lab = Lab::new(least(), &["web.1", "web.2"]);
    say(&mut lab, 7, 1, WHOLE, &[("web.1-1", 2)]);
    say(&mut lab, 8, 1, WHOLE, &[("web.1-1", 1)]);
    assert_eq!(elsewhere(&lab), [3, 0]);
    for _ in 0..3 {
        let ask = lab.ask();
        assert_eq!(lab.answer(ask), Ok("web.2".into()));
    }
    // It counts like load here, and is none.
    assert_eq!(lab.loads("a"), [0, 3]);
    say(&mut lab, 8, 2, Extent::Changes, &[("web.1-1", 0)]);
    let ask = lab.ask();
    assert_eq!(lab.answer(ask), Ok("web.1".into()));
    assert_eq!(lab.mesh.totals().leases, 4);
}

#[test]
fn under_a_limit_who_is_busy_elsewhere_is_not_idle() {
    let mut lab = Lab::new(Settings::default(), &["web.1", "web.2"]);
    say(&mut lab, 7, 1, WHOLE, &[("web.1-1", 1)]);
    let first = lab.ask();
    assert_eq!(lab.answer(first), Ok("web.2".into()));
    // Both are busy, each for somebody else: the next one waits.
    let second = lab.ask();
    assert!(lab.answers().is_empty());
    // For either of them.
    say(&mut lab, 7, 2, Extent::Changes, &[("web.1-1", 0)]);
    assert_eq!(lab.answer(second), Ok("web.1".into()));
    let third = lab.ask();
    say(&mut lab, 7, 3, Extent::Changes, &[("web.1-1", 1)]);
    assert!(lab.answers().is_empty());
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.answer(third), Ok("web.2".into()));
}

#[test]
fn nobody_waits_for_a_node_that_is_gone() {
    let mut lab = Lab::new(Settings::default(), &["web.1"]);
    say(&mut lab, 7, 1, WHOLE, &[("web.1-1", 1)]);
    let ask = lab.ask();
    lab.wait(1_000);
    // It says that it is there.
    assert_eq!(say(&mut lab, 7, 2, Extent::Changes, &[]), Heard::Taken);
    lab.wait(1_499);
    assert!(lab.answers().is_empty());
    assert_eq!(lab.mesh.node_count(), 1);
    lab.wait(1);
    assert_eq!(lab.answer(ask), Ok("web.1".into()));
    assert_eq!((elsewhere(&lab), lab.mesh.node_count()), (vec![0], 0));
    // Nothing old brings it back.
    lab.checkin(ask, Outcome::Done);
    assert_eq!(
        say(&mut lab, 7, 3, Extent::Changes, &[("web.1-1", 1)]),
        Heard::Waits
    );
    assert_eq!(elsewhere(&lab), [0]);
    say(&mut lab, 7, 4, WHOLE, &[("web.1-1", 1)]);
    let ask = lab.ask();
    assert!(lab.answers().is_empty());
    lab.mesh.node_gone(NodeId(7), lab.now);
    lab.mesh.check_invariants().unwrap();
    assert_eq!(lab.answer(ask), Ok("web.1".into()));
    assert!(lab.mesh.nodes(lab.now).is_empty());
}

#[test]
fn own_limits_hold_whatever_others_say() {
    let mut lab = Lab::new(Settings::default(), &["web.1"]);
    let first = lab.ask();
    assert_eq!(lab.answer(first), Ok("web.1".into()));
    say(&mut lab, 7, 1, WHOLE, &[("web.1-1", u32::MAX)]);
    let second = lab.ask();
    say(&mut lab, 7, 2, WHOLE, &[]);
    assert!(lab.answers().is_empty(), "it has one request from here");
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.answer(second), Ok("web.1".into()));
}

#[test]
fn a_dyno_that_comes_later_is_busy_where_it_is() {
    let mut lab = Lab::new(least(), &["web.1"]);
    say(&mut lab, 7, 1, WHOLE, &[("web.2-1", 1)]);
    lab.change("a", vec![put("web.2")]).unwrap();
    assert_eq!(elsewhere(&lab), [0, 1]);
    let ask = lab.ask();
    assert_eq!(lab.answer(ask), Ok("web.1".into()));
    lab.change("a", vec![Operation::RemoveDyno("web.2".into())])
        .unwrap();
    say(&mut lab, 7, 2, WHOLE, &[]);
    lab.change("a", vec![put("web.2")]).unwrap();
    assert_eq!(elsewhere(&lab), [0, 0]);
}

#[test]
fn what_changed_is_told_once_and_nothing_that_did_not() {
    let mut lab = Lab::new(least(), &["web.1", "web.2", "web.3"]);
    lab.ask();
    // Nobody is there to be told.
    assert!(!lab.mesh.has_untold());

    let mut lab = Lab::new(least(), &["web.1", "web.2", "web.3"]);
    lab.mesh.share_load();
    let asks: Vec<_> = (0..6).map(|_| lab.ask()).collect();
    let all = [("web.1-1", 2), ("web.2-1", 2), ("web.3-1", 2)];
    assert_eq!(untold(&mut lab), told(&all));
    assert_eq!(untold(&mut lab), []);
    // As it was, when it is looked at again.
    lab.checkin(asks[0], Outcome::Done);
    lab.ask();
    assert_eq!(untold(&mut lab), []);
    // Leases that no request has are no load.
    let session = lab.session;
    assert!(lab.mesh.reserve(session, AskId(1_000), 3, "a.test"));
    assert_eq!(untold(&mut lab), []);
    lab.mesh.taken(session, AskId(1_001), lab.now);
    assert_eq!(untold(&mut lab).len(), 1);
    let now = lab.now;
    lab.mesh.close_session(session, now);
    let all = [("web.1-1", 0), ("web.2-1", 0), ("web.3-1", 0)];
    assert_eq!(untold(&mut lab), told(&all));
}

#[test]
fn of_a_dyno_that_is_forgotten_the_end_is_told() {
    let mut lab = Lab::new(least(), &["web.1", "web.2"]);
    lab.mesh.share_load();
    lab.change("a", vec![set("web.2", DynoState::Down)])
        .unwrap();
    let ask = lab.ask();
    assert_eq!(untold(&mut lab), told(&[("web.1-1", 1)]));
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    lab.checkin(ask, Outcome::Done);
    // Another one has its place now, and something to tell as well.
    lab.change("a", vec![put("web.3"), set("web.2", DynoState::Up)])
        .unwrap();
    lab.ask();
    lab.ask();
    let all = [("web.1-1", 0), ("web.2-1", 1), ("web.3-1", 1)];
    assert_eq!(untold(&mut lab), told(&all));
    // One that came and went in between is not told of.
    lab.change("a", vec![put("web.4")]).unwrap();
    let ask = lab.ask();
    lab.change("a", vec![Operation::RemoveDyno("web.4".into())])
        .unwrap();
    lab.checkin(ask, Outcome::Done);
    assert_eq!(untold(&mut lab), []);
}
