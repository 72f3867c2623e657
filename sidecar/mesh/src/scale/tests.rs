//! What is hinted at, and when.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    AskId, DynoState, Operation, Outcome, Policy,
    testing::{Lab, put, set},
};

const DYNOS: [&str; 4] = ["web.1", "web.2", "web.3", "web.4"];

fn settings() -> Settings {
    Settings {
        scale_wait: Some(Duration::from_millis(100)),
        wake: true,
        ..Settings::default()
    }
}

/// What was hinted at.
fn hints(lab: &mut Lab) -> Vec<ScaleHint> {
    let hints = lab.events().into_iter().filter_map(|event| match event {
        Event::Scale(hint) => Some(hint),
        _ => None,
    });
    hints.collect()
}

fn wanted(lab: &mut Lab) -> Vec<u32> {
    hints(lab).iter().map(|hint| hint.wanted).collect()
}

#[test]
fn who_waits_too_long_is_a_reason_for_more() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let asks: Vec<_> = (0..3).map(|_| lab.ask()).collect();
    lab.wait(99);
    assert_eq!(wanted(&mut lab), []);
    lab.wait(1);
    // Nobody was served in that time: all at once would take as many as they are.
    let hint = ScaleHint {
        app: "a".into(),
        waiting: 2,
        oldest_wait: Duration::from_millis(100),
        in_flight: 1,
        dynos: 1,
        wanted: 3,
    };
    assert_eq!(hints(&mut lab), [hint]);
    // Once a second.
    lab.wait(999);
    assert_eq!(wanted(&mut lab), []);
    lab.wait(1);
    assert_eq!(wanted(&mut lab), [3]);
    for ask in asks {
        lab.mesh.cancel(lab.session, ask, lab.now);
    }
    lab.wait(5_000);
    assert_eq!(wanted(&mut lab), []);
}

/// One dyno takes 100 requests a second, 300 a second come.
#[test]
fn as_many_are_wanted_as_keep_up_and_catch_up() {
    let depth = Settings {
        queue_depth: Some(10_000),
        ..settings()
    };
    let mut lab = Lab::new(depth, &["web.1"]);
    let mut held = lab.ask();
    let mut hinted = Vec::new();
    for _ in 0..100 {
        (0..3).for_each(|_| {
            lab.ask();
        });
        lab.wait(10);
        lab.checkin(held, Outcome::Done);
        for output in lab.outputs() {
            match output {
                Output::Answer(answer) => held = answer.ask,
                Output::Event(Event::Scale(hint)) => hinted.push(hint.wanted),
                _ => {}
            }
        }
    }
    // Three keep up; 300 requests at the most wait, 30 a second catch up with them.
    assert_eq!(hinted, [4]);
}

#[test]
fn what_is_hinted_at_is_more_than_there_is() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    let mut held = lab.ask();
    // Nobody comes any more, and the dyno is quick.
    let waiting: Vec<AskId> = (0..50).map(|_| lab.ask()).collect();
    for ask in &waiting[..40] {
        lab.wait(2);
        lab.checkin(held, Outcome::Done);
        held = *ask;
    }
    lab.outputs();
    lab.wait(100);
    assert!(wanted(&mut lab).iter().all(|wanted| *wanted >= 2));
}

#[test]
fn a_boot_is_no_reason_for_more() {
    let mut lab = Lab::new(settings(), &["web.1"]);
    lab.change("a", vec![set("web.1", DynoState::Starting)])
        .unwrap();
    lab.ask();
    lab.wait(5_000);
    assert_eq!(wanted(&mut lab), []);
    lab.change("a", vec![set("web.1", DynoState::Up)]).unwrap();
    lab.ask();
    lab.wait(200);
    assert_eq!(wanted(&mut lab), [2]);
}

#[test]
fn dynos_to_spare_for_a_window_are_a_reason_for_fewer() {
    let mut lab = Lab::new(settings(), &DYNOS);
    let (first, second) = (lab.ask(), lab.ask());
    lab.checkin(second, Outcome::Done);
    lab.wait(59_999);
    assert_eq!(wanted(&mut lab), []);
    lab.wait(1);
    assert_eq!(wanted(&mut lab), [2]);
    // The window after that had one request at once.
    lab.wait(60_000);
    assert_eq!(wanted(&mut lab), [1]);
    lab.checkin(first, Outcome::Done);
    // Never none: that is what idle is for.
    for _ in 0..2 {
        lab.wait(60_000);
        assert_eq!(wanted(&mut lab), [1]);
    }
}

#[test]
fn a_dyno_more_begins_the_window_anew() {
    let mut lab = Lab::new(settings(), &["web.1", "web.2"]);
    lab.wait(59_000);
    lab.change("a", vec![put("web.3")]).unwrap();
    lab.wait(59_000);
    assert_eq!(wanted(&mut lab), []);
    lab.wait(1_000);
    assert_eq!(wanted(&mut lab), [1]);
}

#[test]
fn most_dynos_in_use_is_not_clearly_too_many() {
    let mut lab = Lab::new(settings(), &DYNOS);
    let asks: Vec<_> = DYNOS.iter().map(|_| lab.ask()).collect();
    for ask in asks {
        lab.checkin(ask, Outcome::Done);
    }
    lab.wait(60_000);
    assert_eq!(wanted(&mut lab), []);
}

#[test]
fn without_the_setting_or_a_limit_nothing_is_looked_at() {
    let mut lab = Lab::new(Settings::default(), &DYNOS);
    assert_eq!(lab.mesh.poll_timeout(), None);
    lab.change("a", vec![Operation::PutSettings(settings())])
        .unwrap();
    assert!(lab.mesh.poll_timeout().is_some());
    let least_load = Settings {
        policy: Policy::LeastLoad,
        ..settings()
    };
    lab.change("a", vec![Operation::PutSettings(least_load)])
        .unwrap();
    assert_eq!(lab.mesh.poll_timeout(), None);
}
