//! The long ones: `make soak`.

use std::{env, time::Duration};

use dynomesh_proto::v1::{Change, LogState, Policy, Settings, operation::Kind};
use e2e::{
    Dyno, Mesh,
    harness::{BACK_WITHIN, Broker, Control, run_within, wait},
    load::{Load, Options},
};

use super::{addresses, change};

/// How long the broker is away, in seconds, unless `DYNOMESH_OUTAGE_S` says so.
const OUTAGE_S: u64 = 180;
/// Beside that, tests have this long.
const LIMIT: Duration = Duration::from_secs(400);
const HOSTS: usize = 3;

#[test]
#[ignore = "long: make soak"]
fn no_request_of_100_000_goes_astray() {
    addresses::no_request_goes_astray(addresses::Length {
        requests: 100_000,
        moves: 600,
        limit: LIMIT,
    });
}

/// A host at each of these brokers, with an app that all serve.
async fn hosts(urls: &[String]) -> (Vec<Mesh>, Vec<Dyno>) {
    let mut hosts = Vec::new();
    for (number, url) in urls.iter().enumerate() {
        let host = Mesh::builder().broker(url, "mesh");
        hosts.push(host.node(&format!("n{number}")).start().await);
    }
    let settings = Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    };
    let app = hosts[0].app_with("shop", settings).await;
    let dynos = app.dynos(3).await;
    for host in &hosts {
        host.control()
            .until_app("shop", "has its dynos", |status| status.dynos.len() == 3)
            .await;
    }
    (hosts, dynos)
}

fn start_loads(hosts: &[Mesh]) -> Vec<Load> {
    let loads = hosts.iter().map(|host| {
        Load::start(Options {
            connections: 2,
            targets: vec!["/".into(), "/sleep/20".into()],
            ..Options::new(host.nginx.address, "shop.test")
        })
    });
    loads.collect()
}

async fn no_failures(loads: Vec<Load>) {
    for load in loads {
        let report = load.stop().await;
        eprintln!("{} requests, longest {} us", report.requests, report.max);
        assert!(report.requests > 1_000, "{report:?}");
        assert_eq!(report.failures(), 0, "{report:?}");
    }
}

fn tick(number: usize) -> Change {
    change(
        &format!("tick-{number}"),
        0,
        [Kind::CreateApp(Default::default())],
    )
}

/// All of its table.
async fn table(host: &Mesh) -> String {
    let export = host.ctl("export").await;
    assert_eq!(export.code, 0, "{export:?}");
    let mut text = export.stdout;
    let status = host.control().app("shop").await;
    text.push_str(&format!("{:?}", status.app));
    text
}

async fn until_same(hosts: &[Mesh]) {
    wait::within(BACK_WITHIN, "all tables are the same", async || {
        let first = table(&hosts[0]).await;
        for host in &hosts[1..] {
            if table(host).await != first {
                return false;
            }
        }
        true
    })
    .await;
}

async fn until_state(at: &Control, state: LogState) {
    let what = format!("it is {}", state.as_str_name());
    wait::within(BACK_WITHIN, &what, async || {
        let log = at.status().await.log;
        log.is_some_and(|log| log.state() == state)
    })
    .await;
}

/// Makes changes until so many more were made. Says how many were not, and the
/// next number.
async fn make_changes(at: &Control, mut number: usize, more: usize) -> (usize, usize) {
    let (mut made, mut not) = (0, 0);
    while made < more {
        match at.apply_change(tick(number)).await {
            Ok(_) => made += 1,
            // Or nobody knows.
            Err(error) => {
                assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
                not += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        number += 1;
    }
    (not, number)
}

#[test]
#[ignore = "long: make soak"]
fn the_node_with_the_log_is_killed() {
    run_within(LIMIT, async {
        let mut first = Broker::start().await;
        let others = [first.start_beside().await, first.start_beside().await];
        let nodes = [&first, &others[0], &others[1]];
        let urls: Vec<_> = nodes.iter().map(|node| node.url()).collect();
        let (mut hosts, _dynos) = hosts(&urls).await;
        let listed = first.ctl("-q list_queues name leader members").await.stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let log = listed.lines().find(|line| line.starts_with("mesh.route\t"));
        let log: Vec<_> = log
            .unwrap_or_else(|| panic!("{listed}"))
            .split('\t')
            .collect();
        assert_eq!(log[1], first.node(), "{listed}");
        assert!(
            nodes.iter().all(|node| log[2].contains(&node.node())),
            "{listed}"
        );

        let loads = start_loads(&hosts);
        let (not, next) = make_changes(hosts[1].control(), 0, 100).await;
        assert_eq!(not, 0);
        first.kill().await;
        // Those at the other nodes go on.
        let (not, next) = make_changes(hosts[1].control(), next, 100).await;
        eprintln!("{not} changes were not made as the node was killed");
        until_state(hosts[0].control(), LogState::Away).await;
        let queued = hosts[0].control().queue(vec![tick(next)]).await;
        assert!(
            queued[0].error.is_none() && !queued[0].queued.is_empty(),
            "{queued:?}"
        );
        // Also those that come anew.
        hosts[2].crash_meshd().await;
        until_state(hosts[2].control(), LogState::InSync).await;
        assert_eq!(table(&hosts[1]).await, table(&hosts[2]).await);
        for load in &loads {
            load.more(500).await;
        }
        first.start_again().await;
        until_state(hosts[0].control(), LogState::InSync).await;
        hosts[2]
            .control()
            .until_app(&format!("tick-{next}"), "is there", |_| true)
            .await;
        until_same(&hosts).await;
        no_failures(loads).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
#[ignore = "long: make soak"]
fn the_broker_is_away_for_long() {
    let outage = env::var("DYNOMESH_OUTAGE_S");
    let outage = outage.map_or(OUTAGE_S, |seconds| seconds.parse().unwrap());
    let outage = Duration::from_secs(outage);
    run_within(outage + LIMIT, async {
        let mut broker = Broker::start().await;
        let (mut hosts, _dynos) = hosts(&vec![broker.url(); HOSTS]).await;
        let loads = start_loads(&hosts);
        let (_, next) = make_changes(hosts[1].control(), 0, 50).await;
        broker.kill().await;
        for host in &hosts {
            until_state(host.control(), LogState::Away).await;
        }
        let queued = hosts[1]
            .control()
            .queue(vec![tick(next), tick(next + 1)])
            .await;
        assert!(
            queued.iter().all(|applied| !applied.queued.is_empty()),
            "{queued:?}"
        );
        // It is the length that is looked at.
        tokio::time::sleep(outage / 2).await;
        hosts[1].crash_meshd().await;
        tokio::time::sleep(outage / 2).await;
        for load in &loads {
            load.more(100).await;
        }
        broker.start_again().await;
        for host in &hosts {
            until_state(host.control(), LogState::InSync).await;
        }
        let last = format!("tick-{}", next + 1);
        hosts[2]
            .control()
            .until_app(&last, "is there", |_| true)
            .await;
        until_same(&hosts).await;
        make_changes(hosts[0].control(), next + 2, 10).await;
        until_same(&hosts).await;
        no_failures(loads).await;
        for host in hosts {
            host.finish().await;
        }
    });
}
