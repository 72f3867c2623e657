//! The load that made "intelligent routing" famous, played through the core.
//!
//! In February 2013 a customer measured what random routing costs: Poisson
//! arrivals, 9,000 requests a minute; service times Weibull with shape 0.46 and
//! median 50 ms, clamped to 10 ms–30 s; a dyno serves one request at a time.
#![allow(clippy::unwrap_used)]

use std::{cmp::Reverse, collections::BinaryHeap};

use mesh::{
    AppSpec, Ask, AskId, DynoSpec, DynoState, Limits, Mesh, Outcome, Output, Policy, SessionKey,
    Settings, Time, Update, WorkerId,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

const PER_SECOND: f64 = 150.0;

/// What requests experienced.
#[derive(Debug)]
struct Experience {
    percent_queued: f64,
    mean_ms: f64,
    p99_ms: f64,
}

fn app(dynos: usize, settings: Settings) -> Update {
    let dyno = |i: usize| DynoSpec {
        name: format!("web.{i}").into(),
        instance: i.to_string().into(),
        address: format!("10.0.{}.{}:5000", i / 250, i % 250 + 1)
            .parse()
            .unwrap(),
        limit: None,
        state: DynoState::Up,
    };
    Update::Put(AppSpec {
        name: "rap".into(),
        settings,
        domains: vec!["rap.test".into()],
        dynos: (0..dynos).map(dyno).collect(),
        ..AppSpec::default()
    })
}

fn mesh_with(dynos: usize, settings: Settings) -> (Mesh, SessionKey) {
    let mut mesh = Mesh::new(Limits::default(), 2013);
    mesh.apply(&app(dynos, settings), Time::ZERO);
    let session = mesh.hello(WorkerId(1), [], Time::ZERO).unwrap();
    (mesh, session)
}

fn service(rng: &mut SmallRng) -> f64 {
    let (shape, median) = (0.46, 0.050);
    let scale = median / std::f64::consts::LN_2.powf(1.0 / shape);
    let uniform: f64 = rng.random();
    (scale * (-(1.0 - uniform).ln()).powf(1.0 / shape)).clamp(0.010, 30.0)
}

/// Sends so many requests and measures their waits: in the mesh's queue, and at
/// a dyno that is still busy.
fn experience(policy: Policy, dynos: usize, requests: usize) -> Experience {
    let settings = Settings {
        policy,
        queue_headers: false,
        ..Settings::default()
    };
    let (mut mesh, session) = mesh_with(dynos, settings);
    let mut rng = SmallRng::seed_from_u64(1);
    let at = |seconds: f64| Time::from_micros((seconds * 1e6) as u64);
    let mut waits = vec![0.0_f64; requests];
    let mut arrivals = vec![0.0_f64; requests];
    let mut free_at = vec![0.0_f64; dynos];
    // Ends of requests, by nanosecond.
    let mut ends: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut clock = 0.0;
    for request in 0..=requests {
        clock -= (1.0 - rng.random::<f64>()).ln() / PER_SECOND;
        let until = if request < requests {
            (clock * 1e9) as u64
        } else {
            u64::MAX
        };
        let mut now = clock;
        loop {
            let end = ends
                .peek()
                .map(|Reverse(end)| *end)
                .filter(|(end, _)| *end <= until);
            match end {
                Some((end, ask)) => {
                    ends.pop();
                    now = end as f64 / 1e9;
                    mesh.checkin(session, AskId(ask), Outcome::Done, at(now));
                }
                None if request < requests => {
                    now = clock;
                    arrivals[request] = now;
                    let ask = AskId(request as u64);
                    mesh.ask(session, Ask::new(ask, "rap.test"), at(now));
                }
                None => {}
            }
            while let Some(output) = mesh.poll_output() {
                let Output::Answer(answer) = output else {
                    continue;
                };
                let dyno: usize = answer.result.unwrap().dyno.instance.parse().unwrap();
                let start = free_at[dyno].max(now);
                let request = answer.ask.0 as usize;
                waits[request] = start - arrivals[request];
                free_at[dyno] = start + service(&mut rng);
                ends.push(Reverse(((free_at[dyno] * 1e9) as u64, answer.ask.0)));
            }
            if end.is_none() {
                break;
            }
        }
    }
    mesh.check_invariants().unwrap();
    assert_eq!(mesh.totals().leases + mesh.totals().waiting, 0);
    let n = requests as f64;
    let percent_queued = waits.iter().filter(|wait| **wait > 0.0).count() as f64 * 100.0 / n;
    let mean_ms = waits.iter().sum::<f64>() * 1e3 / n;
    waits.sort_by(f64::total_cmp);
    let p99_ms = waits[requests * 99 / 100] * 1e3;
    let experience = Experience {
        percent_queued,
        mean_ms,
        p99_ms,
    };
    println!("{policy:?}, {dynos} dynos: {experience:?}");
    experience
}

#[test]
fn service_times_are_the_ones_measured() {
    let mut rng = SmallRng::seed_from_u64(3);
    let mut all: Vec<_> = (0..1_000_000).map(|_| service(&mut rng)).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    all.sort_by(f64::total_cmp);
    assert!((mean - 0.263).abs() < 0.004, "mean {mean}");
    assert!((all[all.len() / 2] - 0.050).abs() < 0.001);
}

#[test]
fn one_queue_and_60_dynos() {
    let e = experience(Policy::IdleOnly, 60, 400_000);
    assert!(
        (0.02..0.15).contains(&e.percent_queued),
        "{e:?}, expected 0.07 %"
    );
    assert!(e.mean_ms < 0.05 && e.p99_ms == 0.0, "{e:?}");
}

#[test]
fn one_queue_and_75_dynos() {
    let e = experience(Policy::IdleOnly, 75, 400_000);
    assert!(e.percent_queued < 0.005, "{e:?}, expected 0 %");
    assert!(e.mean_ms < 0.001 && e.p99_ms == 0.0, "{e:?}");
}

/// The same load by the two older policies, where dynos queue by themselves.
#[test]
fn random_and_least_load() {
    let random = experience(Policy::Random, 75, 400_000);
    assert!(
        (48.0..56.0).contains(&random.percent_queued),
        "{random:?}, expected 52 %"
    );
    assert!(
        (800.0..1_300.0).contains(&random.mean_ms),
        "{random:?}, expected 1,032 ms"
    );
    assert!(
        (8_500.0..12_500.0).contains(&random.p99_ms),
        "{random:?}, expected 10,242 ms"
    );
    // With one queue for all routers it is as good as idle-only while dynos are
    // idle; what it lacks shows when none is.
    let least = experience(Policy::LeastLoad, 75, 400_000);
    assert!(least.percent_queued < 0.005, "{least:?}");
}

/// Pearson's statistic for equally likely outcomes.
fn chi_square(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts
        .iter()
        .map(|n| (*n as f64 - expected).powi(2) / expected)
        .sum()
}

/// 99.9 % of honest choices among 50 stay below this (49 degrees of freedom).
const SUSPICIOUS: f64 = 85.4;

/// How often each dyno is chosen, with `busy` leases out all the time.
fn choices(policy: Policy, busy: u64) -> Vec<u64> {
    let settings = Settings {
        policy,
        ..Settings::default()
    };
    let (mut mesh, session) = mesh_with(50, settings);
    let mut counts = vec![0; 50];
    for ask in 0..busy + 50_000 {
        mesh.ask(session, Ask::new(AskId(ask), "rap.test"), Time::ZERO);
        let Some(Output::Answer(answer)) = mesh.poll_output() else {
            panic!("no answer")
        };
        let dyno: usize = answer.result.unwrap().dyno.instance.parse().unwrap();
        counts[dyno] += 1;
        if ask >= busy {
            mesh.checkin(session, AskId(ask - busy), Outcome::Done, Time::ZERO);
        }
    }
    counts
}

#[test]
fn equals_are_chosen_equally_often() {
    for (policy, busy) in [
        (Policy::Random, 0),
        (Policy::Random, 30),
        (Policy::LeastLoad, 0),
        (Policy::IdleOnly, 0),
    ] {
        let counts = choices(policy, busy);
        let statistic = chi_square(&counts);
        assert!(
            statistic < SUSPICIOUS,
            "{policy:?}, {busy} busy: {statistic} {counts:?}"
        );
    }
}

/// Random looks at no load at all: that is what was wrong with it.
#[test]
fn random_ignores_load_and_least_load_does_not() {
    for (policy, highest) in [(Policy::LeastLoad, 2), (Policy::Random, u32::MAX)] {
        let (mut mesh, session) = mesh_with(
            50,
            Settings {
                policy,
                ..Settings::default()
            },
        );
        for ask in 0..100 {
            mesh.ask(session, Ask::new(AskId(ask), "rap.test"), Time::ZERO);
        }
        let view = mesh.app("rap", Time::ZERO).unwrap();
        let most = view.dynos.iter().map(|d| d.load).max().unwrap();
        assert!(most <= highest, "{policy:?}: {most}");
        assert!(
            policy == Policy::LeastLoad || most > 3,
            "{policy:?}: {most}"
        );
    }
}
