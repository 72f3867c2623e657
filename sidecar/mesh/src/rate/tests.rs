#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Ask, AskId, DynoState, Operation, Outcome, Output, Policy, testing::*};

fn rate(requests: u32, per: u64, burst: Option<u32>) -> Rate {
    Rate {
        requests,
        per: Duration::from_secs(per),
        burst,
    }
}

fn settings(all: Option<Rate>, client: Option<Rate>) -> Settings {
    Settings {
        policy: Policy::LeastLoad,
        max_rate: all,
        max_client_rate: client,
        ..Settings::default()
    }
}

/// How many of these requests of a client are served.
fn served(lab: &mut Lab, client: u64, requests: u32) -> usize {
    let one = |_| ask(lab, client).is_ok();
    (0..requests).map(one).filter(|served| *served).count()
}

fn ask(lab: &mut Lab, client: u64) -> Result<(), Refusal> {
    let asked = lab.ask_as(Ask {
        client,
        ..Ask::new(AskId(0), "a.test")
    });
    let result = lab.answer(asked);
    if result.is_ok() {
        lab.checkin(asked, Outcome::Done);
    }
    result.map(|_| ())
}

#[test]
fn a_second_of_them_at_once_and_then_evenly() {
    let mut lab = Lab::new(settings(Some(rate(10, 1, None)), None), &["web.1"]);
    assert_eq!(served(&mut lab, 0, 20), 10);
    assert_eq!(ask(&mut lab, 0), Err(Refusal::RateLimited(1)));
    lab.wait(99);
    assert_eq!(served(&mut lab, 0, 5), 0);
    lab.wait(1);
    assert_eq!(served(&mut lab, 0, 5), 1);
    lab.wait(350);
    assert_eq!(served(&mut lab, 0, 5), 3);
    lab.wait(60_000);
    assert_eq!(served(&mut lab, 0, 20), 10);
}

#[test]
fn slow_rates_and_bursts() {
    let mut lab = Lab::new(settings(Some(rate(6, 60, None)), None), &["web.1"]);
    assert_eq!(served(&mut lab, 0, 3), 1);
    assert_eq!(ask(&mut lab, 0), Err(Refusal::RateLimited(10)));
    lab.wait(9_001);
    assert_eq!(ask(&mut lab, 0), Err(Refusal::RateLimited(1)));
    let burst = settings(Some(rate(6, 60, Some(4))), None);
    lab.change("a", vec![Operation::PutSettings(burst)])
        .unwrap();
    assert_eq!(served(&mut lab, 0, 9), 4);
    // More than one in a microsecond.
    let fast = settings(Some(rate(1_000_000, 1, Some(3))), None);
    lab.change("a", vec![Operation::PutSettings(fast)]).unwrap();
    assert_eq!(served(&mut lab, 0, 9), 3);
    lab.change("a", vec![Operation::PutSettings(settings(None, None))])
        .unwrap();
    assert_eq!(served(&mut lab, 0, 50), 50);
}

#[test]
fn each_client_has_its_own() {
    let both = settings(Some(rate(10, 1, None)), Some(rate(4, 1, None)));
    let mut lab = Lab::new(both, &["web.1"]);
    assert_eq!(served(&mut lab, 7, 20), 4);
    // What one was refused took nothing from the others.
    assert_eq!(served(&mut lab, 8, 20), 4);
    assert_eq!(served(&mut lab, 9, 20), 2);
    // And what the app has no more for takes nothing from the client.
    lab.wait(200);
    assert_eq!(served(&mut lab, 9, 20), 2);
    // Nobody knows whose it is.
    lab.wait(100);
    assert_eq!(served(&mut lab, 0, 20), 1);
}

#[test]
fn the_same_request_counts_once() {
    let mut lab = Lab::new(
        settings(Some(rate(1, 1, None)), None),
        &["web.1", "web.2", "web.3"],
    );
    let first = lab.ask();
    assert!(lab.answer(first).is_ok());
    lab.checkin(first, Outcome::Failed);
    let again = lab.ask_with(Duration::ZERO, &["web.1-1"]);
    assert!(lab.answer(again).is_ok());
    let held = lab.ask_again(Duration::ZERO);
    assert!(lab.answer(held).is_ok());
    // A kept connection was stale, which is no dyno's fault.
    let stale = lab.ask_as(Ask {
        waited: Duration::from_millis(1),
        served: Duration::from_millis(1),
        ..Ask::new(AskId(0), "a.test")
    });
    assert!(lab.answer(stale).is_ok());
    let other = lab.ask();
    assert_eq!(lab.answer(other), Err(Refusal::RateLimited(1)));
}

#[test]
fn other_refusals_come_first_and_nothing_is_reserved() {
    let mut lab = Lab::new(settings(Some(rate(1, 1, None)), None), &["web.1"]);
    lab.change("a", vec![Operation::SetMaintenance(true)])
        .unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut lab, 0), Err(Refusal::Maintenance));
    }
    lab.change("a", vec![Operation::SetMaintenance(false)])
        .unwrap();
    let session = lab.session;
    assert!(lab.mesh.reserve(session, AskId(1_000), 3, "a.test"));
    let mut outputs = lab.outputs().into_iter();
    let none = |output| matches!(output, Output::Reserved(reserved) if reserved.dynos.is_empty());
    assert!(outputs.any(none));
    assert!(ask(&mut lab, 0).is_ok());
    // One that waits had its token.
    lab.change("a", vec![set("web.1", DynoState::Starting)])
        .unwrap();
    lab.wait(1_000);
    let waits = lab.ask();
    assert!(lab.answers().is_empty());
    lab.change("a", vec![set("web.1", DynoState::Up)]).unwrap();
    assert!(lab.answer(waits).is_ok());
}

/// There are never more buckets than may be, and none is lost that says something.
#[test]
fn clients_are_forgotten_when_their_buckets_are_full() {
    let pace = rate(2, 1, Some(8));
    let mut rates = Rates::of(&settings(None, Some(pace)), 5).unwrap();
    let seconds = |n: u64| n * 1_000_000_000;
    let known = |rates: &Rates| {
        let clients = rates.clients.as_ref().unwrap();
        (clients.young.len(), clients.old.len())
    };
    for client in 1..=400 {
        for _ in 0..8 {
            rates.take(client, 1_000, seconds(100)).unwrap();
        }
        rates.take(client, 1_000, seconds(100)).unwrap_err();
    }
    assert_eq!(known(&rates), (400, 0));
    for client in 401..=100_000 {
        rates.take(client, 1_000, seconds(101)).unwrap();
        let (young, old) = known(&rates);
        assert!(young + old <= 1_000, "{young} and {old}");
    }
    // Among few, those who come often or not are known for as long as it matters.
    let mut rates = Rates::of(&settings(None, Some(pace)), 5).unwrap();
    for _ in 0..8 {
        rates.take(1, 1_000, seconds(200)).unwrap();
    }
    for step in 0..99 {
        let now = seconds(200) + step * 100_000_000;
        let soon = rates.take(1, 1_000, now);
        assert_eq!(soon.is_ok(), step > 0 && step % 5 == 0, "{step}");
        _ = rates.take(2, 1_000, now);
    }
    rates.take(3, 1_000, seconds(300)).unwrap();
    rates.take(3, 1_000, seconds(400)).unwrap();
    assert_eq!(known(&rates), (1, 1));
}

#[test]
fn what_a_rate_may_be() {
    let check = |rate| settings(None, Some(rate)).check().is_ok();
    assert!(check(rate(1_000_000, 1, Some(1_000_000))));
    assert!(check(rate(1, 3_600, None)));
    for wrong in [
        rate(0, 1, None),
        rate(1_000_001, 1, None),
        rate(1, 0, None),
        rate(1, 3_601, None),
        rate(1, 1, Some(0)),
        rate(1, 1, Some(1_000_001)),
    ] {
        assert!(!check(wrong), "{wrong:?}");
    }
}
