//! Sidecars with their cores, their log, their links, their routers and the dynos,
//! and everything that goes wrong with all of these, played through in simulated time
//! from one seed: a dyno under a limit of one never has two requests.
//!
//! `MESH_SEEDS=1000` runs more seeds, `MESH_SEED_FROM=500` others; `MESH_SEED=17` that one
//! alone, with a trace.

#![allow(clippy::unwrap_used)]

mod faults;
mod link;
mod node;
mod router;
mod world;

use std::{
    env, iter,
    num::NonZero,
    panic,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use world::{Report, World};

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn simulate(seed: u64, trace: bool) -> Report {
    let run = || {
        let mut world = World::new(seed, 4, trace);
        world.run(Duration::from_secs(8), false, 1.0);
        world.run(Duration::from_secs(40), true, 1.0);
        // Whoever is down or cut off comes back.
        world.run(Duration::from_secs(25), false, 0.5);
        world.settle();
        world.report
    };
    panic::catch_unwind(run).unwrap_or_else(|cause| {
        eprintln!("again, with a trace: MESH_SEED={seed} cargo test -p members --test cluster");
        panic::resume_unwind(cause)
    })
}

/// So many seeds from this one on, on all processors.
fn simulate_all(first: u64, count: u64) -> Report {
    let (next, all) = (AtomicU64::new(first), Mutex::new(Report::default()));
    let work = || {
        let seeds = iter::repeat_with(|| next.fetch_add(1, Relaxed));
        for seed in seeds.take_while(|seed| *seed < first + count) {
            let report = simulate(seed, false);
            all.lock().unwrap().add(&report);
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    all.into_inner().unwrap()
}

#[test]
fn a_dyno_never_has_two_requests_whatever_happens() {
    if let Some(seed) = number("MESH_SEED") {
        println!("{:#?}", simulate(seed, true));
        return;
    }
    let all = simulate_all(
        number("MESH_SEED_FROM").unwrap_or(0),
        number("MESH_SEEDS").unwrap_or(30),
    );
    println!("{all:#?}\n{} faults", all.faults());
    assert!(
        all.served > all.asked * 3 / 5,
        "most requests are served: {all:?}"
    );
    assert!(
        all.far > all.served / 3,
        "many of them by way of another sidecar: {all:?}"
    );
    for what in [
        all.crashes,
        all.freezes,
        all.cuts,
        all.stalls,
        all.leaves,
        all.anew,
        all.dead_workers,
        all.broken,
        all.changes,
        all.moved,
        all.refused,
    ] {
        assert!(what > 0, "{all:?}");
    }
}

#[test]
fn one_seed_is_one_story() {
    assert_eq!(simulate(3, false), simulate(3, false));
}

/// Without faults there is one queue, first in, first out.
#[test]
fn nobody_is_overtaken() {
    for seed in 0..10 {
        let mut world = World::new(seed, 4, false);
        world.run(Duration::from_secs(6), false, 0.0);
        world.strict_order = true;
        world.run(Duration::from_secs(20), false, 1.3);
        world.strict_order = false;
        world.run(Duration::from_secs(30), false, 0.0);
        world.settle();
        let report = &world.report;
        assert!(report.served > 1_000 && report.refused == 0, "{report:?}");
    }
}

/// Nobody sees that a sidecar is stopped and started as planned.
#[test]
fn what_is_planned_delays_nobody_for_long() {
    for seed in 0..20 {
        let mut world = World::new(seed, 4, false);
        world.run(Duration::from_secs(8), false, 0.4);
        let before = world.report.refused;
        world.leave(1, Duration::from_millis(400));
        world.run(Duration::from_secs(5), false, 0.4);
        world.run(Duration::from_secs(5), false, 0.0);
        world.settle();
        assert_eq!(world.report.refused, before);
    }
}

/// A host that is no more, and of which nobody says so, is waited for once at most.
#[test]
fn who_is_gone_for_good_is_not_waited_for_for_ever() {
    for (seed, planned) in (0..10).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut world = World::new(seed, 4, false);
        world.longest_request = Duration::from_secs(6);
        world.run(Duration::from_secs(8), false, 0.4);
        if planned {
            world.leave(3, Duration::MAX);
            world.run(Duration::from_millis(200), false, 0.4);
        }
        world.retire(3);
        world.run(Duration::from_secs(10), false, 0.4);
        let before = world.report.refused;
        for at in [1, 2] {
            world.leave(at, Duration::from_millis(400));
            world.run(Duration::from_secs(5), false, 0.4);
        }
        world.run(Duration::from_secs(5), false, 0.0);
        assert!(world.is_served(), "{seed} {planned}");
        assert_eq!(world.report.refused, before, "{seed} {planned}");
    }
}
