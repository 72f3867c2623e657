//! What may happen, as data that proptest can make and shrink. Numbers choose
//! among what there is when the step is run.

use std::time::Duration;

use mesh::{DynoState, Outcome, Policy, Rate, Settings};
use proptest::{collection::vec, option, prelude::*};

pub(crate) const APPS: usize = 3;
pub(crate) const DOMAINS: [&str; 5] = ["a.test", "b.test", "x.a.test", "*.w.test", "*.b.w.test"];
/// Names that clients ask for; not all of them are known.
pub(crate) const NAMES: [&str; 7] = [
    "a.test",
    "b.test:80",
    "X.A.test",
    "c.w.test",
    "c.b.w.test",
    "w.test",
    "nobody",
];
pub(crate) const DYNOS: usize = 4;
pub(crate) const ADDRESSES: usize = 6;
pub(crate) const WORKERS: usize = 4;
pub(crate) const NODES: u64 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Workers that held leases before the restart.
    pub(crate) recover: Vec<usize>,
    /// Each app's settings at the beginning.
    pub(crate) settings: Vec<Settings>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask {
        worker: usize,
        name: usize,
        waited_ms: u64,
        served_ms: u64,
        held: bool,
        tried: Vec<usize>,
        prefer: Option<usize>,
        passes_on: bool,
    },
    AskAgain {
        worker: usize,
        which: usize,
    },
    Cancel {
        worker: usize,
        which: usize,
    },
    Checkin {
        worker: usize,
        which: usize,
        outcome: Outcome,
    },
    /// A lease goes to a request that waits, or to any that the worker has or not.
    HandOn {
        worker: usize,
        which: usize,
        next: usize,
        fits: bool,
    },
    /// Leases ahead; perhaps under a number that is in use.
    Reserve {
        worker: usize,
        name: usize,
        count: u32,
        again: Option<usize>,
    },
    Taken {
        worker: usize,
        which: usize,
    },
    Passed {
        worker: usize,
        which: usize,
    },
    /// Answers one of the recalls, having given back what it has reserved or not.
    Recalled {
        worker: usize,
        which: usize,
        back: bool,
    },
    Close(usize),
    Lose(usize),
    /// Says hello with some of what it holds, and perhaps with what it does not.
    Hello {
        worker: usize,
        keep: u8,
        stray: Option<usize>,
        twice: bool,
    },
    Gone(usize),
    Wait(u64),
    /// Another node says what it does.
    Report {
        node: u64,
        whole: bool,
        missing: bool,
        loads: Vec<(usize, u32)>,
    },
    NodeGone(u64),
    /// Others are told of up to so many dynos at once.
    Tell(usize),
    Change {
        app: usize,
        operations: Vec<Op>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(Settings),
    Delete,
    Settings(Settings),
    Maintenance(bool),
    AddDomain(usize),
    RemoveDomain(usize),
    PutDyno {
        dyno: usize,
        instance: Option<usize>,
        address: usize,
        limit: Option<u32>,
        state: DynoState,
        takeover: bool,
    },
    RemoveDyno(usize),
    SetState(usize, DynoState),
    /// A dyno that exists is started again, or comes back, just as it was.
    Renew(usize, DynoState),
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let recover = prop_oneof![3 => Just(vec![]), 1 => vec(0..WORKERS, 1..3)];
    (
        any::<u64>(),
        recover,
        vec(settings(), APPS),
        vec(step(), 1..120),
    )
        .prop_map(|(seed, recover, settings, steps)| Plan {
            seed,
            recover,
            settings,
            steps,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let waited = prop_oneof![6 => Just(0), 2 => 1..5_000_u64, 1 => 20_000..90_000_u64];
    // Also more than it waited, which no router says.
    let served = prop_oneof![4 => Just(0), 1 => 1..50_000_u64];
    let held = prop_oneof![4 => Just(false), 1 => Just(true)];
    let tried = prop_oneof![4 => Just(vec![]), 1 => vec(0..12_usize, 1..4)];
    let prefer = option::weighted(0.3, 0..12_usize);
    let which = 0..8_usize;
    prop_oneof![
        30 => (0..WORKERS, 0..NAMES.len(), waited, served, held, tried, prefer, any::<bool>())
            .prop_map(|(worker, name, waited_ms, served_ms, held, tried, prefer, passes_on)| {
                Step::Ask { worker, name, waited_ms, served_ms, held, tried, prefer, passes_on }
            }),
        1 => (0..WORKERS, which.clone()).prop_map(|(worker, which)| Step::AskAgain { worker, which }),
        6 => (0..WORKERS, which.clone()).prop_map(|(worker, which)| Step::Cancel { worker, which }),
        20 => (0..WORKERS, which.clone(), outcome())
            .prop_map(|(worker, which, outcome)| Step::Checkin { worker, which, outcome }),
        10 => (0..WORKERS, which.clone(), which.clone(), prop::bool::weighted(0.8))
            .prop_map(|(worker, which, next, fits)| Step::HandOn { worker, which, next, fits }),
        12 => (0..WORKERS, 0..NAMES.len(), 0..7_u32, option::weighted(0.1, which.clone()))
            .prop_map(|(worker, name, count, again)| Step::Reserve { worker, name, count, again }),
        5 => (0..WORKERS, which.clone()).prop_map(|(worker, which)| Step::Taken { worker, which }),
        5 => (0..WORKERS, which.clone()).prop_map(|(worker, which)| Step::Passed { worker, which }),
        6 => (0..WORKERS, which.clone(), any::<bool>())
            .prop_map(|(worker, which, back)| Step::Recalled { worker, which, back }),
        1 => (0..WORKERS).prop_map(Step::Close),
        2 => (0..WORKERS).prop_map(Step::Lose),
        4 => (0..WORKERS, any::<u8>(), option::weighted(0.2, 0..12_usize), prop::bool::weighted(0.1))
            .prop_map(|(worker, keep, stray, twice)| Step::Hello { worker, keep, stray, twice }),
        1 => (0..WORKERS).prop_map(Step::Gone),
        6 => prop_oneof![1..1_000_u64, 1_000..900_000_u64, 900_000..90_000_000_u64]
            .prop_map(Step::Wait),
        8 => (0..NODES, prop::bool::weighted(0.4), prop::bool::weighted(0.1), vec((0..12_usize, 0..3_u32), 0..4))
            .prop_map(|(node, whole, missing, loads)| Step::Report { node, whole, missing, loads }),
        1 => (0..NODES).prop_map(Step::NodeGone),
        4 => (1..5_usize).prop_map(Step::Tell),
        20 => (0..APPS, vec(op(), 1..3))
            .prop_map(|(app, operations)| Step::Change { app, operations }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Done),
        2 => Just(Outcome::Refused),
        1 => Just(Outcome::ConnectTimeout),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Unused),
    ]
}

fn state() -> impl Strategy<Value = DynoState> {
    prop_oneof![
        2 => Just(DynoState::Starting),
        6 => Just(DynoState::Up),
        1 => Just(DynoState::Draining),
        1 => Just(DynoState::Down),
        1 => Just(DynoState::Crashed),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let policy = prop_oneof![
        3 => Just(Policy::IdleOnly),
        2 => Just(Policy::LeastLoad),
        1 => Just(Policy::Random),
    ];
    let millis =
        |range: std::ops::Range<u64>| option::weighted(0.4, range.prop_map(Duration::from_millis));
    (
        policy,
        option::weighted(0.4, 1..4_u32),
        option::weighted(0.3, 0..6_u32),
        millis(1..40_000),
        millis(1..80_000),
        option::weighted(0.2, 1..8_u32),
        any::<bool>(),
        any::<bool>(),
        millis(1_000..40_000),
        millis(10..5_000),
        option::weighted(0.2, rate()),
    )
        .prop_map(
            |(policy, limit, depth, queue, boot, max, wake, headers, idle, scale, rate)| Settings {
                exact: None,
                policy,
                dyno_limit: limit,
                queue_depth: depth,
                queue_timeout: queue,
                boot_timeout: boot,
                max_requests: max,
                wake,
                queue_headers: headers,
                idle_timeout: idle,
                scale_wait: scale,
                tap_rate: None,
                max_body: None,
                max_time: None,
                max_rate: rate,
                max_client_rate: None,
            },
        )
}

fn rate() -> impl Strategy<Value = Rate> {
    let per = prop_oneof![Just(1), Just(60)].prop_map(Duration::from_secs);
    (1..30_u32, per, option::of(1..10_u32)).prop_map(|(requests, per, burst)| Rate {
        requests,
        per,
        burst,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let put = (
        0..DYNOS,
        option::weighted(0.2, 0..12_usize),
        0..ADDRESSES,
        option::weighted(0.3, 1..4_u32),
        state(),
        prop::bool::weighted(0.6),
    )
        .prop_map(
            |(dyno, instance, address, limit, state, takeover)| Op::PutDyno {
                dyno,
                instance,
                address,
                limit,
                state,
                takeover,
            },
        );
    prop_oneof![
        3 => settings().prop_map(Op::Create),
        1 => Just(Op::Delete),
        3 => settings().prop_map(Op::Settings),
        2 => prop::bool::weighted(0.3).prop_map(Op::Maintenance),
        3 => (0..DOMAINS.len()).prop_map(Op::AddDomain),
        1 => (0..DOMAINS.len()).prop_map(Op::RemoveDomain),
        8 => put,
        3 => (0..DYNOS).prop_map(Op::RemoveDyno),
        6 => (0..DYNOS, state()).prop_map(|(dyno, state)| Op::SetState(dyno, state)),
        4 => (0..12_usize, state()).prop_map(|(instance, state)| Op::Renew(instance, state)),
    ]
}
