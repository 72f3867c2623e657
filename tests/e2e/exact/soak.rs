//! The long ones: `make soak`.

use std::{env, time::Duration};

use dynomesh_proto::v1::{Exact, Settings};
use e2e::{
    client::Request,
    harness::{Broker, broker, run_within},
};
use tokio::time::{Instant, sleep_until};

use super::{
    app, hosts,
    load::{Arrival, Figures, arrivals, ideal},
    none_had_two, owner, settings, start_loads, stop_all, until_nothing_is_left,
};

/// Longer than any of these takes.
const LIMIT: Duration = Duration::from_secs(1_800);

pub(super) fn number(name: &str, usual: u64) -> u64 {
    let given = env::var(name);
    given.map_or(usual, |number| number.parse().unwrap())
}

#[test]
#[ignore = "long: make soak"]
fn no_dyno_is_double_booked_in_a_million_requests() {
    let requests = number("DYNOMESH_REQUESTS", 1_000_000);
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 4).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Strict), 8).await;
        let loads = start_loads(&hosts, 50, &["/"]);
        while loads.iter().map(e2e::load::Load::ended).sum::<u64>() < requests {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut sum = 0;
        for report in stop_all(loads).await {
            assert_eq!(report.failures(), 0, "{report:?}");
            eprintln!("{} requests, p99 {} us", report.requests, report.p99);
            sum += report.requests;
        }
        assert_eq!(none_had_two(&dynos).await, sum);
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

async fn replay(routers: usize, dynos: usize, arrivals: &[Arrival]) -> Figures {
    let (broker, prefix) = (Broker::shared().await, broker::prefix());
    let hosts = hosts(&broker.url(), &prefix, routers).await;
    let shown = Settings {
        queue_headers: true,
        ..settings(Exact::Strict)
    };
    let (app, dynos) = app(&hosts, shown, dynos).await;
    let began = Instant::now();
    let mut requests = Vec::new();
    for (number, arrival) in arrivals.iter().enumerate() {
        sleep_until(began + Duration::from_secs_f64(arrival.at)).await;
        let target = format!("/sleep/{}", (arrival.service * 1e3).round() as u64);
        let to = hosts[number % routers].nginx.address;
        let request = Request::new(to, "GET", &app.host(), &target);
        requests.push(tokio::spawn(async move {
            let response = request.send().await;
            assert_eq!(
                response.status(),
                200,
                "{:?}",
                response.header("x-mesh-error")
            );
            let waited = response.header("x-mesh-queue-wait-time").unwrap();
            waited.parse::<f64>().unwrap()
        }));
    }
    let mut waits = Vec::new();
    for request in requests {
        waits.push(request.await.unwrap());
    }
    none_had_two(&dynos).await;
    let owner = owner(&hosts, "shop").await;
    let counters = hosts[owner].control().app("shop").await.counters.unwrap();
    assert_eq!(counters.routed as usize, arrivals.len());
    for host in hosts {
        host.finish().await;
    }
    Figures::of(waits, counters.queued as usize)
}

#[test]
#[ignore = "long: make soak"]
fn the_load_of_2013_is_served_as_by_one_queue() {
    let (seconds, seed) = (
        number("DYNOMESH_SECONDS", 40),
        number("DYNOMESH_SEED", 2013),
    );
    let arrivals = arrivals(seconds as f64, seed);
    let routers = env::var("DYNOMESH_ROUTERS").unwrap_or("1,2,4,8".to_owned());
    let routers: Vec<usize> = routers.split(',').map(|it| it.parse().unwrap()).collect();
    // One after the other: they would take processor time from each other.
    let limit = Duration::from_secs(120 + seconds) * 2 * routers.len() as u32;
    run_within(limit, async {
        eprintln!("dynos  routers  % queued  mean wait ms  p99 wait ms");
        let print = |dynos: usize, routers: &str, it: &Figures| {
            let Figures { queued, mean, p99 } = it;
            eprintln!("{dynos:>5}  {routers:>7}  {queued:>8.3}  {mean:>12.2}  {p99:>11.1}");
        };
        for dynos in [60, 75] {
            let ideal = ideal(&arrivals, dynos);
            let queued = ideal.iter().filter(|wait| **wait > 0.0).count();
            let ideal = Figures::of(ideal, queued);
            print(dynos, "ideal", &ideal);
            let mut all = Vec::new();
            for routers in &routers {
                let seen = replay(*routers, dynos, &arrivals).await;
                print(dynos, &routers.to_string(), &seen);
                all.push(seen);
            }
            for seen in &all {
                // A tenth, and a few that meet while a dyno ends what it did.
                let most = all[0].queued.max(ideal.queued) * 1.1 + 0.05;
                assert!(seen.queued <= most, "{} of {most}", seen.queued);
                assert!(seen.p99 < 1.0, "{}", seen.p99);
            }
        }
    });
}
