#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::{
    AskId, FarAnswer, FarAsk, Held, Operation, Outcome, Output, Settings, ToPeer,
    testing::{Lab, dyno, put},
};

mod numbers;

const ME: PeerId = PeerId(1);
const OTHER: PeerId = PeerId(2);

/// Everything is this one's.
fn ownership(epoch: u64, owner: PeerId) -> Ownership {
    Ownership {
        epoch,
        me: ME,
        peers: BTreeSet::from([OTHER]),
        owners: vec![Some(owner); SHARDS],
    }
}

/// An app "a" of which only one may have a request at a time.
fn lab(exact: Exact, dynos: &[&str]) -> Lab {
    let settings = Settings {
        exact: Some(exact),
        ..Settings::default()
    };
    let mut lab = Lab::new(settings, dynos);
    lab.mesh.share_apps(ME);
    lab
}

/// It owns everything in this epoch, for long.
fn own(lab: &mut Lab, epoch: u64) {
    lab.mesh.own(ownership(epoch, ME), lab.now);
    let term = Term {
        until: lab.now + Duration::from_secs(3_600),
        blocked: BTreeMap::new(),
    };
    lab.mesh.serve_term(term, lab.now);
}

fn held(epoch: u64, leases: &[(u64, &str)]) -> Held {
    let lease = |(ask, instance): &(u64, &str)| (AskId(*ask), (*instance).into());
    Held {
        epoch,
        whole: true,
        shards: BTreeSet::new(),
        leases: leases.iter().map(lease).collect(),
        others: Vec::new(),
    }
}

fn said(lab: &mut Lab) -> Vec<ToPeer> {
    let outputs = lab.outputs().into_iter();
    let said = outputs.filter_map(|output| match output {
        Output::ToPeer(OTHER, word) => Some(word),
        _ => None,
    });
    said.collect()
}

#[test]
fn an_owner_waits_until_all_have_said_what_they_hold() {
    let mut lab = lab(Exact::Strict, &["x", "y"]);
    own(&mut lab, 7);
    let ask = lab.ask();
    assert_eq!(lab.answers(), []);
    let hello = held(7, &[(5, "x-1")]);
    let session = lab.mesh.peer_hello(OTHER, hello, lab.now).unwrap();
    assert_eq!(lab.answers(), [(ask, Ok("y".into()))]);
    let next = lab.ask();
    assert_eq!(lab.answers(), []);
    lab.mesh.checkin(session, AskId(5), Outcome::Done, lab.now);
    assert_eq!(lab.answers(), [(next, Ok("x".into()))]);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn what_is_said_of_a_later_epoch_counts_when_that_is_read() {
    let mut lab = lab(Exact::Strict, &["x"]);
    own(&mut lab, 7);
    lab.mesh.peer_hello(OTHER, held(9, &[]), lab.now).unwrap();
    let ask = lab.ask();
    assert_eq!(lab.answers(), [], "it is not said of this one");
    lab.mesh.own(ownership(9, ME), lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
}

#[test]
fn a_lease_of_a_dyno_that_is_not_known_yet_is_not_forgotten() {
    let mut lab = lab(Exact::Strict, &[]);
    own(&mut lab, 7);
    let leases = held(7, &[(5, "x-1"), (6, "y-1")]);
    let session = lab.mesh.peer_hello(OTHER, leases, lab.now).unwrap();
    lab.mesh.checkin(session, AskId(6), Outcome::Done, lab.now);
    lab.change("a", vec![put("x"), put("y")]).unwrap();
    let view = lab.mesh.app("a", lab.now).unwrap();
    assert_eq!([view.dynos[0].load, view.dynos[1].load], [1, 0]);
    let (first, second) = (lab.ask(), lab.ask());
    assert_eq!(lab.answers(), [(first, Ok("y".into()))]);
    lab.mesh.checkin(session, AskId(5), Outcome::Done, lab.now);
    assert_eq!(lab.answers(), [(second, Ok("x".into()))]);
}

#[test]
fn who_does_not_own_asks_and_passes_on_what_it_is_told() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    assert_eq!(said(&mut lab), [ToPeer::Hello(held(7, &[]))]);
    let ask = lab.ask();
    let asked = said(&mut lab);
    let [ToPeer::Ask(FarAsk { id, app, .. })] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(&**app, "a");
    let route = crate::Route {
        dyno: std::sync::Arc::new(crate::DynoInfo {
            app: "a".into(),
            name: "x".into(),
            instance: "x-1".into(),
            address: dyno("x").address,
        }),
        limited: true,
        others: 0,
        counted: false,
        gone: false,
        again: Duration::ZERO,
        edition: None,
    };
    let answer = FarAnswer {
        ask: *id,
        wait: Duration::ZERO,
        depth: 0,
        in_use: 1,
        result: Ok(route),
    };
    lab.mesh.peer_answer(OTHER, answer.clone(), lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
    // Said twice, or after all: it means nothing more.
    lab.mesh.peer_answer(OTHER, answer, lab.now);
    assert_eq!(lab.answers(), []);
    assert_eq!(lab.mesh.totals().away, 1);
    lab.checkin(ask, Outcome::Done);
    assert_eq!(said(&mut lab), [ToPeer::Checkin(*id, Outcome::Done)]);
    assert_eq!(lab.mesh.totals().away, 0);
}

#[test]
fn without_an_owner_strict_is_refused_and_available_gets_what_is_here() {
    for (exact, answer, loose) in [
        (Exact::Strict, Err(Refusal::NoOwner), 0),
        (Exact::Available, Ok("x".into()), 1),
    ] {
        let mut lab = lab(exact, &["x"]);
        lab.mesh.own(ownership(7, OTHER), lab.now);
        let ask = lab.ask();
        assert_eq!(lab.answers(), [], "it may come");
        lab.wait(5_000);
        assert_eq!(lab.answers(), [(ask, answer.clone())]);
        assert_eq!(lab.mesh.totals().counters.loose, loose);
        if loose == 0 {
            let next = lab.ask();
            assert_eq!(lab.answers(), [(next, answer)], "at once");
        }
    }
}

#[test]
fn a_term_that_ends_ends_the_granting() {
    let mut lab = lab(Exact::Strict, &["x"]);
    own(&mut lab, 7);
    lab.mesh.peer_hello(OTHER, held(7, &[]), lab.now).unwrap();
    let until = lab.now + Duration::from_secs(1);
    let blocked = BTreeMap::new();
    let term = |until| Term {
        until,
        blocked: BTreeMap::new(),
    };
    lab.mesh.serve_term(Term { until, blocked }, lab.now);
    let first = lab.ask();
    assert_eq!(lab.answers(), [(first, Ok("x".into()))]);
    lab.checkin(first, Outcome::Done);
    lab.wait(1_000);
    let second = lab.ask();
    assert_eq!(lab.answers(), []);
    lab.mesh
        .serve_term(term(lab.now + Duration::from_secs(1)), lab.now);
    assert_eq!(lab.answers(), [(second, Ok("x".into()))]);
}

#[test]
fn whose_node_is_dead_is_not_waited_for() {
    let mut lab = lab(Exact::Strict, &["x"]);
    own(&mut lab, 7);
    let session = lab.mesh.peer_hello(OTHER, held(7, &[(5, "x-1")]), lab.now);
    lab.mesh.lose_session(session.unwrap(), lab.now);
    let ask = lab.ask();
    lab.wait(1_000);
    assert_eq!(lab.answers(), []);
    let forgotten = Ownership {
        peers: BTreeSet::new(),
        ..ownership(8, ME)
    };
    lab.mesh.own(forgotten, lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
    lab.change("a", vec![Operation::DeleteApp]).unwrap();
}

/// Whoever has no request of an app says so, also if somebody else decides for it.
#[test]
fn what_is_decided_elsewhere_is_idle_when_nobody_here_asks() {
    let settings = Settings {
        exact: Some(Exact::Strict),
        idle_timeout: Some(Duration::from_secs(1)),
        ..Settings::default()
    };
    let mut lab = Lab::new(settings, &["x"]);
    lab.mesh.share_apps(ME);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    let ask = lab.ask();
    lab.wait(3_000);
    assert!(!lab.mesh.is_idle("a"));
    lab.mesh.cancel(lab.session, ask, lab.now);
    lab.wait(999);
    assert!(!lab.mesh.is_idle("a"));
    lab.wait(1);
    assert!(lab.mesh.is_idle("a"));
    lab.ask();
    assert!(!lab.mesh.is_idle("a"));
}

#[test]
fn a_former_owner_that_has_not_read_on_is_told_of_what_workers_here_have() {
    let (mut here, mut there) = (lab(Exact::Strict, &["x"]), lab(Exact::Strict, &["x"]));
    // The other one owns everything, and knows of no later epoch.
    own(&mut there, 7);
    there
        .mesh
        .peer_hello(OTHER, held(7, &[]), there.now)
        .unwrap();
    // A sidecar comes again with what its worker has, and owns everything from now on.
    let leases = [(AskId(1), "x-1".into())];
    let (worker, now) = (crate::WorkerId(77), here.now);
    here.mesh.hello(worker, leases, now).unwrap();
    own(&mut here, 8);
    here.mesh.peer_up(OTHER, now);
    let words = said(&mut here);
    let [ToPeer::Hello(hello)] = &words[..] else {
        panic!("{words:?}");
    };
    assert_eq!((hello.epoch, hello.leases.len()), (8, 0));
    there
        .mesh
        .peer_hello(OTHER, hello.clone(), there.now)
        .unwrap();
    there.ask();
    assert_eq!(there.answers(), [], "it is not free");
    here.mesh.check_invariants().unwrap();
    there.mesh.check_invariants().unwrap();
}

#[test]
fn who_owned_nothing_loses_nothing() {
    let mut lab = lab(Exact::Strict, &["x"]);
    assert!(!lab.mesh.disown(lab.now), "nothing is known yet");
    lab.mesh.own(ownership(7, OTHER), lab.now);
    assert!(!lab.mesh.disown(lab.now), "it is all the other one's");
    own(&mut lab, 8);
    assert!(lab.mesh.disown(lab.now));
    assert!(!lab.mesh.disown(lab.now), "it is lost already");
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn who_speaks_for_another_one_speaks_of_what_it_had_itself() {
    let mut lab = lab(Exact::Strict, &["x", "y"]);
    own(&mut lab, 7);
    let ask = lab.ask();
    let of = Shard::of("a");
    let (its, rest): (BTreeSet<_>, BTreeSet<_>) = Shard::all().partition(|it| *it == of);
    let vouched = |shards, leases| Held {
        whole: false,
        shards,
        ..held(7, leases)
    };
    lab.mesh
        .peer_vouch(OTHER, vouched(rest, &[]), lab.now)
        .unwrap();
    assert_eq!(lab.answers(), [], "of this shard nothing is said");
    let known = vouched(its, &[(5, "x-1")]);
    lab.mesh.peer_vouch(OTHER, known, lab.now).unwrap();
    assert_eq!(lab.answers(), [(ask, Ok("y".into()))]);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn who_comes_again_and_has_not_read_on_keeps_what_somebody_else_spoke_of() {
    for keeps in [true, false] {
        let mut lab = lab(Exact::Strict, &["x"]);
        own(&mut lab, 9);
        let vouched = Held {
            whole: false,
            shards: Shard::all().collect(),
            ..held(9, &[(5, "x-1")])
        };
        lab.mesh.peer_vouch(OTHER, vouched, lab.now).unwrap();
        let ask = lab.ask();
        assert_eq!(lab.answers(), []);
        // It thinks of that as somebody else's.
        let others = held(7, &[(5, "x-1")]).leases;
        let hello = Held {
            others,
            ..held(7, &[])
        };
        let session = lab.mesh.peer_hello(OTHER, hello, lab.now).unwrap();
        assert_eq!(lab.answers(), [], "it holds it still");
        // Unless it told that one of its end: so now it says.
        let leases: &[_] = if keeps { &[(5, "x-1")] } else { &[] };
        lab.mesh.peer_report(session, held(9, leases), lab.now);
        if keeps {
            assert_eq!(lab.answers(), []);
            lab.mesh.checkin(session, AskId(5), Outcome::Done, lab.now);
        }
        assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
        lab.mesh.check_invariants().unwrap();
    }
}

/// Another one.
const THIRD: PeerId = PeerId(3);

#[test]
fn who_had_a_shard_says_of_everybody_what_they_have_of_it() {
    let mut lab = lab(Exact::Strict, &["x"]);
    let owned_by = |epoch, owner| Ownership {
        peers: [OTHER, THIRD].into(),
        ..ownership(epoch, owner)
    };
    let vouches = |lab: &mut Lab| -> Vec<_> {
        let of = |word| match word {
            ToPeer::Vouch(of, held) => Some((of, held.leases)),
            _ => None,
        };
        said(lab).into_iter().filter_map(of).collect()
    };
    own(&mut lab, 6);
    lab.mesh.own(owned_by(7, ME), lab.now);
    lab.mesh.peer_hello(OTHER, held(7, &[]), lab.now).unwrap();
    lab.mesh.peer_up(OTHER, lab.now);
    // Of the third one nothing is known: it has not said what it has of before.
    lab.mesh.own(owned_by(8, OTHER), lab.now);
    assert_eq!(vouches(&mut lab), []);
    lab.mesh.own(owned_by(9, ME), lab.now);
    let hello = held(9, &[(5, "x-1")]);
    lab.mesh.peer_hello(THIRD, hello, lab.now).unwrap();
    lab.mesh.own(owned_by(10, OTHER), lab.now);
    let lease = vec![(AskId(5), "x-1".into())];
    assert_eq!(vouches(&mut lab), [(THIRD, lease)]);
    // What it had is over, and its session with it.
    lab.mesh.own(owned_by(11, ME), lab.now);
    let session = lab.mesh.peer_hello(THIRD, held(11, &[]), lab.now).unwrap();
    lab.mesh.close_session(session, lab.now);
    lab.mesh.own(owned_by(12, OTHER), lab.now);
    assert_eq!(vouches(&mut lab), [(THIRD, Vec::new())]);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn what_somebody_else_spoke_of_ends_when_its_holder_says_so_or_says_nothing() {
    for speaks in [true, false] {
        let mut lab = lab(Exact::Strict, &["x"]);
        let session = lab.mesh.peer_hello(OTHER, held(0, &[]), lab.now).unwrap();
        own(&mut lab, 9);
        let vouched = Held {
            whole: false,
            shards: Shard::all().collect(),
            ..held(9, &[(5, "x-1")])
        };
        lab.mesh
            .peer_vouch(OTHER, vouched.clone(), lab.now)
            .unwrap();
        let ask = lab.ask();
        assert_eq!(lab.answers(), [], "it has it, live or not");
        let load = |lab: &Lab| lab.mesh.app("a", lab.now).unwrap().dynos[0].load;
        if speaks {
            lab.mesh.peer_report(session, held(9, &[]), lab.now);
            assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
            // It comes late, and is not news.
            lab.mesh.peer_vouch(OTHER, vouched, lab.now).unwrap();
        } else {
            lab.wait(599_000);
            assert_eq!(load(&lab), 1);
            lab.wait(2_000);
        }
        assert_eq!(load(&lab), u32::from(speaks));
        lab.mesh.check_invariants().unwrap();
    }
}

#[test]
fn places_of_another_log_are_newer_than_those_of_the_one_before() {
    let mut lab = lab(Exact::Strict, &["x"]);
    own(&mut lab, 50_000);
    let early = held(50_007, &[]);
    let session = lab.mesh.peer_hello(OTHER, early, lab.now).unwrap();
    assert!(lab.mesh.disown(lab.now));
    own(&mut lab, 3);
    let ask = lab.ask();
    assert_eq!(lab.answers(), [], "the other one has not said what it has");
    lab.mesh.peer_report(session, held(3, &[]), lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
    lab.checkin(ask, Outcome::Done);
    // What was said in the log before is not said of this one.
    lab.mesh.own(ownership(50_009, OTHER), lab.now);
    own(&mut lab, 50_010);
    let ask = lab.ask();
    assert_eq!(lab.answers(), []);
    lab.mesh.peer_report(session, held(50_010, &[]), lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
}

#[test]
fn what_was_said_before_ends_nothing_that_is_said_after_it() {
    let mut lab = lab(Exact::Strict, &["x"]);
    own(&mut lab, 7);
    let session = lab.mesh.peer_hello(OTHER, held(7, &[]), lab.now).unwrap();
    // It has read on, is put out, and has a lease that it got before.
    lab.mesh.peer_report(session, held(9, &[]), lab.now);
    lab.mesh
        .peer_report(session, held(0, &[(5, "x-1")]), lab.now);
    let ask = lab.ask();
    own(&mut lab, 9);
    assert_eq!(lab.answers(), []);
    lab.mesh.peer_report(session, held(9, &[]), lab.now);
    assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
}
