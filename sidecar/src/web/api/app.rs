//! An app, and what it does.

use mesh::{AppView, DynoSpec, DynoState, DynoView, Exact, Policy};
use serde_json::{Value, json};

use crate::driver::Answers;

/// Dynos of an app in a list, and of one that is looked at.
pub(super) const IN_ROW: usize = 64;
const IN_WHOLE: usize = 1_000;
/// Domains that are named.
const DOMAINS: usize = 12;

/// In a list.
pub(super) fn row(view: &AppView) -> Value {
    json!({
        "name": view.spec.name,
        "in_flight": view.in_flight,
        "waiting": view.waiting,
        "oldest_wait_ms": millis(view.oldest_wait),
        "maintenance": view.spec.maintenance,
        "dyno_count": view.spec.dynos.len(),
        "dynos": dynos(view, IN_ROW),
    })
}

/// By itself.
/// `owner`: who would decide about it if it is exact.
pub(super) fn whole(view: &AppView, mut answers: Vec<Answers>, owner: Option<&str>) -> Value {
    answers.sort_by_key(|answers| std::cmp::Reverse(answers.requests));
    let answers = answers.iter().map(|answers| {
        json!({
            "status": super::super::metrics::status(answers.status),
            "error": answers.error,
            "requests": answers.requests,
        })
    });
    let domains = &view.spec.domains;
    let mut whole = row(view);
    whole["dynos"] = dynos(view, IN_WHOLE).into();
    whole["capacity"] = json!(capacity(view));
    whole["policy"] = policy(view.spec.settings.policy).into();
    whole["exact"] = view.spec.settings.exact.map(exact).into();
    whole["owner"] = owner.into();
    whole["domains"] = domains
        .iter()
        .take(DOMAINS)
        .map(|name| json!(name))
        .collect();
    whole["domain_count"] = domains.len().into();
    whole["answers"] = answers.collect();
    whole
}

fn dynos(view: &AppView, most: usize) -> Vec<Value> {
    let both = view.spec.dynos.iter().zip(&view.dynos).take(most);
    both.map(|(spec, view)| dyno(spec, view)).collect()
}

fn dyno(spec: &DynoSpec, view: &DynoView) -> Value {
    json!({
        "name": spec.name,
        "address": spec.address.to_string(),
        "state": state(spec.state, !view.quarantine.is_zero()),
        "load": view.load,
        "elsewhere": view.elsewhere,
        "limit": view.limit,
        "quarantine_ms": millis(view.quarantine),
    })
}

/// Requests that its dynos may have at once; `None`: any number.
fn capacity(view: &AppView) -> Option<u32> {
    let both = view.spec.dynos.iter().zip(&view.dynos);
    let mut up = both.filter(|(spec, _)| spec.state == DynoState::Up);
    up.try_fold(0_u32, |sum, (_, view)| {
        Some(sum.saturating_add(view.limit?))
    })
}

fn state(state: DynoState, quarantined: bool) -> &'static str {
    match state {
        DynoState::Up if quarantined => "quarantined",
        DynoState::Up => "up",
        DynoState::Starting => "starting",
        DynoState::Draining => "draining",
        DynoState::Down => "down",
        DynoState::Crashed => "crashed",
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Random => "random",
        Policy::LeastLoad => "least load",
        Policy::IdleOnly => "idle only",
    }
}

fn exact(exact: Exact) -> &'static str {
    match exact {
        Exact::Strict => "strict",
        Exact::Available => "available",
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
