//! Who is told what.

use super::*;

fn tap(number: u64, filter: v1::TapFilter) -> v1::Tap {
    v1::Tap {
        tap: number,
        over: false,
        filter: Some(filter),
        per_second: 100_000,
    }
}

fn of(app: &str) -> v1::TapFilter {
    v1::TapFilter {
        app: app.into(),
        ..v1::TapFilter::default()
    }
}

const ENDED: Traits<'_> = Traits {
    app: "shop",
    dyno: "web.1",
    ask: 7,
    status: 503,
    error: "H12",
    target: b"/cart/1?secret",
    total_ms: 40,
};

#[test]
fn who_is_told_is_up_to_the_filter() {
    let mut taps = Taps::new(7);
    assert!(!taps.is_on());
    let with = |change: fn(&mut v1::TapFilter)| {
        let mut filter = of("shop");
        change(&mut filter);
        filter
    };
    let all = [
        of("shop"),
        of("blog"),
        with(|it| it.status = 5),
        with(|it| it.status = 502),
        with(|it| it.error = "H12".into()),
        with(|it| it.error = "H13".into()),
        with(|it| it.slow_ms = 40),
        with(|it| it.slow_ms = 41),
        with(|it| it.dyno = "web.1".into()),
        with(|it| it.dyno = "web.2".into()),
        with(|it| it.path = "/cart".into()),
        with(|it| it.path = "/cart/1?secret".into()),
    ];
    for (number, filter) in (1..).zip(all) {
        taps.set(tap(number, filter), 0);
    }
    assert_eq!(taps.who(&ENDED, 0), [1, 3, 5, 7, 9, 11]);
    let over = v1::Tap {
        tap: 1,
        over: true,
        ..v1::Tap::default()
    };
    taps.set(over, 0);
    assert_eq!(taps.who(&ENDED, 0), [3, 5, 7, 9, 11]);
    taps.clear();
    assert!(!taps.is_on());
}

#[test]
fn taps_have_an_end() {
    let mut taps = Taps::new(1);
    for number in 0..MOST as u64 + 9 {
        taps.set(tap(number, of(&format!("app-{number}"))), 0);
    }
    assert_eq!((taps.count, taps.taps.len()), (MOST, MOST));
    for number in 0..MOST as u64 + 9 {
        let over = v1::Tap {
            tap: number,
            over: true,
            ..v1::Tap::default()
        };
        taps.set(over, 0);
    }
    assert!(!taps.is_on() && taps.taps.is_empty());
}

#[test]
fn a_sample_is_about_as_large_as_it_shall_be() {
    for asks in [true, false] {
        let mut taps = Taps::new(0x1234_5678_9abc_def0);
        let filter = v1::TapFilter {
            sample: 100_000,
            ..of("shop")
        };
        taps.set(tap(1, filter), 0);
        let told = (1..=10_000).filter(|ask| {
            let ask = if asks { *ask } else { 0 };
            !taps.who(&Traits { ask, ..ENDED }, 0).is_empty()
        });
        let told = told.count();
        assert!((800..1_200).contains(&told), "{told}");
    }
}

#[test]
fn no_more_are_told_than_may_be() {
    let mut taps = Taps::new(1);
    let few = v1::Tap {
        per_second: 10,
        ..tap(1, of("shop"))
    };
    taps.set(few, 0);
    let mut told = |from, to| {
        let times = from..to;
        times
            .filter(|now| !taps.who(&ENDED, *now).is_empty())
            .count()
    };
    // A second's worth at once, then as time goes by.
    assert_eq!((told(0, 100), told(100, 2_100)), (10, 20));
    // Who had nothing for long does not get it all at once.
    assert_eq!(told(60_000, 60_050), 10);
    let losses = taps.take(60_050).expect("it is told of these").losses;
    let lost = 2_150 - 40;
    assert_eq!(
        losses,
        [TapLoss {
            tap: 1,
            requests: lost
        }]
    );
    assert_eq!(taps.take(70_000), None, "once");
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut taps = Taps::new(1);
    assert_eq!(taps.take(0), None);
    for number in [1, 2] {
        taps.set(tap(number, of("shop")), 0);
    }
    let request = TappedRequest {
        taps: vec![2],
        app: "shop".into(),
        ..TappedRequest::default()
    };
    for _ in 0..WAITING + 5 {
        taps.add(request.clone(), 0);
    }
    let first = taps.take(0).expect("there is something");
    let losses = [TapLoss {
        tap: 2,
        requests: 5,
    }];
    assert_eq!(
        (first.requests.len(), &*first.losses),
        (AT_ONCE, &losses[..])
    );
    let rest: usize = std::iter::from_fn(|| taps.take(0))
        .map(|t| t.requests.len())
        .sum();
    assert_eq!(rest, WAITING - AT_ONCE);
}

#[test]
fn few_wait_for_each_other_but_not_for_long() {
    let mut taps = Taps::new(1);
    taps.add(TappedRequest::default(), 5);
    taps.add(TappedRequest::default(), 6);
    assert_eq!(taps.take(5 + GATHER - 1), None);
    let told = taps.take(5 + GATHER).expect("it is time");
    assert_eq!((told.requests.len(), taps.has_more()), (2, false));
}
