//! Everything, in short.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{failures::Failures, history::History, metrics};
use crate::driver::{Driver, LoadView, LogView, MembersView, Part, Sync, TapView};

/// Workers and nodes that are named.
const MOST: usize = 256;

pub(super) fn of(driver: &Driver, node: &str, history: &History) -> Value {
    let (totals, ready) = driver.totals();
    let now = |rates: &Vec<f64>| rates.last().copied().unwrap_or(0.0);
    let errors = history.errors().into_iter();
    let errors = errors.map(|(error, requests)| json!({ "error": error, "requests": requests }));
    json!({
        "node": node,
        "version": env!("CARGO_PKG_VERSION"),
        "ready": ready,
        "up_ms": millis(driver.up()),
        "apps": totals.apps,
        "dynos": totals.dynos,
        "leases": totals.leases,
        "waiting": totals.waiting,
        "requests_per_second": history.rates().iter().map(now).sum::<f64>(),
        "errors": errors.collect::<Vec<_>>(),
        "workers": workers(driver),
        "log": driver.changes().log().as_ref().map(log),
        "nodes": driver.load_view().as_ref().map(nodes),
        "members": members(&driver.members_view()),
        "taps": driver.taps().iter().map(tap).collect::<Vec<_>>(),
        "failures": history.failures(|all| failures(all, driver.up())),
    })
}

/// Who owns apps, if this sidecar takes part.
fn members(view: &MembersView) -> Value {
    let part = match view.part {
        Part::None => return Value::Null,
        Part::Joining => "joining",
        Part::Member => "member",
        Part::Left => "left",
    };
    let members = view.members.iter().take(MOST);
    let shown = members.map(|member| {
        json!({
            "name": *member.node.name,
            "address": *member.address,
            "own": member.is_own,
            "shards": member.shards,
            "age_ms": member.age.map(millis),
        })
    });
    json!({
        "part": part,
        "problem": view.problem.as_deref(),
        "may_grant": view.may_grant.len(),
        "all": shown.collect::<Vec<_>>(),
        "gone": view.gone.iter().take(MOST).map(|name| &**name).collect::<Vec<_>>(),
    })
}

fn tap(tap: &TapView) -> Value {
    json!({
        "filter": tap.filter.json(),
        "for_broker": tap.is_fed,
        "seen": tap.seen,
        "lost": tap.lost,
    })
}

fn failures(all: &Failures, up: Duration) -> Vec<Value> {
    let shown = all.latest().map(|failed| {
        json!({
            "app": failed.app,
            "error": failed.error,
            "status": metrics::status(failed.status),
            "requests": failed.requests,
            "age_ms": millis(up.saturating_sub(failed.last)),
        })
    });
    shown.collect()
}

fn workers(driver: &Driver) -> Vec<Value> {
    let workers = driver.workers().into_iter().take(MOST);
    let shown = workers.map(|worker| json!({ "node": *worker.node, "pid": worker.pid }));
    shown.collect()
}

fn log(log: &LogView) -> Value {
    json!({
        "state": match log.standing.sync {
            Sync::Away => "away",
            Sync::CatchingUp => "catching up",
            Sync::InSync => "in sync",
        },
        "problem": *log.standing.problem,
        "queued": log.queue.waiting,
    })
}

fn nodes(load: &LoadView) -> Vec<Value> {
    let nodes = load.nodes.iter().take(MOST);
    let shown = nodes.map(|node| {
        json!({
            "name": node.name,
            "dynos": node.dynos,
            "age_ms": millis(node.age),
        })
    });
    shown.collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
