//! What others call leases of workers here, and that they hear of their end.

use super::*;

/// Leases that a worker has, with what others call them.
fn numbers(words: &[ToPeer]) -> Vec<AskId> {
    let leases = |word: &ToPeer| match word {
        ToPeer::Hello(held) | ToPeer::Report(held) => held.leases.clone(),
        _ => Vec::new(),
    };
    let leases = words.iter().flat_map(leases);
    leases.map(|(id, _)| id).collect()
}

/// A worker comes, always the same one, and says that it holds these leases.
fn worker(lab: &mut Lab, leases: &[(u64, &str)]) -> crate::SessionKey {
    let leases = leases
        .iter()
        .map(|(ask, dyno)| (AskId(*ask), (*dyno).into()));
    let hello = lab.mesh.hello(crate::WorkerId(77), leases, lab.now);
    hello.unwrap()
}

#[test]
fn a_lease_that_comes_back_is_the_same_one() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    said(&mut lab);
    let session = worker(&mut lab, &[(1, "x-1"), (2, "x-1")]);
    let given = numbers(&said(&mut lab));
    assert_eq!(given.len(), 2);
    // The other one has read on, and is the owner again: what ends meanwhile concerns it.
    lab.mesh.own(ownership(8, ME), lab.now);
    said(&mut lab);
    lab.mesh.check_invariants().unwrap();
    lab.mesh.checkin(session, AskId(1), Outcome::Done, lab.now);
    assert_eq!(said(&mut lab), [ToPeer::Cancel(given[0])]);
    // Its worker comes again with the other lease.
    let session = worker(&mut lab, &[(2, "x-1")]);
    assert_eq!(said(&mut lab), [], "it has not ended");
    lab.mesh.own(ownership(9, OTHER), lab.now);
    assert_eq!(numbers(&said(&mut lab)), [given[1]]);
    lab.mesh.checkin(session, AskId(2), Outcome::Done, lab.now);
    let end = ToPeer::Checkin(given[1], Outcome::Done);
    assert_eq!(said(&mut lab), [end]);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn an_owner_of_before_that_has_read_further_hears_of_the_end() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    let session = worker(&mut lab, &[(1, "x-1")]);
    let given = numbers(&said(&mut lab));
    lab.mesh.own(ownership(8, THIRD), lab.now);
    said(&mut lab);
    lab.mesh.checkin(session, AskId(1), Outcome::Done, lab.now);
    assert_eq!(said(&mut lab), [ToPeer::Cancel(given[0])]);
}

#[test]
fn a_workers_lease_of_a_dyno_that_is_not_known_yet_is_not_forgotten() {
    for mine in [true, false] {
        let mut lab = lab(Exact::Strict, &[]);
        let owner = if mine { ME } else { OTHER };
        lab.mesh.own(ownership(7, owner), lab.now);
        lab.mesh.peer_up(OTHER, lab.now);
        said(&mut lab);
        let session = worker(&mut lab, &[(1, "x-1"), (2, "y-1")]);
        let given = numbers(&said(&mut lab));
        assert_eq!(given.len(), 2, "whoever gave them out has to know");
        // A new link is told the same.
        lab.mesh.peer_up(OTHER, lab.now);
        assert_eq!(numbers(&said(&mut lab)), given);
        lab.mesh.checkin(session, AskId(2), Outcome::Done, lab.now);
        assert_eq!(said(&mut lab), [ToPeer::Cancel(given[1])]);
        lab.change("a", vec![put("x"), put("y")]).unwrap();
        lab.mesh.check_invariants().unwrap();
        let view = lab.mesh.app("a", lab.now).unwrap();
        assert_eq!(view.dynos[0].load, u32::from(mine));
        assert_eq!(lab.mesh.totals().away, usize::from(!mine));
        said(&mut lab);
        lab.mesh.checkin(session, AskId(1), Outcome::Done, lab.now);
        let end = match mine {
            true => ToPeer::Cancel(given[0]),
            false => ToPeer::Checkin(given[0], Outcome::Done),
        };
        assert_eq!(said(&mut lab), [end]);
        lab.mesh.check_invariants().unwrap();
    }
}

#[test]
fn a_lease_that_is_somebody_elses_for_a_moment_is_said_of_the_next_owner_all_the_same() {
    for doubtful in [false, true] {
        let mut lab = lab(Exact::Strict, &["x"]);
        own(&mut lab, 7);
        let lease = [(5, "x-1")];
        let hello = if doubtful {
            held(6, &lease)
        } else {
            held(7, &lease)
        };
        let session = lab.mesh.peer_hello(OTHER, hello, lab.now).unwrap();
        // It has read on: of the first it is said to somebody else, of the second here.
        lab.mesh.peer_report(session, held(8, &[]), lab.now);
        lab.mesh.peer_report(session, held(9, &lease), lab.now);
        lab.mesh.own(ownership(8, OTHER), lab.now);
        own(&mut lab, 9);
        let ask = lab.ask();
        assert_eq!(lab.answers(), [], "it has that still");
        lab.mesh.checkin(session, AskId(5), Outcome::Done, lab.now);
        assert_eq!(lab.answers(), [(ask, Ok("x".into()))]);
        lab.mesh.check_invariants().unwrap();
    }
}

#[test]
fn the_lease_of_an_app_that_is_deleted_comes_to_whoever_owns_it_then() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, ME), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    worker(&mut lab, &[(1, "x-1")]);
    lab.change("a", vec![Operation::DeleteApp]).unwrap();
    said(&mut lab);
    lab.mesh.own(ownership(8, OTHER), lab.now);
    let given = numbers(&said(&mut lab));
    assert_eq!(given.len(), 1, "it may not have read of that");
    lab.mesh.check_invariants().unwrap();
    // There is another app of this name, with the same dyno.
    let settings = Settings {
        exact: Some(Exact::Strict),
        ..Settings::default()
    };
    let again = vec![Operation::CreateApp(settings), put("x")];
    lab.change("a", again).unwrap();
    lab.mesh.own(ownership(9, ME), lab.now);
    let view = lab.mesh.app("a", lab.now).unwrap();
    assert_eq!(view.dynos[0].load, 1);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn who_waits_elsewhere_for_an_app_that_is_deleted_is_told() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    let ask = lab.ask();
    lab.change("a", vec![Operation::DeleteApp]).unwrap();
    assert_eq!(lab.answers(), [(ask, Err(Refusal::UnknownName))]);
    assert_eq!(lab.mesh.totals().away, 0);
    lab.mesh.check_invariants().unwrap();
}

#[test]
fn whoever_is_told_of_a_lease_that_is_anothers_is_told_of_its_end() {
    let mut lab = lab(Exact::Strict, &["x"]);
    lab.mesh.own(ownership(7, THIRD), lab.now);
    let session = worker(&mut lab, &[(1, "x-1")]);
    lab.mesh.peer_up(OTHER, lab.now);
    let words = said(&mut lab);
    let [ToPeer::Hello(hello)] = &words[..] else {
        panic!("{words:?}");
    };
    let id = hello.others[0].0;
    lab.mesh.checkin(session, AskId(1), Outcome::Done, lab.now);
    assert_eq!(said(&mut lab), [ToPeer::Cancel(id)]);
}

#[test]
fn a_lease_that_was_reserved_before_another_one_decided_is_told_when_a_request_has_it() {
    let open = Settings {
        policy: crate::Policy::LeastLoad,
        ..Settings::default()
    };
    let mut lab = Lab::new(open, &["x"]);
    lab.mesh.share_apps(ME);
    lab.mesh.own(ownership(7, OTHER), lab.now);
    lab.mesh.peer_up(OTHER, lab.now);
    let first = AskId(1_000);
    assert!(lab.mesh.reserve(lab.session, first, 2, "a.test"));
    let exact = Settings {
        exact: Some(Exact::Strict),
        ..Settings::default()
    };
    lab.change("a", vec![Operation::PutSettings(exact)])
        .unwrap();
    said(&mut lab);
    lab.mesh.taken(lab.session, first, lab.now);
    assert_eq!(numbers(&said(&mut lab)).len(), 1);
    lab.mesh.check_invariants().unwrap();
}
