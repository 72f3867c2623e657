//! Requests that find a dyno at once: what the mesh costs beside Nginx alone.
//!
//! The same Nginx, one worker, differs in nothing but the mesh. The dynos answer
//! from memory, so that nearly all of a request is Nginx and what it asks.

use std::net::SocketAddr;

use dynomesh_proto::v1::Policy;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    beside::{Load, measured},
    changes, conf,
    conf::Front,
    directory,
    haproxy::{self, HaProxy},
    nginx::Nginx,
    progress,
    report::Row,
    shot::shoot,
    sidecar::{Sidecar, router_socket},
    turns,
    unit::Unit,
};

const HEADING: &str = "Cost: beside plain Nginx, one worker, 8 dynos";

/// High enough to let everybody through at once, but a limit: the sidecar counts,
/// and leases last until the dyno has finished.
const HIGH_LIMIT: u32 = 1_000;

/// The places of the contestants; the others come after.
const PLAIN: usize = 0;
const LEAST_LOAD: usize = 1;
const IDLE_ONLY: usize = 2;

/// Somebody who passes requests on.
struct Contestant {
    name: &'static str,
    address: SocketAddr,
    host: String,
    /// The process that does it.
    worker: u32,
    sidecar: Option<u32>,
}

impl Contestant {
    async fn measure(&self, connections: usize, plan: &Plan) -> Result<Load, Failure> {
        let load = shoot(self.address, &self.host, connections, plan.shot);
        measured(self.worker, self.sidecar, load).await
    }
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let backend = Backend::start(&dir.join("dynos"), 2).await?;
    let sidecar = Sidecar::start(dir).await?;
    let apps = [
        ("least", changes::policy(Policy::LeastLoad, 0)),
        ("idle", changes::policy(Policy::IdleOnly, HIGH_LIMIT)),
    ];
    let apps = apps.into_iter().enumerate();
    let apps = apps.map(|(at, (name, settings))| changes::app(name, settings, backend.dynos(at)));
    sidecar.load(apps.collect()).await?;

    let start = async |name: &str, front: Front<'_>| {
        let dir = dir.join(name);
        Nginx::start(&dir, 1, |listen| front.text(&dir, listen[0], None)).await
    };
    let plain = start("plain", Front::Plain(backend.dynos(0))).await?;
    let socket = router_socket(dir);
    // One for each app: none of them has more connections to keep than the others.
    let least = start("least", Front::Mesh(&socket)).await?;
    let idle = start("idle", Front::Mesh(&socket)).await?;
    sidecar.until_sessions(2).await?;
    let haproxy = HaProxy::start(&dir.join("haproxy"), |listen| {
        conf::haproxy(listen, backend.dynos(0), None)
    })
    .await?;

    let contestant = |name, nginx: &Nginx, app, sidecar| Contestant {
        name,
        address: nginx.addresses[0],
        host: changes::host(app),
        worker: nginx.worker,
        sidecar,
    };
    let mut contestants = vec![
        contestant("plain", &plain, "least", None),
        contestant("least-load", &least, "least", Some(sidecar.pid())),
        contestant("idle-only", &idle, "idle", Some(sidecar.pid())),
    ];
    match &haproxy {
        Some(haproxy) => contestants.push(Contestant {
            name: "HAProxy",
            address: haproxy.address,
            host: changes::host("least"),
            worker: haproxy.pid(),
            sidecar: None,
        }),
        None => report.note(haproxy::MISSING),
    }
    compete(&contestants, plan, report).await?;
    generator(backend.dynos(0)[0], plan, report).await
}

async fn compete(
    contestants: &[Contestant],
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    // Opens the connections to the dynos, which are kept from then on.
    for contestant in contestants {
        for &connections in &plan.connections {
            shoot(
                contestant.address,
                &contestant.host,
                connections,
                plan.shot / 4,
            )
            .await?;
        }
    }
    let mut failed = 0;
    for &connections in &plan.connections {
        progress(&format!(
            "cost: {connections} connections, {} turns",
            plan.turns
        ));
        let mut loads = Vec::new();
        for turn in 0..plan.turns {
            let mut results: Vec<Option<Load>> = contestants.iter().map(|_| None).collect();
            for at in turns::order(turn, contestants.len()) {
                let result = contestants[at].measure(connections, plan).await?;
                if result.shot.failures() > 0 {
                    failed += result.shot.failures();
                    let name = contestants[at].name;
                    report.note(format!("{name}: {}", result.shot.words()));
                }
                results[at] = Some(result);
            }
            loads.push(results.into_iter().flatten().collect::<Vec<_>>());
        }
        summarize(connections, contestants, &loads, report);
    }
    let values = vec![failed as f64];
    report.add(Row::new(HEADING, "failed requests, everybody's", Unit::Count, values).at_most(0.0));
    Ok(())
}

/// The rows of one number of connections.
fn summarize(
    connections: usize,
    contestants: &[Contestant],
    turns: &[Vec<Load>],
    report: &mut Report,
) {
    let row = |who: usize, what: &str, unit: Unit, figure: &dyn Fn(&Load, &Load) -> f64| {
        let values = turns.iter().map(|turn| figure(&turn[who], &turn[PLAIN]));
        let what = format!(
            "{connections:>3} conn, {:<10}: {what}",
            contestants[who].name
        );
        Row::new(HEADING, what, unit, values.collect())
    };
    report.add(row(PLAIN, "rps", Unit::PerSecond, &|it, _| it.shot.rps));
    report.add(row(PLAIN, "p50", Unit::Micros, &|it, _| it.shot.p50));
    report.add(row(
        PLAIN,
        "worker CPU per request",
        Unit::Micros,
        &|it, _| it.worker,
    ));
    for who in LEAST_LOAD..contestants.len() {
        let meshed = who == LEAST_LOAD || who == IDLE_ONLY;
        let rps = row(who, "rps", Unit::Times, &|it, plain| {
            it.shot.rps / plain.shot.rps
        });
        report.add(match connections {
            64 if meshed => rps.at_least(0.85),
            256 if meshed => rps.at_least(0.95),
            _ => rps,
        });
        report.add(row(who, "p50", Unit::Times, &|it, plain| {
            it.shot.p50 / plain.shot.p50
        }));
        let added = row(who, "p50 added", Unit::Micros, &|it, plain| {
            it.shot.p50 - plain.shot.p50
        });
        report.add(match connections {
            1 if meshed => added.at_most(90.0),
            _ => added,
        });
        let cpu = row(who, "worker CPU", Unit::Times, &|it, plain| {
            it.worker / plain.worker
        });
        report.add(match connections {
            64 if meshed => cpu.at_most(1.25),
            _ => cpu,
        });
        if meshed {
            report.add(row(
                who,
                "sidecar CPU per request",
                Unit::Micros,
                &|it, _| it.sidecar,
            ));
        }
    }
}

/// What the load client and the dynos can do without anybody between them: far
/// more, or it is they who are measured.
async fn generator(dyno: SocketAddr, plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let shot = shoot(dyno, "least.test", 64, plan.shot).await?;
    let what = " 64 conn, nobody between: rps";
    report.add(Row::new(HEADING, what, Unit::PerSecond, vec![shot.rps]));
    Ok(())
}
