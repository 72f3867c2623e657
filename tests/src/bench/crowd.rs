//! One app that gets a hundred times what it can serve, beside 1,000 others: what they
//! notice of it. All are exact and have one dyno that takes one request at a time; two
//! sidecars decide for half of them each, and requests come through both routers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use dynomesh_proto::v1::{Exact, Policy, Settings};

use super::{
    Failure, Plan, Report, changes, conf, cpu, directory,
    dynos::Dynos,
    hosts::Hosts,
    members,
    nginx::Nginx,
    pace::{Came, pace},
    progress,
    report::Row,
    sidecar::Sidecar,
    unit::Unit,
};

const HEADING: &str = "Crowd: 1,000 apps beside one with 100 x what it can serve";

const OTHERS: usize = 1_000;
/// Requests a second, all of them together.
const RATE: f64 = 1_000.0;
/// Of the dyno of the crowded one, which serves ten a second.
const WORK: Duration = Duration::from_millis(100);
const CROWD_RATE: f64 = 1_000.0;

struct Turn {
    alone: Came,
    beside: Came,
    crowd: Came,
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let hosts = Hosts::start(dir, 2, None).await?;
    let owned = members::owned(&hosts.sidecars).await?;
    let far = &owned[1];
    let dynos = Dynos::start(dir, 1, WORK)?;
    let backend_dir = dir.join("dynos");
    let backend = Nginx::start(&backend_dir, 1, |listen| {
        conf::backend(
            &backend_dir,
            &(0..OTHERS)
                .map(|at| address(listen[0].port(), at))
                .collect::<Vec<_>>(),
        )
    })
    .await?;
    let settings = Settings {
        exact: Exact::Strict.into(),
        ..changes::policy(Policy::IdleOnly, 1)
    };
    let port = backend.addresses[0].port();
    let others =
        (0..OTHERS).map(|at| changes::app(&changes::filler(at), settings, &[address(port, at)]));
    let crowded = [format!("unix:{}", dynos.paths[0].display())];
    let apps = others.chain([changes::app(far, settings, &crowded)]);
    hosts.sidecars[0].load(apps.collect()).await?;
    hosts.until_known(OTHERS + 1).await?;
    let servers = hosts.servers();
    let names: Vec<_> = (0..OTHERS)
        .map(|at| changes::host(&changes::filler(at)))
        .collect();
    let crowd = [changes::host(far)];

    // Everybody was there once.
    pace(
        &servers,
        &names,
        RATE,
        Duration::from_secs_f64(OTHERS as f64 * 2.0 / RATE),
    )
    .await;
    let before = memory(&hosts)?;
    let mut turns = Vec::new();
    for turn in 0..plan.queue_turns {
        progress(&format!("crowd: turn {} of {}", turn + 1, plan.queue_turns));
        let alone = pace(&servers, &names, RATE, plan.queue_shot).await;
        // The queue is full when the others come, and until they have gone.
        let full = Duration::from_millis(200);
        let (crowd, beside) = tokio::join!(
            pace(&servers, &crowd, CROWD_RATE, full + plan.queue_shot),
            async {
                tokio::time::sleep(full).await;
                pace(&servers, &names, RATE, plan.queue_shot).await
            }
        );
        turns.push(Turn {
            alone,
            beside,
            crowd,
        });
    }
    let added = memory(&hosts)? - before;
    let owner = hosts.sidecars[1].status().await?;
    report.add(
        row(
            "sidecars and routers: memory added",
            Unit::Mebibytes,
            vec![added],
        )
        .at_most(32.0),
    );
    if owner.waiting > 0 {
        report.note(format!("crowd: {} wait still", owner.waiting));
    }
    summarize(&turns, report);
    Ok(())
}

fn row(what: &str, unit: Unit, values: Vec<f64>) -> Row {
    Row::new(HEADING, what, unit, values)
}

fn summarize(turns: &[Turn], report: &mut Report) {
    let each = |figure: &dyn Fn(&Turn) -> f64| turns.iter().map(figure).collect();
    report.add(row(
        "the others: p99 alone",
        Unit::Millis,
        each(&|it| it.alone.p99()),
    ));
    report.add(row(
        "the others: p99 beside it",
        Unit::Millis,
        each(&|it| it.beside.p99()),
    ));
    let added = each(&|it| it.beside.p99() - it.alone.p99());
    report.add(row("the others: p99 added", Unit::Millis, added).at_most(1.0));
    let failures = turns
        .iter()
        .map(|it| it.alone.failures() + it.beside.failures())
        .sum::<u64>();
    report.add(
        row(
            "the others: failed requests",
            Unit::Count,
            vec![failures as f64],
        )
        .at_most(0.0),
    );
    let of = |it: &Turn, status| it.crowd.statuses.get(&status).copied().unwrap_or_default() as f64;
    let came = each(&|it| it.crowd.statuses.values().sum::<u64>() as f64);
    report.add(row("the crowd: requests", Unit::Count, came));
    report.add(row(
        "the crowd: of these served",
        Unit::Count,
        each(&|it| of(it, 200)),
    ));
    report.add(row(
        "the crowd: told that the queue is full",
        Unit::Count,
        each(&|it| of(it, 503)),
    ));
}

/// What all of them have in memory.
fn memory(hosts: &Hosts) -> Result<f64, Failure> {
    let pids = hosts.sidecars.iter().map(Sidecar::pid);
    let pids = pids.chain(hosts.routers.iter().map(|router| router.worker));
    pids.map(cpu::resident).sum()
}

/// Each of the others has an address of its own, all of them in one process.
fn address(port: u16, app: usize) -> SocketAddr {
    let (third, fourth) = (app / 250 + 1, app % 250 + 1);
    (Ipv4Addr::new(127, 0, third as u8, fourth as u8), port).into()
}
