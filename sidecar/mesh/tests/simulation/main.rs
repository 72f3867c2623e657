//! Many routers, apps and dynos for a while, with everything that goes wrong,
//! played through in simulated time from one seed.
//!
//! Truth is measured where it is: the simulated dynos count how many requests
//! they really have at once, and notice requests that are not for them.
//!
//! `MESH_SEEDS=1000` runs more seeds; `MESH_SEED=17` runs that one alone, with a
//! trace of what happens.
#![allow(clippy::unwrap_used)]

mod ahead;
mod fleet;
mod router;
mod sidecar;
mod world;

use std::{env, panic};

use world::{Report, World};

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn simulate(seed: u64, trace: bool) -> Report {
    let result = panic::catch_unwind(|| World::new(seed, trace).run());
    result.unwrap_or_else(|cause| {
        eprintln!("again, with a trace: MESH_SEED={seed} cargo test -p mesh --test simulation");
        panic::resume_unwind(cause)
    })
}

#[test]
fn nothing_is_lost_and_nobody_is_booked_twice() {
    if let Some(seed) = number("MESH_SEED") {
        println!("{:#?}", simulate(seed, true));
        return;
    }
    let mut all = Report::default();
    for seed in 0..number("MESH_SEEDS").unwrap_or(16) {
        all.add(&simulate(seed, false));
    }
    println!("{all:#?}");
    // The simulation does what it is for only if all of this happens.
    assert!(all.served > 0 && all.queued > 0 && all.refused.len() > 6 && all.aborted > 0);
    assert!(all.broken > 0 && all.died > 0 && all.restarts > 0 && all.crashed > 0);
    assert!(all.idled > 0 && all.hinted > 0);
    assert!(all.retried > 0 && all.drained > 0 && all.woken > 0 && all.deleted > 0);
    assert!(all.passed > 0);
    assert!(all.lent > 0 && all.handed_on > 0);
    assert!(all.ahead > 0 && all.unused > 0 && all.recalled > 0 && all.frozen > 0);
}

#[test]
fn one_seed_is_one_story() {
    let (first, second) = (simulate(7, false), simulate(7, false));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}
