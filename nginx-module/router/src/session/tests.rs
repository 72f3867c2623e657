//! Asks, answers and links.

use dynomesh_proto::v1::LeaseKind;

use super::*;

fn session() -> Session<u32> {
    let identity = Identity {
        node: "n".into(),
        worker: 7,
        pid: 1,
    };
    Session::new(identity, Duration::from_secs(5), 0)
}

fn drain(session: &mut Session<u32>) -> Vec<Kind> {
    std::iter::from_fn(|| session.poll_transmit())
        .filter_map(|m| m.kind)
        .collect()
}

fn request(token: u32, arrived: Millis) -> Request<u32> {
    Request {
        token,
        name: "a".into(),
        arrived,
        served: 0,
        tried: vec![],
        prefer: None,
        client: 0,
    }
}

/// Gives `ask` a dyno of its own.
fn route(s: &mut Session<u32>, ask: u64) -> Option<Delivery<u32>> {
    route_with(s, ask, v1::Route::default())
}

fn route_with(s: &mut Session<u32>, ask: u64, route: v1::Route) -> Option<Delivery<u32>> {
    let number = ask as u32;
    let info = v1::DynoInfo {
        number,
        instance: format!("i{ask}"),
        ..v1::DynoInfo::default()
    };
    let route = v1::Route {
        dyno: number,
        ..route
    };
    let answer = v1::Answer {
        ask,
        result: Some(v1::answer::Result::Route(route)),
        ..v1::Answer::default()
    };
    let kind = Some(sidecar_message::Kind::Dyno(info));
    assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
    let kind = Some(sidecar_message::Kind::Answer(answer));
    s.receive(SidecarMessage { kind }, 0)
}

fn ticket(delivery: Option<Delivery<u32>>) -> Ticket {
    match delivery {
        Some(Delivery::Answer(_, _, Some(ticket))) => ticket,
        other => panic!("{other:?} is no lease"),
    }
}

fn welcome(s: &mut Session<u32>) {
    let kind = Some(sidecar_message::Kind::Welcome(Default::default()));
    assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
}

#[test]
fn a_sidecar_that_says_nothing_is_out_of_reach() {
    let mut s = session();
    s.ask(request(1, 0), 0);
    s.connected(700);
    s.disconnected(1_400);
    s.connected(1_500);
    assert_eq!(s.poll_timeout(), Some(5_000));
    drain(&mut s);
    assert_eq!(s.poll_expired(5_000), Some(Delivery::Expired(1)));
    assert!(
        matches!(drain(&mut s)[..], [Kind::Cancel(_)]),
        "it had been asked"
    );
    welcome(&mut s);
    s.ask(request(2, 1_600), 1_600);
    assert_eq!(s.poll_timeout(), None);
    s.disconnected(2_000);
    assert_eq!(s.poll_timeout(), Some(7_000));
}

#[test]
fn asks_wait_for_the_link_and_keep_their_order() {
    let mut s = session();
    let late = s.ask(request(1, 20), 20);
    let early = s.ask(request(2, 10), 30);
    assert_eq!(s.to_transmit(), 0);
    s.connected(40);
    let sent = drain(&mut s);
    assert!(matches!(&sent[0], Kind::Hello(h) if h.held.is_empty()));
    // They come in a crowd, which is not their fault.
    assert!(
        sent[1..]
            .iter()
            .all(|kind| matches!(kind, Kind::Ask(a) if a.held))
    );
    assert!(matches!(&sent[1], Kind::Ask(a) if a.ask == early && a.waited_ms == 30));
    assert!(matches!(&sent[2], Kind::Ask(a) if a.ask == late && a.waited_ms == 20));
}

#[test]
fn hello_says_what_is_held_now() {
    let mut s = session();
    s.connected(0);
    let (a, b) = (s.ask(request(1, 0), 0), s.ask(request(2, 0), 0));
    let ticket = ticket(route(&mut s, a));
    assert!(route(&mut s, b).is_some());
    s.disconnected(10);
    s.checkin(ticket, Outcome::Done, 0);
    s.connected(20);
    let sent = drain(&mut s);
    assert_eq!(sent.len(), 1);
    assert!(matches!(&sent[0], Kind::Hello(h) if h.held.len() == 1 && h.held[0].ask == b));
}

#[test]
fn a_late_answer_is_given_back_by_the_cancel() {
    let mut s = session();
    s.connected(0);
    let a = s.ask(request(1, 0), 0);
    s.cancel(a);
    assert_eq!(route(&mut s, a), None);
    assert!(matches!(
        drain(&mut s)[..],
        [Kind::Hello(_), Kind::Ask(_), Kind::Cancel(_)]
    ));
    assert_eq!(s.counts(), (0, 0));
    let a = s.ask(request(1, 0), 0);
    let ticket = ticket(route(&mut s, a));
    drain(&mut s);
    s.decline(ticket);
    assert!(matches!(&drain(&mut s)[..], [Kind::Cancel(it)] if it.ask == a));
    // Nobody was told of the answer that is there.
    let a = s.ask(request(1, 0), 0);
    assert!(route(&mut s, a).is_some());
    drain(&mut s);
    s.cancel(a);
    assert!(matches!(&drain(&mut s)[..], [Kind::Cancel(it)] if it.ask == a));
    // The next one has its place, and nothing else of it.
    let b = s.ask(request(1, 0), 0);
    assert!(route(&mut s, b).is_some());
    drain(&mut s);
    s.checkin(ticket, Outcome::Done, 0);
    s.decline(ticket);
    assert_eq!(s.to_transmit(), 0, "one end for each lease");
    assert_eq!(s.counts(), (0, 1));
}

#[test]
fn the_end_of_a_lease_is_told_at_once_where_somebody_may_wait() {
    for (limited, counted) in [(false, false), (true, false), (false, true)] {
        let mut s = session();
        s.connected(0);
        let ask = s.ask(request(1, 0), 0);
        let route = v1::Route {
            limited,
            counted,
            ..v1::Route::default()
        };
        let ticket = ticket(route_with(&mut s, ask, route));
        drain(&mut s);
        s.checkin(ticket, Outcome::Done, 0);
        assert_eq!(s.is_pressing(), limited || counted);
    }
}

#[test]
fn who_asks_is_before_those_for_whom_leases_are_ordered() {
    let mut s = session();
    s.connected(0);
    let settings = v1::RouterSettings {
        max_reserved: 100,
        ..v1::RouterSettings::default()
    };
    let kind = Some(sidecar_message::Kind::Welcome(v1::Welcome {
        settings: Some(settings),
        ..v1::Welcome::default()
    }));
    assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
    drain(&mut s);
    let name: Arc<str> = "a".into();
    let is_order = |kind: &Kind| matches!(kind, Kind::Reserve(_));
    for token in 0..10 {
        assert!(s.take(&name, 1).is_none(), "nothing has come yet");
        s.ask(request(token, 1), 1);
        let said = drain(&mut s);
        if said.iter().any(is_order) {
            let [Kind::Ask(ask), Kind::Reserve(order)] = &said[..] else {
                panic!("{said:?}");
            };
            assert_eq!(order.first, ask.ask + 1);
            return;
        }
    }
    panic!("many came, and nothing was ordered");
}

#[test]
fn an_outage_has_an_end() {
    let mut s = session();
    s.connected(0);
    welcome(&mut s);
    s.ask(request(1, 0), 0);
    assert_eq!(s.poll_timeout(), None);
    s.disconnected(1_000);
    s.ask(request(2, 2_000), 2_000);
    assert_eq!(s.poll_timeout(), Some(6_000));
    assert_eq!(s.poll_expired(5_999), None);
    assert_eq!(s.poll_expired(6_000), Some(Delivery::Expired(1)));
    assert_eq!(s.poll_expired(6_000), None);
    assert_eq!(s.poll_expired(7_000), Some(Delivery::Expired(2)));
    assert_eq!(s.poll_timeout(), None);
}

#[test]
fn what_became_of_requests_is_told_again_after_a_break() {
    let wanting = || {
        let settings = v1::RouterSettings {
            tallies: true,
            ..v1::RouterSettings::default()
        };
        let welcome = v1::Welcome {
            settings: Some(settings),
            ..v1::Welcome::default()
        };
        let kind = Some(sidecar_message::Kind::Welcome(welcome));
        SidecarMessage { kind }
    };
    let ended = crate::tally::Ended {
        app: "a",
        status: 200,
        ..Default::default()
    };
    let mut s = session();
    s.count(&ended);
    assert!(s.tell_tally(false), "there is nobody to be told");
    s.connected(1);
    s.receive(wanting(), 1);
    assert!(s.tell_tally(false) && s.has_to_tidy());
    let told = drain(&mut s).pop();
    assert!(matches!(&told, Some(Kind::Tally(tally)) if tally.number == 1));
    s.disconnected(2);
    s.connected(3);
    drain(&mut s);
    s.receive(wanting(), 3);
    assert_eq!(drain(&mut s).pop(), told);
    let kind = Some(sidecar_message::Kind::Told(v1::Told { number: 1 }));
    s.receive(SidecarMessage { kind }, 3);
    assert!(!s.tell_tally(false));
    assert!(drain(&mut s).is_empty());
}

#[test]
fn what_is_traced_is_up_to_the_link() {
    let mut s = session();
    s.connected(0);
    drain(&mut s);
    welcome(&mut s);
    assert!(!s.is_tracing() && !s.traces(None, 0, 0));
    let tracing = v1::Tracing {
        sample: 1_000_000,
        per_second: 1,
    };
    let kind = Some(sidecar_message::Kind::Tracing(tracing));
    assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
    assert!(s.is_tracing() && s.traces(None, 0, 0) && !s.traces(None, 0, 0));
    s.tell_traced(v1::TracedRequest::default(), 0);
    assert!(s.has_to_tidy() && !s.is_pressing());
    s.tidy(1_000);
    match &drain(&mut s)[..] {
        [Kind::Traced(told)] => assert_eq!((told.requests.len(), told.limited), (1, 1)),
        other => panic!("{other:?}"),
    }
    s.disconnected(2_000);
    assert!(!s.is_tracing() && !s.has_to_tidy());
}

/// The ask, which waits, is next.
fn next(s: &mut Session<u32>, ask: u64, edition: u32, now: Millis) {
    let next = v1::Next {
        ask,
        edition,
        others: 3,
        counted: true,
        queue_depth: 4,
        dynos_in_use: 5,
        ..v1::Next::default()
    };
    let kind = Some(sidecar_message::Kind::Next(next));
    assert_eq!(s.receive(SidecarMessage { kind }, now), None);
}

/// A request with a lease that may be handed on, and so many that wait.
fn one_and(waiting: u32) -> (Session<u32>, Ticket, Vec<u64>) {
    let mut s = session();
    s.connected(0);
    welcome(&mut s);
    let first = s.ask(request(0, 0), 0);
    let limited = v1::Route {
        limited: true,
        edition: 3,
        ..v1::Route::default()
    };
    let first = ticket(route_with(&mut s, first, limited));
    let asks = (1..=waiting).map(|token| s.ask(request(token, 10), 10));
    let asks = asks.collect();
    drain(&mut s);
    (s, first, asks)
}

#[test]
fn who_is_next_has_the_lease_at_once() {
    let (mut s, first, asks) = one_and(2);
    asks.iter().for_each(|ask| next(&mut s, *ask, 3, 20));
    let Some(Delivery::Answer(1, answer, Some(heir))) = s.checkin(first, Outcome::Done, 50) else {
        panic!("nobody has it")
    };
    assert_eq!((answer.ask, answer.kind), (asks[0], LeaseKind::HandedOn));
    let figures = (
        answer.queue_wait_ms,
        answer.queue_depth,
        answer.dynos_in_use,
    );
    assert_eq!(figures, (40, 4, 5));
    let lease = answer.lease().expect("a lease");
    assert_eq!(&*lease.dyno.instance, "i1");
    assert!(lease.limited && lease.counted && lease.others == 3);
    assert!(s.is_pressing());
    let sent = drain(&mut s);
    assert!(
        matches!(&sent[..], [Kind::Checkin(done)] if done.ask == 1 && done.next == asks[0]),
        "{sent:?}"
    );
    // An answer that was on its way is nobody's, and the lease is its own.
    assert_eq!(route(&mut s, asks[0]), None);
    assert_eq!(s.counts(), (1, 1));
    assert!(matches!(
        s.checkin(heir, Outcome::Done, 60),
        Some(Delivery::Answer(2, ..))
    ));
    let sent = drain(&mut s);
    assert!(
        matches!(&sent[..], [Kind::Checkin(done)] if done.ask == asks[0] && done.next == asks[1]),
        "{sent:?}"
    );
}

#[test]
fn a_lease_comes_back_when_nobody_is_next() {
    // One failed, one is of another edition, one was left by its client, one was answered.
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20);
    assert_eq!(s.checkin(first, Outcome::Failed, 50), None);
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 4, 20);
    assert_eq!(s.checkin(first, Outcome::Done, 50), None);
    let (mut s, first, asks) = one_and(2);
    asks.iter().for_each(|ask| next(&mut s, *ask, 3, 20));
    s.cancel(asks[0]);
    assert!(route(&mut s, asks[1]).is_some());
    drain(&mut s);
    assert_eq!(s.checkin(first, Outcome::Done, 50), None);
    let sent = drain(&mut s);
    assert!(matches!(&sent[..], [Kind::Checkin(done)] if done.next == 0));
}

#[test]
fn what_was_said_is_forgotten_with_a_recall_a_new_link_and_after_a_while() {
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20);
    let recall = v1::Recall {
        recall: 1,
        apps: vec![String::new()],
        ..v1::Recall::default()
    };
    let kind = Some(sidecar_message::Kind::Recall(recall));
    assert_eq!(s.receive(SidecarMessage { kind }, 30), None);
    assert_eq!(s.checkin(first, Outcome::Done, 50), None);

    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20);
    s.disconnected(30);
    s.connected(30);
    next(&mut s, asks[0], 3, 40);
    assert_eq!(s.checkin(first, Outcome::Done, 50), None);

    // It stood still, and what it hears then may be as old. Who comes later does not come
    // before those who waited.
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20);
    assert_eq!(s.checkin(first, Outcome::Done, 20 + LATE + 1), None);
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20 + LATE);
    let later = s.ask(request(9, 30 + LATE), 30 + LATE);
    next(&mut s, later, 3, 30 + LATE);
    assert_eq!(s.checkin(first, Outcome::Done, 40 + LATE), None);
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20 + LATE);
    let later = s.ask(request(9, 30 + LATE), 30 + LATE);
    next(&mut s, later, 3, 30 + LATE);
    assert!(route(&mut s, asks[0]).is_some());
    let handed_on = s.checkin(first, Outcome::Done, 40 + LATE);
    assert!(matches!(handed_on, Some(Delivery::Answer(9, ..))));
}

#[test]
fn nobody_is_next_when_that_is_said() {
    let (mut s, first, asks) = one_and(1);
    next(&mut s, asks[0], 3, 20);
    next(&mut s, 0, 4, 30);
    assert_eq!(s.checkin(first, Outcome::Done, 50), None);
}
