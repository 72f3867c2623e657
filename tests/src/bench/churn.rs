//! Changes at the rate of a large platform while requests go on.
//!
//! Dynos and domains of 10,000 apps come and go. Every hundredth change is about
//! the app that the requests are for: a real dyno of it comes or goes.

use std::{net::SocketAddr, time::Duration};

use dynomesh_proto::v1::{Change, Policy, operation::Kind};
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    changes,
    conf::Front,
    cpu, directory,
    nginx::Nginx,
    progress,
    report::Row,
    shot::shoot,
    sidecar::{Sidecar, router_socket},
    unit::Unit,
};

const HEADING: &str = "Churn: 10,000 changes a second on 10,000 apps, 64 connections";

const APPS: usize = 10_000;
const RATE: usize = 10_000;
const CONNECTIONS: usize = 64;

/// Changes that are due together: a timer for each would cost more than they do.
const PORTION: usize = 50;

/// Every so manieth change is about the app that is asked for.
const SERVED: usize = 100;
const SERVED_APP: &str = "served";

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let backend = Backend::start(&dir.join("dynos"), 1).await?;
    let sidecar = Sidecar::start(dir).await?;
    progress("churn: loading");
    // The last dyno is the one that comes and goes.
    let (comes_and_goes, dynos) = backend.dynos(0).split_last().ok_or("there are dynos")?;
    let settings = changes::policy(Policy::LeastLoad, 0);
    let mut apps = changes::fillers(APPS);
    apps.push(changes::app(SERVED_APP, settings, dynos));
    sidecar.load(apps).await?;
    let nginx_dir = dir.join("mesh");
    let socket = router_socket(dir);
    let nginx = Nginx::start(&nginx_dir, 1, |listen| {
        Front::Mesh(&socket).text(&nginx_dir, listen[0], None)
    })
    .await?;
    sidecar.until_sessions(1).await?;

    let host = changes::host(SERVED_APP);
    let fire = async |time| shoot(nginx.addresses[0], &host, CONNECTIONS, time).await;
    progress("churn: before");
    fire(plan.quiet / 5).await?;
    let before = fire(plan.quiet).await?;
    progress("churn: changes");
    let spent = cpu::spent(sidecar.pid())?;
    let flood = sidecar.apply(flood(*comes_and_goes, plan.churn));
    // The load goes on a little longer, so that no change is without requests.
    let (flood, during) = tokio::join!(flood, fire(plan.churn + Duration::from_millis(200)));
    let (flood, during) = (flood?.all_made()?, during?);
    let spent = cpu::spent(sidecar.pid())? - spent;
    progress("churn: after");
    let after = fire(plan.quiet).await?;

    let row = |what: &str, unit, value: f64| Row::new(HEADING, what, unit, vec![value]);
    let rate = flood.made as f64 / flood.took.as_secs_f64();
    // The last results come some time after the last change.
    report.add(row("changes", Unit::PerSecond, rate).at_least(0.99 * RATE as f64));
    let failed = before.failures() + during.failures() + after.failures();
    if failed > 0 {
        report.note(format!("churn: {}", during.words()));
    }
    report.add(row("failed requests", Unit::Count, failed as f64).at_most(0.0));
    let quiet = (before.rps + after.rps) / 2.0;
    report.add(row("rps without changes", Unit::PerSecond, quiet));
    report.add(row("rps with", Unit::Times, during.rps / quiet));
    let quiet = (before.p99 + after.p99) / 2.0;
    report.add(row("p99 without changes", Unit::Micros, quiet));
    report.add(row("p99 with", Unit::Times, during.p99 / quiet));
    let cores = spent.as_secs_f64() / during.seconds * 100.0;
    report.add(row("sidecar, of one core", Unit::Percent, cores));
    Ok(())
}

/// Changes, each when it is due, until the time is over. What the sidecar is too
/// slow to take is late, and what is not taken in time is not sent at all.
fn flood(dyno: SocketAddr, time: Duration) -> impl Stream<Item = Change> + Send + 'static {
    let began = Instant::now();
    let total = RATE * usize::try_from(time.as_millis()).unwrap_or(usize::MAX) / 1_000;
    stream::unfold(0, move |number| async move {
        let due =
            began + Duration::from_secs_f64((number / PORTION * PORTION) as f64 / RATE as f64);
        if number % PORTION == 0 {
            tokio::time::sleep_until(due).await;
        }
        let over = number >= total || began.elapsed() >= time + Duration::from_secs(1);
        (!over).then(|| (numbered(number, dyno), number + 1))
    })
}

/// The change of this number.
fn numbered(number: usize, dyno: SocketAddr) -> Change {
    if number % SERVED == SERVED - 1 {
        let kind = match number / SERVED % 2 {
            0 => changes::put_dyno("web.extra", dyno),
            _ => Kind::RemoveDyno("web.extra".to_owned()),
        };
        return changes::change(SERVED_APP, [kind]);
    }
    // Apps in turn. Each app goes round in its own four changes, half of them
    // a step ahead, so that additions and removals are mixed.
    let number = number - number / SERVED;
    let (app, round) = (number % APPS, number / APPS);
    let dyno = || "web.extra".to_owned();
    let domain = || format!("extra-{app}.test");
    let kind = match (app % 2, round % 4) {
        (0, 0) | (1, 1) => changes::put_dyno(&dyno(), changes::address(app, 2)),
        (0, 1) | (1, 0) => Kind::AddDomain(domain()),
        (0, 2) | (1, 3) => Kind::RemoveDyno(dyno()),
        _ => Kind::RemoveDomain(domain()),
    };
    changes::change(&changes::filler(app), [kind])
}
