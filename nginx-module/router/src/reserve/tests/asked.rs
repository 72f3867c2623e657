//! Leases that were asked for, and serve the next requests as well.

use super::*;

/// Many come, one of which asks, as its ask says; gets the answer after so long.
fn asked(router: &mut Router, again_ms: u32, took: Millis) -> (u64, Vec<Kind>) {
    router.requests(10, 1);
    router.sent();
    assert_eq!(router.0.take(&router.1.clone(), 2), None);
    let ask = router.ask(router.1.clone(), 2);
    let asked = router.sent();
    router.route(ask, again_ms, 2 + took);
    (ask, asked)
}

#[test]
fn one_that_was_asked_for_serves_the_next_where_many_come() {
    let mut router = Router::new();
    let (ask, sent) = asked(&mut router, 100, 1);
    assert!(
        matches!(&sent[..], [Kind::Ask(ask)] if ask.passes_on),
        "{sent:?}"
    );
    assert_eq!(router.sent(), []);
    router.checkin(ask, Outcome::Done, 4);
    router.0.tidy(5);
    assert_eq!(router.sent(), [], "the sidecar knows that one may follow");
    let next = router.requests(1, 5)[0];
    assert!(next > ask, "each request has a number of its own");
    // Who keeps it is told of.
    router.0.tidy(30);
    let taken = Taken { asks: vec![ask] };
    assert_eq!(router.sent(), [Kind::Taken(taken)]);
    router.checkin(next, Outcome::Done, 31);
    let end = Checkin {
        ask,
        outcome: Outcome::Done.into(),
        before: 1,
        next: 0,
    };
    assert_eq!(router.sent(), [Kind::Checkin(end)]);
}

#[test]
fn the_end_of_one_that_a_request_keeps_is_waited_for() {
    let mut router = Router::new();
    router.requests(10, 1);
    let ask = router.ask(router.1.clone(), 2);
    let limited = Route {
        again_ms: 100,
        limited: true,
        ..Route::default()
    };
    router.answer(ask, limited, 3);
    router.0.tidy(40);
    router.sent();
    router.checkin(ask, Outcome::Done, 41);
    assert!(router.0.is_pressing());
}

#[test]
fn one_that_was_asked_for_is_recalled_like_any_other() {
    let mut router = Router::new();
    let (ask, _) = asked(&mut router, 100, 1);
    router.checkin(ask, Outcome::Done, 4);
    router.recall(&["a"], 4);
    let end = Checkin {
        ask,
        outcome: Outcome::Done.into(),
        before: 0,
        next: 0,
    };
    let recalled = Recalled { recall: 5 };
    let sent = router.sent();
    assert_eq!(sent, [Kind::Checkin(end), Kind::Recalled(recalled)]);
    assert_eq!(router.requests(1, 5), []);
}

#[test]
fn one_that_was_asked_for_ends_with_its_request_otherwise() {
    let taken = |ask| Kind::Taken(Taken { asks: vec![ask] });
    // The sidecar does not want it to be passed on; the router hung, and does not know what
    // changed meanwhile.
    for (again_ms, took, told) in [(0, 1, false), (100, 501, true)] {
        let mut router = Router::new();
        let (ask, _) = asked(&mut router, again_ms, took);
        let now = 2 + took;
        let expected = told.then(|| taken(ask));
        assert_eq!(router.sent(), Vec::from_iter(expected));
        router.checkin(ask, Outcome::Done, now);
        assert!(matches!(&router.sent()[..], [Kind::Checkin(end)] if end.ask == ask));
    }
    // Few come.
    let mut router = Router::new();
    assert_eq!(router.0.take(&router.1.clone(), 1), None);
    let ask = router.ask(router.1.clone(), 1);
    assert!(matches!(&router.sent()[..], [Kind::Ask(ask)] if !ask.passes_on));
    router.route(ask, 0, 2);
    router.checkin(ask, Outcome::Done, 3);
    assert!(matches!(&router.sent()[..], [Kind::Checkin(_)]));
}
