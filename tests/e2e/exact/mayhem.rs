//! One thing after another goes wrong while the load of 2013 comes: what, where and
//! when follow from a seed.

mod cluster;
mod fault;
mod traffic;

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use e2e::harness::run_within;

use super::{load::Figures, none_had_two, soak::number, until_nothing_is_left};
use cluster::Cluster;
use fault::Fault;
use traffic::Traffic;

const DYNOS: usize = 60;

/// Many faults of every kind, chosen by `DYNOMESH_SEED`, or of the kind `DYNOMESH_FAULT`.
#[test]
#[ignore = "long: make soak"]
fn whatever_breaks_no_dyno_has_two() {
    let (faults, seed) = (number("DYNOMESH_FAULTS", 40), number("DYNOMESH_SEED", 1));
    let limit = Duration::from_secs(120 + 30 * faults);
    let only = env::var("DYNOMESH_FAULT").ok();
    let only = only.map(|name| Fault::named(&name).expect("the name of a fault"));
    run_within(limit, async {
        let mut random = StdRng::seed_from_u64(seed);
        let some = (0..faults).map(|number| {
            // Each kind comes, whatever the seed.
            let all = Fault::ALL;
            let any = random.random_range(0..all.len());
            let each = all.get(number as usize).copied().unwrap_or(all[any]);
            only.unwrap_or(each)
        });
        mayhem(some.collect(), seed).await;
    });
}

/// One of each that leaves the broker alone, as that takes many seconds to come back.
#[test]
fn whatever_breaks_for_a_moment_no_dyno_has_two() {
    run_within(Duration::from_secs(150), async {
        let some = Fault::ALL.into_iter().filter(|it| !it.is_long());
        mayhem(some.collect(), number("DYNOMESH_SEED", 1)).await;
    });
}

async fn mayhem(faults: Vec<Fault>, seed: u64) {
    eprintln!("DYNOMESH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(4, DYNOS).await;
    let traffic = Traffic::start(&cluster.routers(), random.random());
    let mut took: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
    for fault in faults {
        traffic.more(100).await;
        let before = traffic.failures();
        let back = fault.happen(&mut cluster, &mut random).await;
        cluster.until_agreed().await;
        let failures = traffic.failures().since(&before);
        eprintln!("{fault:?}: served after {back:.2?}; {failures}");
        failures.are_those_of(fault);
        check_none_had_two(&cluster, fault).await;
        took.entry(fault)
            .or_default()
            .extend(back.into_iter().max());
    }
    traffic.more(100).await;
    let waits = traffic.stop().await;
    let Figures { queued, mean, p99 } = waits;
    eprintln!("{queued:.3} % of those answered had waited, mean {mean:.2} ms, p99 {p99:.1} ms");
    until_nothing_is_left(cluster.hosts()).await;
    none_had_two(&cluster.dynos).await;
    every_dyno_can_be_had(&cluster).await;
    for (fault, mut times) in took {
        times.sort_unstable();
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!(
            "{fault:?}: {} times, median {median:.2?}, longest {most:.2?}",
            times.len()
        );
    }
    cluster.finish().await;
}

/// Says after what a dyno had two requests, and which, if one had.
async fn check_none_had_two(cluster: &Cluster, fault: Fault) {
    for dyno in &cluster.dynos {
        let figures = dyno.figures().await;
        if figures.double_bookings == 0 {
            continue;
        }
        for seen in &figures.together {
            eprintln!("began {:?}, {}", seen.at, seen.id);
            for host in cluster.hosts() {
                let entries = host.access_log().into_iter();
                entries
                    .filter(|entry| entry.id == seen.id)
                    .for_each(|entry| eprintln!("{entry:?}"));
            }
        }
        panic!("{} had two by the end of {fault:?}", dyno.name);
    }
}

/// No capacity is lost: all dynos work at once, and none has two.
async fn every_dyno_can_be_had(cluster: &Cluster) {
    let routers = cluster.routers();
    let began = Instant::now();
    let held = (0..DYNOS).map(|number| {
        let to = routers[number % routers.len()];
        let request = e2e::client::Request::new(to, "GET", "shop.test", "/hold");
        tokio::spawn(async move { request.send().await.status() })
    });
    let held: Vec<_> = held.collect();
    for dyno in &cluster.dynos {
        dyno.until_now(1).await;
    }
    eprintln!(
        "all dynos were had {:.2?} after they were asked for",
        began.elapsed()
    );
    for dyno in &cluster.dynos {
        dyno.release().await;
    }
    for status in join_all(held).await {
        assert_eq!(status.expect("it is answered"), 200);
    }
    none_had_two(&cluster.dynos).await;
}
