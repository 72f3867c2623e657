//! More clients than dynos: one queue, in order, one request per dyno at a time.
//!
//! How the order is measured: the Nginx here has one worker, which numbers its asks
//! as requests come, and logs that number (it names the lease) beside the number
//! that the dynos gave the request as it began. HAProxy's own count of requests
//! is passed on to the dynos in a header. See `dynos` for why theirs is exact.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use dynomesh_proto::v1::Policy;

use super::{
    Failure, Plan, Report, changes, conf,
    conf::Front,
    directory,
    dynos::Dynos,
    haproxy::{self, HaProxy},
    nginx::Nginx,
    order::Order,
    progress,
    report::Row,
    sidecar::{Sidecar, router_socket},
    trial::Trial,
    unit::Unit,
};

const HEADING: &str = "Queue: 200 clients, 8 dynos of 5 ms with one request at a time";

const DYNOS: usize = 8;
const CLIENTS: usize = 200;
const WORK: Duration = Duration::from_millis(5);
const POSSIBLE: f64 = DYNOS as f64 * 1e9 / WORK.as_nanos() as f64;

/// In the log: the lease, then the number that the dynos gave.
pub(super) const LOG: &str = "$mesh_lease $upstream_http_x_start";

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let dynos = Dynos::start(dir, DYNOS, WORK)?;
    let sidecar = Sidecar::start(dir).await?;
    let settings = changes::policy(Policy::IdleOnly, 1);
    sidecar
        .load(vec![changes::app(
            "queue",
            settings,
            &dynos.addresses("unix:"),
        )])
        .await?;
    let mesh_dir = dir.join("mesh");
    let socket = router_socket(dir);
    let mesh = Nginx::start(&mesh_dir, 1, |listen| {
        Front::Mesh(&socket).text(&mesh_dir, listen[0], Some(LOG))
    })
    .await?;
    sidecar.until_sessions(1).await?;
    let haproxy = HaProxy::start(&dir.join("haproxy"), |listen| {
        conf::haproxy(listen, &dynos.addresses("unix@"), Some(1))
    })
    .await?;

    let mut fronts = vec![("mesh", mesh.addresses[0])];
    match &haproxy {
        Some(haproxy) => fronts.push(("HAProxy", haproxy.address)),
        None => report.note(haproxy::MISSING),
    }
    let mut trials: Vec<Vec<Trial>> = fronts.iter().map(|_| Vec::new()).collect();
    for turn in 0..plan.queue_turns {
        for (at, (name, address)) in fronts.iter().enumerate() {
            progress(&format!(
                "queue: {name}, turn {} of {}",
                turn + 1,
                plan.queue_turns
            ));
            let host = changes::host("queue");
            let trial = Trial::run(*address, &host, CLIENTS, plan.queue_shot, &dynos);
            trials[at].push(trial.await?);
        }
    }
    let asks = asks(&mesh_dir.join("access.log"))?;
    for (at, (name, _)) in fronts.iter().enumerate() {
        summarize(name, &mut trials[at], (at == 0).then_some(&asks), report);
    }
    Ok(())
}

/// By the number that the dynos gave: the ask that the request was. It names the
/// lease: `WORKER-ASK`.
pub(super) fn asks(log: &Path) -> Result<HashMap<usize, u64>, Failure> {
    let text = fs::read_to_string(log)?;
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (lease, start) = (words.next()?, words.next()?);
        let (_, ask) = lease.rsplit_once('-')?;
        Some((start.parse().ok()?, ask.parse().ok()?))
    };
    Ok(text.lines().filter_map(entry).collect())
}

/// The rows of one front. `asks`: the order in which its requests came, unless
/// the dynos were told.
fn summarize(
    name: &str,
    trials: &mut [Trial],
    asks: Option<&HashMap<usize, u64>>,
    report: &mut Report,
) {
    let is_mesh = asks.is_some();
    if let Some(asks) = asks {
        for trial in trials.iter_mut() {
            for (at, start) in trial.starts.iter_mut().enumerate() {
                start.arrival = asks.get(&(trial.first + at)).copied();
            }
        }
    }
    let orders: Vec<Order> = trials
        .iter()
        .map(|trial| Order::of(trial.starts.iter().copied()))
        .collect();
    let row = |what: &str, unit, figure: &dyn Fn(&Trial) -> f64| {
        let values = trials.iter().map(figure).collect();
        Row::new(HEADING, format!("{name}: {what}"), unit, values)
    };
    let sum = |what: &str, count: u64| {
        let values = vec![count as f64];
        Row::new(HEADING, format!("{name}: {what}"), Unit::Count, values)
    };
    let possible = row("of the possible 1,600/s", Unit::Percent, &|it| {
        it.shot.rps / POSSIBLE * 100.0
    });
    report.add(match is_mesh {
        true => possible.at_least(90.0),
        false => possible,
    });
    report.add(row("dynos at work", Unit::Percent, &|it| it.busy));
    report.add(row("what 5 ms of work took", Unit::Millis, &|it| it.work));
    report.add(row("p99", Unit::Millis, &|it| it.shot.p99 / 1e3));
    let judged = |row: Row| match is_mesh {
        true => row.at_most(0.0),
        false => row,
    };
    let double = trials.iter().map(|it| it.double_bookings).sum();
    report.add(judged(sum("double bookings", double)));
    let overtaken = orders.iter().map(|order| order.overtaken).sum();
    report.add(judged(sum("requests overtaken by a later one", overtaken)));
    report.add(sum(
        "requests whose place is known",
        orders.iter().map(|order| order.sure).sum(),
    ));
    report.add(sum(
        "requests whose place is not",
        orders.iter().map(|order| order.unsure).sum(),
    ));
    let failed = trials.iter().map(|it| it.shot.failures()).sum();
    report.add(judged(sum("failed requests", failed)));
}
