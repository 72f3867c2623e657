//! Settings and the enums of an app.

use std::time::Duration;

use dynomesh_proto::v1;
use mesh::{DynoState, Exact, Policy, Rate, Settings};

use super::{Malformed, millis, non_zero};

pub(super) fn settings_from_proto(given: &v1::Settings) -> Result<Settings, Malformed> {
    let span = |ms| non_zero(ms).map(|ms| Duration::from_millis(ms.into()));
    Ok(Settings {
        policy: policy_from_proto(given.policy)?,
        dyno_limit: non_zero(given.dyno_limit),
        queue_depth: non_zero(given.queue_depth),
        queue_timeout: span(given.queue_timeout_ms),
        boot_timeout: span(given.boot_timeout_ms),
        max_requests: non_zero(given.max_requests),
        wake: given.wake,
        queue_headers: given.queue_headers,
        idle_timeout: span(given.idle_timeout_ms),
        scale_wait: span(given.scale_wait_ms),
        exact: exact_from_proto(given.exact)?,
        tap_rate: non_zero(given.tap_rate),
        max_body: (given.max_body_bytes > 0).then_some(given.max_body_bytes),
        max_time: span(given.max_time_ms),
        max_rate: given.max_rate.and_then(rate_from_proto),
        max_client_rate: given.max_client_rate.and_then(rate_from_proto),
    })
}

pub(super) fn settings_from_core(settings: &Settings) -> v1::Settings {
    let policy = match settings.policy {
        Policy::Random => v1::Policy::Random,
        Policy::LeastLoad => v1::Policy::LeastLoad,
        Policy::IdleOnly => v1::Policy::IdleOnly,
    };
    v1::Settings {
        policy: policy.into(),
        dyno_limit: settings.dyno_limit.unwrap_or(0),
        queue_depth: settings.queue_depth.unwrap_or(0),
        queue_timeout_ms: settings.queue_timeout.map_or(0, millis),
        boot_timeout_ms: settings.boot_timeout.map_or(0, millis),
        max_requests: settings.max_requests.unwrap_or(0),
        wake: settings.wake,
        queue_headers: settings.queue_headers,
        idle_timeout_ms: settings.idle_timeout.map_or(0, millis),
        scale_wait_ms: settings.scale_wait.map_or(0, millis),
        exact: exact_from_core(settings.exact).into(),
        tap_rate: settings.tap_rate.unwrap_or(0),
        max_body_bytes: settings.max_body.unwrap_or(0),
        max_time_ms: settings.max_time.map_or(0, millis),
        max_rate: settings.max_rate.map(rate_from_core),
        max_client_rate: settings.max_client_rate.map(rate_from_core),
    }
}

fn rate_from_proto(given: v1::Rate) -> Option<Rate> {
    Some(Rate {
        requests: non_zero(given.requests)?,
        per: Duration::from_secs(given.per_s.max(1).into()),
        burst: non_zero(given.burst),
    })
}

fn rate_from_core(rate: Rate) -> v1::Rate {
    v1::Rate {
        requests: rate.requests,
        per_s: u32::try_from(rate.per.as_secs()).unwrap_or(u32::MAX),
        burst: rate.burst.unwrap_or(0),
    }
}

fn exact_from_proto(given: i32) -> Result<Option<Exact>, Malformed> {
    match v1::Exact::try_from(given) {
        Ok(v1::Exact::Unspecified) => Ok(None),
        Ok(v1::Exact::Strict) => Ok(Some(Exact::Strict)),
        Ok(v1::Exact::Available) => Ok(Some(Exact::Available)),
        Err(_) => Err(Malformed::new(
            "exact",
            format!("{given} is not a kind of exactness"),
        )),
    }
}

fn exact_from_core(exact: Option<Exact>) -> v1::Exact {
    match exact {
        None => v1::Exact::Unspecified,
        Some(Exact::Strict) => v1::Exact::Strict,
        Some(Exact::Available) => v1::Exact::Available,
    }
}

fn policy_from_proto(given: i32) -> Result<Policy, Malformed> {
    match v1::Policy::try_from(given) {
        Ok(v1::Policy::Random) => Ok(Policy::Random),
        Ok(v1::Policy::LeastLoad) => Ok(Policy::LeastLoad),
        Ok(v1::Policy::IdleOnly | v1::Policy::Unspecified) => Ok(Policy::IdleOnly),
        Err(_) => Err(Malformed::new("policy", format!("{given} is not a policy"))),
    }
}

/// Unspecified means up: whoever registers a dyno without a word about its
/// state has one that runs.
pub(super) fn state_from_proto(given: i32) -> Result<DynoState, Malformed> {
    match v1::DynoState::try_from(given) {
        Ok(v1::DynoState::Starting) => Ok(DynoState::Starting),
        Ok(v1::DynoState::Up | v1::DynoState::Unspecified) => Ok(DynoState::Up),
        Ok(v1::DynoState::Draining) => Ok(DynoState::Draining),
        Ok(v1::DynoState::Down) => Ok(DynoState::Down),
        Ok(v1::DynoState::Crashed) => Ok(DynoState::Crashed),
        Err(_) => Err(Malformed::new(
            "state",
            format!("{given} is not a state of a dyno"),
        )),
    }
}

pub(super) fn state_from_core(state: DynoState) -> v1::DynoState {
    match state {
        DynoState::Starting => v1::DynoState::Starting,
        DynoState::Up => v1::DynoState::Up,
        DynoState::Draining => v1::DynoState::Draining,
        DynoState::Down => v1::DynoState::Down,
        DynoState::Crashed => v1::DynoState::Crashed,
    }
}
