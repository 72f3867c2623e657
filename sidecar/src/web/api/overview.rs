//! Everything, in short.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::history::History;
use crate::driver::{Driver, LoadView, LogView, Sync};

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
    })
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
