//! One queue per app over many routers, each with a sidecar of its own.

mod basics;
mod faults;
mod load;
mod mayhem;
mod soak;

use std::time::Duration;

use dynomesh_proto::v1::{Exact, MemberStanding, NodesResponse, Policy, Settings};
use e2e::{
    App, Dyno, Mesh,
    harness::{Builder, wait},
    load::{Load, Options, Report},
};
use mesh::Shard;

use crate::log::secure::Authority;

const LIMIT: Duration = Duration::from_secs(150);

fn settings(exact: Exact) -> Settings {
    Settings {
        policy: Policy::IdleOnly.into(),
        exact: exact.into(),
        ..Settings::default()
    }
}

/// Hosts whose sidecars are members, called `r0` and on.
async fn hosts(url: &str, prefix: &str, count: usize) -> Vec<Mesh> {
    let authority = Authority::new("ours");
    let mut hosts = Vec::new();
    for number in 0..count {
        let host = host(&authority, number).broker(url, prefix);
        let peers = ["--peer-tcp", "127.0.0.1:0", "--peer-address", "localhost:0"];
        hosts.push(host.sidecar(&peers).start().await);
    }
    until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
    hosts
}

/// One of them, as far as all are alike.
fn host(authority: &Authority, number: usize) -> Builder {
    let (chain, key) = authority.issue();
    Mesh::builder()
        .node(&format!("r{number}"))
        .file("--peer-tls-ca", "ca.pem", authority.pem())
        .file("--tls-cert", "cert.pem", chain)
        .file("--tls-key", "key.pem", key)
        .web()
        // The longest request that anybody makes takes 30 s.
        .location("proxy_read_timeout 60s;")
}

/// All know the same members, these and nobody else, and can decide.
async fn until_agreed(hosts: &[&Mesh]) {
    wait::until("all decide for their shards", async || {
        let mut said = Vec::new();
        for host in hosts {
            match host.control().try_nodes().await {
                Ok(nodes) => said.push(nodes),
                Err(_) => return false,
            }
        }
        let bits = |nodes: &NodesResponse| -> u32 {
            nodes.may_grant.iter().map(|bits| bits.count_ones()).sum()
        };
        let is_member = |nodes: &NodesResponse| {
            let own = nodes.membership.as_ref();
            let own = own.is_some_and(|own| own.standing() == MemberStanding::Member);
            own && nodes.members.len() == hosts.len()
        };
        said.iter().all(is_member) && said.iter().map(bits).sum::<u32>() == 256
    })
    .await;
}

/// An app with so many dynos, each for one request, which all hosts know.
async fn app(hosts: &[Mesh], settings: Settings, dynos: usize) -> (App, Vec<Dyno>) {
    let app = hosts[0].app_with("shop", settings).await;
    let dynos = app.dynos(dynos).await;
    for host in hosts {
        host.control()
            .until_app("shop", "has its dynos", |status| {
                status.dynos.len() == dynos.len()
            })
            .await;
    }
    (app, dynos)
}

/// Which of these decides for an app.
async fn owner(hosts: &[Mesh], app: &str) -> usize {
    let shard = Shard::of(app).index();
    for (at, host) in hosts.iter().enumerate() {
        let nodes = host.control().try_nodes().await.unwrap();
        if nodes.may_grant[shard / 8] >> (shard % 8) & 1 == 1 {
            return at;
        }
    }
    panic!("nobody decides for {app}");
}

/// The same clients at each host.
fn start_loads(hosts: &[Mesh], connections: usize, targets: &[&str]) -> Vec<Load> {
    let targets: Vec<_> = targets.iter().map(|it| (*it).to_owned()).collect();
    let load = |(seed, host): (usize, &Mesh)| {
        Load::start(Options {
            connections,
            targets: targets.clone(),
            seed: seed as u64,
            ..Options::new(host.nginx.address, "shop.test")
        })
    };
    hosts.iter().enumerate().map(load).collect()
}

/// Waits until so many more requests have ended, wherever.
async fn more_of_all(loads: &[Load], requests: u64) {
    let ended = || loads.iter().map(Load::ended).sum::<u64>();
    let goal = ended() + requests;
    wait::until("more requests have ended", async || ended() >= goal).await;
}

async fn stop_all(loads: Vec<Load>) -> Vec<Report> {
    let mut reports = Vec::new();
    for load in loads {
        reports.push(load.stop().await);
    }
    reports
}

/// No dyno ever had two requests. Says how many all had.
async fn none_had_two(dynos: &[Dyno]) -> u64 {
    let mut total = 0;
    for dyno in dynos {
        let figures = dyno.figures().await;
        assert_eq!(
            (figures.max, figures.double_bookings),
            (1, 0),
            "{}",
            dyno.name
        );
        total += figures.total;
    }
    total
}

/// Nobody has a lease any more, or waits.
async fn until_nothing_is_left(hosts: &[Mesh]) {
    for host in hosts {
        wait::until("no lease is left", async || {
            let status = host.control().app("shop").await;
            status.in_flight + status.waiting == 0
        })
        .await;
    }
}
