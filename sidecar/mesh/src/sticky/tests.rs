#![allow(clippy::unwrap_used)]
use std::collections::HashMap;

use super::*;
use crate::{Ask, AskId, Operation, Outcome, Output, Policy, Settings, testing::*};

fn lab(policy: Policy, dynos: u32) -> Lab {
    let settings = Settings {
        policy,
        ..Settings::default()
    };
    let names: Vec<_> = (1..=dynos).map(|n| format!("web.{n}")).collect();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    Lab::new(settings, &names)
}

/// Prefers the dyno of this name.
fn named(name: &str) -> Prefer {
    Prefer::Dyno(mark(&format!("{name}-1")))
}

/// Asks so, and gives the dyno's name and whether the preferred one is gone.
fn route(lab: &mut Lab, prefer: Prefer, tried: &[&str]) -> (AskId, String, bool) {
    let ask = lab.ask_as(Ask {
        prefer: Some(prefer),
        tried: tried.iter().map(|t| (*t).into()).collect(),
        ..Ask::new(AskId(0), "a.test")
    });
    let mut answers = lab.outputs().into_iter().filter_map(|output| match output {
        Output::Answer(answer) if answer.ask == ask => answer.result.ok(),
        _ => None,
    });
    let route = answers.next().expect("a dyno");
    (ask, (*route.dyno.name).into(), route.gone)
}

#[test]
fn marks_are_what_they_have_always_been() {
    // Cookies have them, and sidecars of several versions work together.
    assert_eq!(mark("web.1-1"), 0xadca_3a25_fc33_84f6);
    assert_ne!(mark("web.1-1"), mark("web.1-2"));
}

#[test]
fn the_preferred_dyno_is_taken_as_long_as_it_may_be() {
    let mut lab = lab(Policy::LeastLoad, 5);
    for _ in 0..20 {
        let (_, name, gone) = route(&mut lab, named("web.3"), &[]);
        assert_eq!((&*name, gone), ("web.3", false));
    }
    assert_eq!(lab.loads("a"), [0, 0, 20, 0, 0]);
    let (_, name, gone) = route(&mut lab, named("web.9"), &[]);
    assert!(name != "web.3" && gone);
    lab.change("a", vec![set("web.3", DynoState::Draining)])
        .unwrap();
    let (_, name, gone) = route(&mut lab, named("web.3"), &[]);
    assert!(name != "web.3" && gone);
}

#[test]
fn who_is_busy_is_not_gone_and_nobody_is_overtaken() {
    let mut lab = lab(Policy::IdleOnly, 2);
    let (first, name, _) = route(&mut lab, named("web.2"), &[]);
    assert_eq!(name, "web.2");
    let (second, name, gone) = route(&mut lab, named("web.2"), &[]);
    assert_eq!((&*name, gone), ("web.1", false));
    // Whoever comes first is first, whatever is preferred.
    let any = lab.ask();
    let sticky = lab.ask_as(Ask {
        prefer: Some(named("web.2")),
        ..Ask::new(AskId(0), "a.test")
    });
    assert_eq!(lab.answers(), []);
    lab.checkin(first, Outcome::Done);
    assert_eq!(lab.answer(any), Ok("web.2".into()));
    lab.checkin(second, Outcome::Done);
    assert_eq!(lab.answer(sticky), Ok("web.1".into()));
}

#[test]
fn a_dyno_that_failed_it_is_not_preferred_again() {
    let mut lab = lab(Policy::IdleOnly, 2);
    let (ask, name, _) = route(&mut lab, named("web.2"), &[]);
    assert_eq!(name, "web.2");
    lab.checkin(ask, Outcome::Failed);
    let (ask, name, gone) = route(&mut lab, named("web.2"), &["web.2-1"]);
    assert_eq!((&*name, gone), ("web.1", true));
    lab.checkin(ask, Outcome::Done);
    // In quarantine.
    let (ask, ..) = route(&mut lab, named("web.2"), &[]);
    lab.checkin(ask, Outcome::Refused);
    let (_, name, gone) = route(&mut lab, named("web.2"), &[]);
    assert_eq!((&*name, gone), ("web.1", true));
}

#[test]
fn nothing_is_reserved_for_who_may_prefer_a_dyno() {
    let mut lab = lab(Policy::LeastLoad, 2);
    let reserved = |lab: &mut Lab, first: u64| {
        let (session, first) = (lab.session, AskId(first));
        assert!(lab.mesh.reserve(session, first, 4, "a.test"));
        let outputs = lab.outputs().into_iter();
        let mut counts = outputs.filter_map(|output| match output {
            Output::Reserved(reserved) => Some(reserved.dynos.len()),
            _ => None,
        });
        counts.next().unwrap()
    };
    assert_eq!(reserved(&mut lab, 1_000), 4);
    lab.change("a", vec![Operation::PutSticky("cookie".into())])
        .unwrap();
    let recalled =
        |output: &Output| matches!(output, Output::Recall(recall) if !recall.apps.is_empty());
    assert!(lab.outputs().iter().any(recalled));
    assert_eq!(reserved(&mut lab, 2_000), 0);
    lab.change("a", vec![Operation::PutSticky("".into())])
        .unwrap();
    assert_eq!(reserved(&mut lab, 3_000), 4);
}

#[test]
fn a_dyno_that_comes_takes_its_own_share_and_nothing_moves_else() {
    const KEYS: u64 = 500;
    let mut lab = lab(Policy::Random, 4);
    let places = |lab: &mut Lab| -> HashMap<u64, String> {
        let keys = 0..KEYS;
        keys.map(|key| (key, route(lab, Prefer::Hash(mix(key)), &[]).1))
            .collect()
    };
    let before = places(&mut lab);
    assert_eq!(places(&mut lab), before);
    let on = |places: &HashMap<u64, String>, name: &str| {
        places.values().filter(|place| **place == name).count()
    };
    for n in 1..=4 {
        let share = on(&before, &format!("web.{n}"));
        assert!((90..160).contains(&share), "{share}");
    }
    lab.change("a", vec![put("web.5")]).unwrap();
    let after = places(&mut lab);
    let moved = before.iter().filter(|(key, place)| after[key] != **place);
    let moved = moved.count();
    assert_eq!(moved, on(&after, "web.5"));
    assert!((65..140).contains(&moved), "{moved}");
    lab.change("a", vec![Operation::RemoveDyno("web.5".into())])
        .unwrap();
    assert_eq!(places(&mut lab), before);
}

/// Clients keep their cookies when the same is asked for once more.
#[test]
fn an_app_has_one_key_until_it_is_given_another() {
    for (before, wanted, after) in [
        ("", "cookie?0a", "cookie#0a"),
        ("header:x", "cookie?0a", "cookie#0a"),
        ("cookie#0b", "cookie?0a", "cookie#0b"),
        ("cookie#0b", "cookie#0a", "cookie#0a"),
        ("cookie#0b", "", ""),
        ("cookie#0b", "cookie:x", "cookie:x"),
    ] {
        assert_eq!(&*settled(before, wanted), after);
    }
}
