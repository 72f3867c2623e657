//! Leases ahead, through the session.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dynomesh_proto::v1::{
    self, Answer, Cancel, Checkin, DynoInfo, Outcome, Passed, Recall, Recalled, Reserve, Reserved,
    Route, SidecarMessage, Taken, answer, router_message::Kind, sidecar_message,
};

use crate::session::{Delivery, Identity, Millis, Request, Session, Ticket};

mod asked;

/// Requests that the router has from the beginning.
const BUSY: usize = 50;

/// With the name of an app in demand, the asks of requests that could not wait, and what the
/// others have got.
struct Router(Session<u32>, Arc<str>, Vec<u64>, HashMap<u64, Ticket>);

impl Router {
    /// In reach of a sidecar that has told it of two dynos.
    fn new() -> Self {
        let identity = Identity {
            node: "n".into(),
            worker: 7,
            pid: 1,
        };
        let mut session = Session::new(identity, Duration::from_secs(5), 0);
        session.connected(0);
        let mut router = Self(session, "a.test".into(), Vec::new(), HashMap::new());
        router.welcome(128, 0);
        for (number, app) in ["a", "b"].iter().enumerate() {
            let info = DynoInfo {
                number: number as u32,
                app: (*app).into(),
                instance: format!("i{number}"),
                ..DynoInfo::default()
            };
            router.hear(sidecar_message::Kind::Dyno(info), 0);
        }
        for _ in 0..BUSY {
            router.begin();
        }
        router.sent();
        router
    }

    /// A request that asks, and is with a dyno.
    fn begin(&mut self) {
        let ask = self.ask("busy.test".into(), 0);
        self.route(ask, 0, 0);
    }

    /// The answer to an ask: the first dyno.
    fn route(&mut self, ask: u64, again_ms: u32, now: Millis) {
        let route = Route {
            again_ms,
            ..Route::default()
        };
        self.answer(ask, route, now);
    }

    fn answer(&mut self, ask: u64, route: Route, now: Millis) {
        let answer = Answer {
            ask,
            result: Some(answer::Result::Route(route)),
            ..Answer::default()
        };
        let kind = Some(sidecar_message::Kind::Answer(answer));
        let answered = self.0.receive(SidecarMessage { kind }, now);
        match answered {
            Some(Delivery::Answer(_, _, Some(ticket))) => self.3.insert(ask, ticket),
            other => panic!("{other:?} is no lease"),
        };
    }

    fn ask(&mut self, name: Arc<str>, now: Millis) -> u64 {
        let request = Request {
            token: 0,
            name,
            arrived: now,
            served: 0,
            tried: vec![],
            prefer: None,
            client: 0,
        };
        self.0.ask(request, now)
    }

    fn welcome(&mut self, max_reserved: u32, now: Millis) {
        let welcome = v1::Welcome {
            settings: Some(v1::RouterSettings {
                max_reserved,
                ..v1::RouterSettings::default()
            }),
            ..v1::Welcome::default()
        };
        self.hear(sidecar_message::Kind::Welcome(welcome), now);
    }

    /// Number 5.
    fn recall(&mut self, apps: &[&str], now: Millis) {
        let recall = Recall {
            recall: 5,
            apps: apps.iter().map(|app| (*app).into()).collect(),
            ..Recall::default()
        };
        self.hear(sidecar_message::Kind::Recall(recall), now);
    }

    fn hear(&mut self, kind: sidecar_message::Kind, now: Millis) {
        let kind = Some(kind);
        assert_eq!(self.0.receive(SidecarMessage { kind }, now), None);
    }

    fn reserved(&mut self, first: u64, dynos: &[u32], more: bool, now: Millis) {
        self.reserved_for(0, first, dynos, more, now);
    }

    fn reserved_for(&mut self, again_ms: u32, first: u64, dynos: &[u32], more: bool, now: Millis) {
        let reserved = Reserved {
            first,
            dynos: dynos.into(),
            more,
            again_ms,
            ..Reserved::default()
        };
        self.hear(sidecar_message::Kind::Reserved(reserved), now);
    }

    /// As many leases that may be passed on for 100 ms, of both dynos in turn. Returns
    /// the first.
    fn stock(&mut self, count: usize, now: Millis) -> u64 {
        self.requests(20, now);
        let first = self.order().first;
        let dynos: Vec<_> = (0..count as u32).map(|at| at % 2).collect();
        self.reserved_for(100, first, &dynos, false, now);
        first
    }

    /// As many requests at once; the asks of those that got a lease. The others ask, and
    /// leave.
    fn requests(&mut self, count: u32, now: Millis) -> Vec<u64> {
        let name = self.1.clone();
        let mut served = Vec::new();
        for _ in 0..count {
            match self.0.take(&name, now) {
                Some((ticket, answer)) => {
                    self.3.insert(answer.ask, ticket);
                    served.push(answer.ask);
                }
                None => {
                    let ask = self.ask(name.clone(), now);
                    self.0.cancel(ask);
                    self.2.push(ask);
                }
            }
        }
        served
    }

    /// The end of a request that has a lease, or had one.
    fn checkin(&mut self, ask: u64, outcome: Outcome, now: Millis) {
        self.0.checkin(self.3[&ask], outcome, now);
    }

    /// What was said, but for those who left.
    fn sent(&mut self) -> Vec<Kind> {
        let left = std::mem::take(&mut self.2);
        let of_others = |kind: &Kind| match kind {
            Kind::Ask(ask) => !left.contains(&ask.ask),
            Kind::Cancel(cancel) => !left.contains(&cancel.ask),
            _ => true,
        };
        std::iter::from_fn(|| self.0.poll_transmit())
            .filter_map(|message| message.kind)
            .filter(of_others)
            .collect()
    }

    /// The only order that was sent.
    fn order(&mut self) -> Reserve {
        match self.sent().as_slice() {
            [Kind::Reserve(order)] => order.clone(),
            other => panic!("{other:?} is not one order"),
        }
    }

    /// The sidecar has nothing for what was ordered last.
    fn nothing_more(&mut self, now: Millis) {
        let order = self.order();
        self.reserved(order.first, &[], false, now);
    }

    fn cancelled(&mut self) -> Vec<u64> {
        let cancelled = |kind| match kind {
            Kind::Cancel(Cancel { ask }) => Some(ask),
            _ => None,
        };
        self.sent().into_iter().filter_map(cancelled).collect()
    }
}

#[test]
fn a_name_in_demand_is_provided_for() {
    let mut router = Router::new();
    // One now and then is not worth it.
    for now in (0..1_000).step_by(10) {
        router.requests(1, now);
    }
    assert_eq!(router.sent(), []);
    assert!(!router.0.has_to_tidy());
    router.requests(20, 1_000);
    let order = router.order();
    assert_eq!(order.name, "a.test");
    assert!(order.count > 1);
    // No second one before the first has come.
    assert_eq!(router.requests(20, 1_001), []);
    assert_eq!(router.sent(), []);
    router.reserved(order.first, &[0, 0], true, 1_001);
    router.reserved(order.first + 2, &[1], false, 1_001);
    let first = order.first;
    assert_eq!(router.requests(3, 1_002), [first, first + 1, first + 2]);
    assert!(router.order().first >= first + u64::from(order.count));
}

#[test]
fn whoever_has_one_request_at_a_time_has_none_ahead() {
    let mut router = Router::new();
    for ask in 1..=BUSY as u64 {
        router.checkin(ask, Outcome::Done, 0);
    }
    router.sent();
    router.requests(50, 1);
    assert_eq!(router.sent(), []);
}

#[test]
fn no_more_is_ordered_than_the_sidecar_allows() {
    for (allowed, ordered) in [(0, None), (1, Some(1)), (7, Some(7))] {
        let mut router = Router::new();
        router.0.disconnected(0);
        router.0.connected(0);
        router.welcome(allowed, 0);
        router.sent();
        router.requests(50, 1);
        let sent = router.sent();
        let order = sent.first().map(|kind| match kind {
            Kind::Reserve(order) => order.count,
            other => panic!("{other:?}"),
        });
        assert_eq!(order, ordered);
    }
}

#[test]
fn what_is_not_used_is_given_back() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0, 0, 1], false, 2);
    assert_eq!(router.requests(1, 3), [first]);
    router.nothing_more(3);
    router.0.tidy(26);
    assert_eq!(router.sent(), []);
    assert!(router.0.tidy(27), "somebody has to tell of the one in use");
    assert_eq!(router.cancelled(), [first + 1, first + 2]);
    router.0.tidy(28);
    let taken = Taken { asks: vec![first] };
    assert_eq!(router.sent(), [Kind::Taken(taken)]);
    assert!(!router.0.tidy(29));
    // It is too late for one that nobody looked at.
    router.requests(20, 200);
    let first = router.order().first;
    router.reserved(first, &[0], false, 200);
    assert_eq!(router.requests(1, 225), []);
}

#[test]
fn one_whose_request_is_done_serves_the_next() {
    let mut router = Router::new();
    let first = router.stock(2, 1);
    let a = router.requests(1, 2)[0];
    router.checkin(a, Outcome::Done, 3);
    assert_eq!(router.sent(), [], "not a word");
    router.0.tidy(4);
    let passed = Passed { asks: vec![first] };
    assert_eq!(router.sent(), [Kind::Passed(passed)]);
    // The one that was used last first.
    let b = router.requests(1, 5)[0];
    assert!(b > first + 1, "each request has a number of its own");
    assert_eq!(router.requests(1, 5), [first + 1]);
    assert_ne!(router.0.lease_name(a), router.0.lease_name(b));
    router.checkin(b, Outcome::Done, 6);
    router.0.tidy(7);
    assert_eq!(router.sent(), [], "that was said");
    // It is told of all of them when it lies about, or breaks.
    router.0.tidy(56);
    let done = |before, outcome: Outcome| {
        Kind::Checkin(Checkin {
            ask: first,
            outcome: outcome.into(),
            before,
            next: 0,
        })
    };
    let taken = Kind::Taken(Taken {
        asks: vec![first + 1],
    });
    assert_eq!(router.sent(), [done(1, Outcome::Done), taken]);
}

#[test]
fn a_lease_that_was_passed_on_ends_like_any_other() {
    for outcome in [Outcome::Failed, Outcome::Refused, Outcome::Unused] {
        let mut router = Router::new();
        let first = router.stock(1, 1);
        let a = router.requests(1, 1)[0];
        router.nothing_more(1);
        router.checkin(a, Outcome::Done, 2);
        let b = router.requests(1, 3)[0];
        router.sent();
        router.checkin(b, outcome, 4);
        let end = Checkin {
            ask: first,
            outcome: outcome.into(),
            before: 1,
            next: 0,
        };
        assert_eq!(router.sent(), [Kind::Checkin(end)]);
        assert_eq!(router.requests(1, 5), []);
        router.checkin(b, outcome, 6);
        router.0.decline(router.3[&a]);
        assert_eq!(router.sent(), [], "once");
    }
}

#[test]
fn the_next_one_that_does_not_want_it_gives_it_back() {
    let mut router = Router::new();
    let first = router.stock(1, 1);
    let a = router.requests(1, 1)[0];
    router.nothing_more(1);
    router.checkin(a, Outcome::Done, 2);
    let b = router.requests(1, 3)[0];
    router.sent();
    router.0.decline(router.3[&b]);
    let end = Checkin {
        ask: first,
        outcome: Outcome::Done.into(),
        before: 0,
        next: 0,
    };
    assert_eq!(router.sent(), [Kind::Checkin(end)]);
}

#[test]
fn a_lease_is_not_passed_on_for_ever() {
    // The time begins in steps of 25 ms, so that many end together.
    for (begun, end) in [(25, 125), (49, 125), (50, 150)] {
        let mut router = Router::new();
        router.stock(1, begun);
        let mut ask = router.requests(1, begun)[0];
        let mut passed = begun;
        for now in begun.. {
            router.checkin(ask, Outcome::Done, now);
            match router.requests(1, now)[..] {
                [next] => (ask, passed) = (next, now),
                _ => break,
            }
        }
        assert_eq!(passed + 1, end);
    }
    // Not at all, where the sidecar does not say so.
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0], false, 1);
    router.requests(1, 1);
    router.checkin(first, Outcome::Done, 1);
    assert_eq!(router.requests(1, 1), []);
}

#[test]
fn what_is_recalled_is_not_passed_on() {
    let mut router = Router::new();
    let first = router.stock(4, 1);
    let asks = router.requests(3, 1);
    router.checkin(asks[0], Outcome::Done, 2);
    router.sent();
    router.recall(&["a"], 3);
    // Which of them is of which app, the sidecar knows.
    let taken = Taken {
        asks: vec![first + 1, first + 2],
    };
    let back = Checkin {
        ask: first,
        outcome: Outcome::Done.into(),
        before: 0,
        next: 0,
    };
    let done = Recalled { recall: 5 };
    let sent = [
        Kind::Taken(taken),
        Kind::Checkin(back),
        Kind::Recalled(done),
    ];
    assert_eq!(router.sent(), sent);
    router.checkin(asks[2], Outcome::Done, 4);
    assert_eq!(router.requests(2, 4), [first + 3]);
}

#[test]
fn a_lease_of_the_link_before_is_not_passed_on() {
    let mut router = Router::new();
    let first = router.stock(1, 1);
    let a = router.requests(1, 1)[0];
    router.checkin(a, Outcome::Done, 2);
    let b = router.requests(1, 2)[0];
    router.0.disconnected(3);
    router.0.connected(3);
    let held = |kind: &Kind| match kind {
        Kind::Hello(hello) => hello.held.iter().any(|held| held.ask == first),
        _ => false,
    };
    assert!(router.sent().iter().any(held), "as the sidecar knows it");
    router.welcome(128, 3);
    router.checkin(b, Outcome::Done, 4);
    assert!(matches!(router.sent()[..], [Kind::Checkin(end)] if end.ask == first));
}

#[test]
fn what_comes_late_is_of_no_use() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0, 0], true, 502);
    assert_eq!(router.cancelled(), [first, first + 1]);
    router.reserved(first + 2, &[0], false, 502);
    assert_eq!(router.cancelled(), [first + 2]);
    assert_eq!(router.requests(1, 502), []);
}

#[test]
fn one_that_is_in_use_no_more_is_not_told_of() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0], false, 1);
    router.requests(1, 1);
    router.nothing_more(1);
    router.checkin(first, Outcome::Done, 0);
    assert!(!router.0.is_pressing(), "nobody waits for its dyno");
    assert!(router.0.has_to_tidy());
    router.0.tidy(50);
    assert!(matches!(router.sent()[..], [Kind::Checkin(_)]));
    assert!(!router.0.has_to_tidy());
}

#[test]
fn an_app_that_has_nothing_to_give_is_left_alone_for_a_while() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[], false, 1);
    for now in 1..100 {
        router.requests(20, now);
    }
    assert_eq!(router.sent(), []);
    router.requests(20, 101);
    router.order();
}

#[test]
fn what_is_recalled_is_not_used_any_more() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0, 1, 0, 1], false, 1);
    assert_eq!(router.requests(1, 1), [first]);
    router.sent();
    router.recall(&["a", "c"], 2);
    assert!(router.0.is_pressing());
    let taken = Taken { asks: vec![first] };
    let back = Cancel { ask: first + 2 };
    let done = Recalled { recall: 5 };
    assert_eq!(
        router.sent(),
        [Kind::Taken(taken), Kind::Cancel(back), Kind::Recalled(done)]
    );
    assert!(!router.0.is_pressing());
    assert_eq!(router.requests(2, 2), [first + 1, first + 3]);
}

#[test]
fn a_dyno_that_refused_one_is_not_tried_by_the_next() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0, 0, 1], false, 1);
    router.requests(1, 1);
    router.sent();
    router.checkin(first, Outcome::Refused, 0);
    assert!(router.0.is_pressing());
    assert_eq!(router.cancelled(), [first + 1]);
    assert_eq!(router.requests(1, 1), [first + 2]);
}

#[test]
fn nothing_outlives_its_link() {
    let mut router = Router::new();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0, 0], true, 1);
    assert_eq!(router.requests(1, 1), [first]);
    router.0.disconnected(2);
    assert_eq!(router.requests(1, 2), []);
    router.0.connected(3);
    match &router.sent()[..] {
        [Kind::Hello(hello)] => {
            assert_eq!(hello.held.len(), BUSY + 1);
            assert!(hello.held.iter().any(|held| held.ask == first));
        }
        other => panic!("{other:?}"),
    }
    // What was on its way over the old link belongs to nobody here.
    router.reserved(first + 2, &[0], false, 4);
    assert_eq!(router.requests(1, 4), []);
}

#[test]
fn leases_that_nobody_ordered_or_of_nobody_are_given_back() {
    let mut router = Router::new();
    router.reserved(70, &[0, 1], false, 1);
    assert_eq!(router.cancelled(), [70, 71]);
    router.requests(20, 1);
    let order = router.order();
    router.reserved(order.first, &[0, 9], false, 1);
    assert_eq!(router.cancelled(), [order.first + 1]);
    // More than was ordered.
    router.requests(20, 50);
    let order = router.order();
    let many = vec![0; order.count as usize + 1];
    router.reserved(order.first, &many, false, 50);
    assert_eq!(router.cancelled().len(), many.len());
}

#[test]
fn two_names_on_one_place_do_not_mix() {
    let mut router = Router::new();
    let place = super::place_of("a.test");
    let other = (0..).map(|n| format!("{n}.test"));
    let other = other
        .into_iter()
        .find(|name| super::place_of(name) == place);
    let other: Arc<str> = other.unwrap_or_default().into();
    router.requests(20, 1);
    let first = router.order().first;
    router.reserved(first, &[0], false, 1);
    assert_eq!(router.0.take(&other, 2), None);
    assert_eq!(router.requests(1, 2), [first]);
    router.nothing_more(2);
    // Later it is the other one's.
    router.1 = other.clone();
    assert_eq!(router.requests(20, 100), []);
    let orders = router.sent();
    assert!(matches!(&orders[..], [Kind::Reserve(order)] if *order.name == *other));
}

#[test]
fn those_that_have_served_their_time_are_replaced() {
    let mut router = Router::new();
    router.stock(6, 1);
    let asks = router.requests(6, 2);
    // All are in use, and it gets no more.
    router.nothing_more(2);
    for (at, ask) in asks.iter().enumerate() {
        // The time of two is over.
        let now = if at < 4 { 99 } else { 101 };
        router.checkin(*ask, Outcome::Done, now);
    }
    router.sent();
    assert_eq!(router.requests(3, 103).len(), 3);
    assert_eq!(router.order().count, 2);
}
