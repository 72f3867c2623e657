//! A sidecar is restarted as planned, while it decides for an app that requests come for
//! at four routers: what their clients notice of it.

use std::{net::SocketAddr, time::Duration};

use tokio::time::sleep;

use super::{
    Failure, Plan, Report, directory,
    dynos::Dynos,
    hosts::Hosts,
    members,
    pace::{Came, pace},
    progress,
    report::Row,
    unit::Unit,
};
use crate::harness::Signal;

const HEADING: &str = "Restart: 4 routers, one queue, its owner is restarted";

const HOSTS: usize = 4;
const DYNOS: usize = 8;
const WORK: Duration = Duration::from_millis(5);
/// Requests a second at each router. All of them together take a quarter of the dynos' time.
const RATE: f64 = 100.0;
/// Requests come before it is restarted, so that nothing is new.
const BEFORE: Duration = Duration::from_millis(300);

/// What came at the router beside the owner, and at the others.
struct Both {
    own: Came,
    others: Came,
}

struct Turn {
    quiet: Both,
    restarted: Both,
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let mut hosts = Hosts::start(dir, HOSTS, None).await?;
    let app = members::owned(&hosts.sidecars).await?.remove(0);
    let dynos = Dynos::start(dir, DYNOS, WORK)?;
    let host = hosts.one_queue(&app, &dynos).await?;
    let (servers, host) = (hosts.servers(), [host]);
    // Everybody was there once.
    come(&servers, &host, BEFORE).await;
    let mut turns = Vec::new();
    for turn in 0..plan.queue_turns {
        progress(&format!(
            "restart: turn {} of {}",
            turn + 1,
            plan.queue_turns
        ));
        let quiet = come(&servers, &host, plan.queue_shot).await;
        let owner = hosts.sidecars.remove(0);
        let (restarted, owner) = tokio::join!(come(&servers, &host, plan.queue_shot), async {
            sleep(BEFORE).await;
            owner.restart(Signal::TERM).await
        });
        hosts.sidecars.insert(0, owner?);
        // It is the owner again.
        members::owned(&hosts.sidecars).await?;
        turns.push(Turn { quiet, restarted });
    }
    summarize(&turns, dynos.done().double_bookings, report);
    Ok(())
}

async fn come(servers: &[SocketAddr], host: &[String], time: Duration) -> Both {
    let (own, others) = servers.split_at(1);
    let (own, others) = tokio::join!(
        pace(own, host, RATE, time),
        pace(others, host, RATE * others.len() as f64, time)
    );
    Both { own, others }
}

impl Both {
    fn p99(&self) -> f64 {
        let mut times = [&*self.own.times, &*self.others.times].concat();
        times.sort_by(f64::total_cmp);
        times
            .get(times.len() * 99 / 100)
            .copied()
            .unwrap_or(f64::NAN)
    }

    fn failures(&self) -> u64 {
        self.own.failures() + self.others.failures()
    }
}

fn summarize(turns: &[Turn], double_bookings: u64, report: &mut Report) {
    let row = |what: &str, unit, values| Row::new(HEADING, what, unit, values);
    let each = |figure: &dyn Fn(&Turn) -> f64| turns.iter().map(figure).collect();
    let longest = |came: &Came| came.times.last().copied().unwrap_or(f64::NAN);
    report.add(row("p99 without", Unit::Millis, each(&|it| it.quiet.p99())));
    let added = each(&|it| it.restarted.p99() - it.quiet.p99());
    report.add(row("p99 added, all routers", Unit::Millis, added).at_most(50.0));
    let what = "the longest at the other routers";
    let values = each(&|it| longest(&it.restarted.others));
    report.add(row(what, Unit::Millis, values));
    let what = "the longest at the router beside it";
    let values = each(&|it| longest(&it.restarted.own));
    report.add(row(what, Unit::Millis, values));
    let count = |what: &str, count: u64| row(what, Unit::Count, vec![count as f64]).at_most(0.0);
    let failed = turns
        .iter()
        .map(|it| it.quiet.failures() + it.restarted.failures());
    report.add(count("failed requests", failed.sum()));
    report.add(count("double bookings", double_bookings));
}
