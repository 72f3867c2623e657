//! One queue over four routers, each with a sidecar of its own: its order, its limit, and
//! what it makes of the dynos' time.
//!
//! How the order is measured: each router numbers its asks as requests come (see `queue`),
//! and these have to begin in this order. Two that come to different routers a moment after
//! each other may begin in either order, as processes wait for a processor. So all clients
//! are in one thread, which numbers the requests as it sends them, the dynos note these
//! numbers, and it is said by how much a request was too late.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Failure, Plan, Report, directory,
    dynos::Dynos,
    hosts::{self, Hosts},
    members,
    order::{Order, Start},
    progress,
    queue::{LOG, asks},
    report::Row,
    unit::Unit,
};
use crate::client::{Conn, Request};

const HEADING: &str =
    "One queue: 200 clients, 4 routers, 8 dynos of 5 ms with one request at a time";

const ROUTERS: usize = 4;
const DYNOS: usize = 8;
const CLIENTS: usize = 200;
const WORK: Duration = Duration::from_millis(5);
const POSSIBLE: f64 = DYNOS as f64 * 1e9 / WORK.as_nanos() as f64;
/// A difference in time that processes make which wait for a processor.
const TOLERANCE: Duration = Duration::from_millis(20);

struct Turn {
    /// Answered in a second, of what is possible, in percent.
    rate: f64,
    double_bookings: u64,
    failed: u64,
    /// The number of the first of `starts`.
    first: usize,
    /// Each has the number that its client gave it.
    starts: Vec<Start>,
    /// When they were sent, by that number.
    sent: Vec<Instant>,
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let hosts = Hosts::start(dir, ROUTERS, Some(LOG)).await?;
    let app = members::owned(&hosts.sidecars).await?.remove(0);
    let dynos = Dynos::start(dir, DYNOS, WORK)?;
    let host = hosts.one_queue(&app, &dynos).await?;
    let servers = hosts.servers();
    load(&servers, &host, Duration::from_millis(400)).await;
    let mut turns = Vec::new();
    for turn in 0..plan.queue_turns {
        progress(&format!(
            "one-queue: turn {} of {}",
            turn + 1,
            plan.queue_turns
        ));
        let before = dynos.done();
        let Load {
            sent,
            in_time,
            failed,
        } = load(&servers, &host, plan.queue_shot).await;
        let after = dynos.done();
        turns.push(Turn {
            first: before.starts,
            starts: dynos.starts_since(&before),
            rate: in_time as f64 / plan.queue_shot.as_secs_f64() / POSSIBLE * 100.0,
            double_bookings: after.double_bookings - before.double_bookings,
            failed,
            sent,
        });
    }
    let logs: Vec<_> = (0..ROUTERS).map(|at| hosts::log(dir, at)).collect();
    summarize(&turns, &logs, report)
}

/// What clients did.
struct Load {
    /// When each request was sent.
    sent: Vec<Instant>,
    /// Requests that were answered while others were sent.
    in_time: u64,
    /// Clients that were not served.
    failed: u64,
}

/// Each client asks as soon as it has an answer.
async fn load(servers: &[SocketAddr], host: &str, time: Duration) -> Load {
    let sent = RefCell::new(Vec::new());
    let in_time = Cell::new(0);
    let until = Instant::now() + time;
    let client = async |number: usize| -> std::io::Result<()> {
        let router = number % servers.len();
        let mut conn = Conn::open(servers[router]).await?;
        while Instant::now() < until {
            let number = sent.borrow().len();
            let request = Request::new(servers[router], "GET", host, "/");
            let request = request.header("X-Seq", &number.to_string());
            sent.borrow_mut().push(Instant::now());
            // In one step: there is nobody between the number and the socket.
            conn.send(request.head()).await?;
            let answer = conn.response().await?;
            if answer.status() != 200 {
                return Err(std::io::Error::other("not served"));
            }
            in_time.set(in_time.get() + u64::from(Instant::now() < until));
        }
        Ok(())
    };
    let ended = join_all((0..CLIENTS).map(client)).await;
    Load {
        failed: ended.iter().filter(|ended| ended.is_err()).count() as u64,
        sent: sent.take(),
        in_time: in_time.get(),
    }
}

/// The order at each router, as it numbered its asks.
fn at_routers(turns: &[Turn], logs: &[PathBuf]) -> Result<Order, Failure> {
    let mut sum = Order::default();
    for log in logs {
        let asks = asks(log)?;
        for turn in turns {
            let starts = turn.starts.iter().enumerate();
            let of_router = starts.filter_map(|(at, start)| {
                let arrival = asks.get(&(turn.first + at)).copied()?;
                Some(Start {
                    arrival: Some(arrival),
                    ..*start
                })
            });
            let order = Order::of(of_router);
            sum.overtaken += order.overtaken;
            sum.sure += order.sure;
        }
    }
    Ok(sum)
}

/// By how much requests were too late: how many by more than is tolerated, and the latest.
fn lateness(turn: &Turn) -> (u64, Duration) {
    let (mut count, mut latest) = (0, Duration::ZERO);
    let mut newest: Option<Instant> = None;
    for start in turn.starts.iter().filter(|start| !start.early) {
        let Some(sent) = start
            .arrival
            .and_then(|it| turn.sent.get(it as usize).copied())
        else {
            continue;
        };
        let late = newest.map_or(Duration::ZERO, |newest| newest.duration_since(sent));
        count += u64::from(late > TOLERANCE);
        latest = latest.max(late);
        newest = newest.max(Some(sent));
    }
    (count, latest)
}

fn summarize(turns: &[Turn], logs: &[PathBuf], report: &mut Report) -> Result<(), Failure> {
    let row = |what: &str, unit, values| Row::new(HEADING, what, unit, values);
    let each = |figure: &dyn Fn(&Turn) -> f64| turns.iter().map(figure).collect();
    let sum = |count: &dyn Fn(&Turn) -> u64| vec![turns.iter().map(count).sum::<u64>() as f64];
    report.add(row(
        "of the possible 1,600/s",
        Unit::Percent,
        each(&|it| it.rate),
    ));
    let double = sum(&|it| it.double_bookings);
    report.add(row("double bookings", Unit::Count, double).at_most(0.0));
    let order = at_routers(turns, logs)?;
    let count = |what: &str, count: u64| row(what, Unit::Count, vec![count as f64]);
    let what = "overtaken by a later one at the same router";
    report.add(count(what, order.overtaken).at_most(0.0));
    report.add(count("requests whose place there is known", order.sure));
    let late = turns.iter().map(|turn| lateness(turn).0).sum();
    let what = "overtaken by one at another router that was sent 20 ms later";
    report.add(count(what, late).at_most(0.0));
    let latest = each(&|it| lateness(it).1.as_secs_f64() * 1e3);
    report.add(row("the latest one was too late by", Unit::Millis, latest));
    let failed = sum(&|it| it.failed);
    report.add(row("failed requests", Unit::Count, failed).at_most(0.0));
    Ok(())
}
