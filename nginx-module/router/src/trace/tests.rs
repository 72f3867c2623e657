//! What is in a trace, and what is told of it.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parse(text: &str) -> Option<Parent> {
    Parent::parse(text.as_bytes())
}

#[test]
fn a_parent_is_as_w3c_has_it() {
    let parent = parse(GOOD).expect("it is the example of the specification");
    assert!(parent.is_sampled());
    let context = Context::new(Some(parent), [7; 32]);
    assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        context.parent,
        Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7])
    );
    assert_eq!(
        context.traceparent(),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01"
    );
    let with = |change: fn(String) -> String| parse(&change(GOOD.to_owned()));
    for (odd, is_sampled) in [
        // Not wanted, flags that nobody knows, a later version, and one with more.
        (with(|it| it.replace("-01", "-00")), Some(false)),
        (with(|it| it.replace("-01", "-fe")), Some(false)),
        (with(|it| it.replace("00-4", "cc-4")), Some(true)),
        (with(|it| it.replace("00-4", "cc-4") + "-what"), Some(true)),
        (with(|it| it.replace("00-4", "cc-4") + "."), None),
        (with(|it| it.replace("00-4", "ff-4")), None),
        (with(|it| it + "-what"), None),
        (with(|it| it + "0"), None),
        (with(|it| it.to_uppercase()), None),
        (with(|it| it.replace('f', "g")), None),
        (with(|it| it[..54].to_owned()), None),
        (with(|it| it.replace("-00f", "_00f")), None),
        (
            with(|it| it.replace("00f067aa0ba902b7", &"0".repeat(16))),
            None,
        ),
        (
            with(|it| it.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32))),
            None,
        ),
        (parse(""), None),
    ] {
        assert_eq!(odd.map(|parent| parent.is_sampled()), is_sampled);
    }
}

#[test]
fn a_trace_may_begin_here_or_with_a_rule() {
    let context = Context::new(None, [0; 32]);
    assert_eq!((context.parent, context.flags), (None, 1));
    let seen = parse(&context.traceparent()).expect("zeros are no name");
    assert!(seen.is_sampled());
    let parent = parse(GOOD).expect("it is good");
    let name = b"4bf92f3577b34da6a3ce929d0e0e4736";
    for (name, begun) in [(&name[..], true), (&name[1..], false), (b"", false)] {
        let context = Context::new(Some(parent.of_request(name)), [1; 32]);
        assert_eq!(context.parent.is_none(), begun);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_is_not(text in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(parent) = Parent::parse(&text) {
            prop_assert!(text.len() >= 55 && parent.trace != [0; 16]);
        }
    }

    #[test]
    fn nearly_good_ones_too(at in 0..55_usize, byte: u8) {
        let mut text = GOOD.as_bytes().to_vec();
        text[at] = byte;
        if let Some(parent) = Parent::parse(&text) {
            let digit = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            prop_assert!(digit || byte == b'-');
            prop_assert!(parent.span != Some([0; 8]));
        }
    }

    #[test]
    fn what_is_made_is_read(chance: [u8; 32], begun: bool, flags: u8) {
        let parent = parse(&format!("{}{flags:02x}", &GOOD[..53])).filter(|_| !begun);
        let context = Context::new(parent, chance);
        let seen = parse(&context.traceparent()).expect("it is good");
        prop_assert_eq!(seen.trace, context.trace);
        prop_assert_eq!(seen.span, Some(context.dyno_span));
        prop_assert!(seen.is_sampled() && context.span != [0; 8]);
        prop_assert_eq!(parent.is_some(), context.parent.is_some());
    }
}

fn tracing(sample: u32, per_second: u32) -> Traces {
    let mut traces = Traces::default();
    traces.set(&Tracing { sample, per_second }, 0);
    traces
}

#[test]
fn a_caller_decides_and_otherwise_chance() {
    let (yes, no) = (parse(GOOD), parse(&GOOD.replace("-01", "-00")));
    let mut off = Traces::default();
    assert!(!off.is_on() && !off.wants(yes.as_ref(), 0, 0));
    let mut none = tracing(0, 100);
    assert!(none.is_on() && none.wants(yes.as_ref(), 0, 0));
    assert!(!none.wants(no.as_ref(), 0, 0) && !none.wants(None, 0, 0));
    let mut all = tracing(1_000_000, 100);
    assert!(all.wants(None, u32::MAX, 0) && !all.wants(no.as_ref(), 0, 0));
    let mut some = tracing(10_000, 100_000);
    let chances = (0..100_000_u32).map(|n| n.wrapping_mul(0x9e37_79b9));
    let wanted = chances
        .filter(|chance| some.wants(None, *chance, 0))
        .count();
    assert!((900..1_100).contains(&wanted), "{wanted}");
    some.set(&Tracing::default(), 0);
    assert!(!some.is_on());
}

#[test]
fn there_is_a_limit_and_those_beyond_are_counted() {
    let mut traces = tracing(1_000_000, 10);
    let wanted = (0..100).filter(|_| traces.wants(None, 0, 0)).count();
    assert_eq!(wanted, 10);
    assert_eq!(traces.take(GATHER - 1), None);
    let told = traces.take(GATHER).expect("it is told of these");
    assert_eq!((told.requests.len(), told.limited, told.lost), (0, 90, 0));
    assert!(!traces.has_more() && traces.wants(None, 0, 1_000));
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut traces = tracing(0, 10);
    for _ in 0..WAITING + 5 {
        traces.add(TracedRequest::default(), 0);
    }
    let told = traces.take(0).expect("there is enough");
    assert_eq!((told.requests.len(), told.lost), (AT_ONCE, 5));
    let rest = std::iter::from_fn(|| traces.take(GATHER));
    assert_eq!(
        rest.map(|told| told.requests.len()).sum::<usize>(),
        WAITING - AT_ONCE
    );
    traces.add(TracedRequest::default(), 0);
    traces.clear();
    traces.add(TracedRequest::default(), 0);
    assert!(!traces.has_more() && !traces.is_on());
    traces.set(
        &Tracing {
            sample: 0,
            per_second: 1,
        },
        0,
    );
    let told = traces.take(GATHER).expect("one was lost with the link");
    assert_eq!((told.requests.len(), told.lost), (0, 1));
}
