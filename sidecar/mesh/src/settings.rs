//! What an operator may set for an app, with its defaults and bounds.

use std::{ops::RangeInclusive, time::Duration};

use crate::{ChangeError, MAX_LOAD, Rate};

/// How a dyno is chosen: the three steps of the talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Any dyno that is up, uniformly at random.
    Random,
    /// The least loaded, ties at random.
    LeastLoad,
    /// Least load under a per-dyno limit; at the limit requests wait.
    #[default]
    IdleOnly,
}

/// What an app that wants one queue over all sidecars gets while the sidecar that has
/// the queue is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exact {
    /// A refusal: no limit is ever passed.
    Strict,
    /// A dyno by what its own sidecar knows. Others may have given it away as well.
    Available,
}

/// Settings of an app; `None` and the default value mean the same to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How a dyno is chosen.
    pub policy: Policy,
    /// Most requests at once for a dyno without a limit of its own.
    pub dyno_limit: Option<u32>,
    /// Most requests waiting.
    pub queue_depth: Option<u32>,
    /// Longest wait for a busy dyno.
    pub queue_timeout: Option<Duration>,
    /// Longest wait for an app that is asleep or booting.
    pub boot_timeout: Option<Duration>,
    /// Most requests in flight and waiting together.
    pub max_requests: Option<u32>,
    /// A request may start the app.
    pub wake: bool,
    /// Clients are told about the queue.
    pub queue_headers: bool,
    /// The app is said to be idle after so long without a request.
    pub idle_timeout: Option<Duration>,
    /// More dynos are hinted at when somebody waits longer for a busy one.
    pub scale_wait: Option<Duration>,
    /// Limits and the queue's order hold over all sidecars together.
    pub exact: Option<Exact>,
    /// So many of its requests a second are told to the broker.
    pub tap_rate: Option<u32>,
    /// Longest request, in bytes.
    pub max_body: Option<u64>,
    /// Longest time for a response to be complete.
    pub max_time: Option<Duration>,
    /// Requests that it takes.
    pub max_rate: Option<Rate>,
    /// Requests that it takes of each client.
    pub max_client_rate: Option<Rate>,
}

/// Requests that may wait for each dyno, unless set.
pub const QUEUE_PER_DYNO: u32 = 50;
/// Longest wait for a busy dyno, unless set.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a booting dyno, unless set.
pub const BOOT_TIMEOUT: Duration = Duration::from_secs(75);
/// No app may let more requests wait.
pub const MAX_QUEUE_DEPTH: u32 = 100_000;
/// No app may let a request wait longer.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// What `idle_timeout` may be: an idle app is looked at once in this time.
pub const IDLE_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);
/// What `scale_wait` may be.
pub const SCALE_WAITS: RangeInclusive<Duration> = Duration::from_millis(10)..=MAX_TIMEOUT;
/// What `tap_rate` may be.
pub const TAP_RATES: RangeInclusive<u32> = 1..=1_000;

/// What each request needs to know of the settings: small, since it lies with what else
/// a request needs of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) policy: Policy,
    /// Most requests at once for a dyno that sets no limit itself.
    pub(crate) limit: Option<u32>,
    pub(crate) max_requests: Option<u32>,
    pub(crate) exact: Option<Exact>,
    pub(crate) queue_headers: bool,
    /// It has a rate, or one for each client.
    pub(crate) rated: bool,
}

impl Terms {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            policy: settings.policy,
            limit: settings.default_limit(),
            max_requests: settings.max_requests,
            exact: settings.exact,
            queue_headers: settings.queue_headers,
            rated: settings.max_rate.is_some() || settings.max_client_rate.is_some(),
        }
    }

    /// The level of the pool for a dyno with so many leases: where load does not
    /// count, everybody is on one level.
    pub(crate) fn level(self, load: u32) -> u32 {
        match self.policy {
            Policy::Random => 0,
            Policy::LeastLoad | Policy::IdleOnly => load,
        }
    }
}

impl Settings {
    /// Most requests at once for a dyno that sets no limit itself.
    pub(crate) fn default_limit(&self) -> Option<u32> {
        match (self.dyno_limit, self.policy) {
            (Some(limit), _) => Some(limit),
            (None, Policy::IdleOnly) => Some(1),
            (None, _) => None,
        }
    }

    /// Most requests waiting, for so many dynos.
    pub(crate) fn depth_for(&self, dynos: u32) -> u32 {
        let usual = QUEUE_PER_DYNO.saturating_mul(dynos.max(1));
        self.queue_depth.unwrap_or(usual).min(MAX_QUEUE_DEPTH)
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] that names the setting and its bound.
    pub fn check(&self) -> Result<(), ChangeError> {
        let too_large =
            |name, max: String| Err(ChangeError::Invalid(format!("{name} may be at most {max}")));
        // A dyno that may have no request at all would let everybody wait in vain.
        if self.dyno_limit == Some(0) {
            return Err(ChangeError::Invalid("dyno_limit is at least 1".into()));
        }
        if self.dyno_limit.is_some_and(|n| n > MAX_LOAD) {
            return too_large("dyno_limit", MAX_LOAD.to_string());
        }
        if self.queue_depth.is_some_and(|n| n > MAX_QUEUE_DEPTH) {
            return too_large("queue_depth", MAX_QUEUE_DEPTH.to_string());
        }
        let max = format!("{} ms", MAX_TIMEOUT.as_millis());
        if self.queue_timeout.is_some_and(|t| t > MAX_TIMEOUT) {
            return too_large("queue_timeout", max);
        }
        if self.boot_timeout.is_some_and(|t| t > MAX_TIMEOUT) {
            return too_large("boot_timeout", max);
        }
        if self.tap_rate.is_some_and(|rate| !TAP_RATES.contains(&rate)) {
            return too_large("tap_rate", TAP_RATES.end().to_string());
        }
        within("idle_timeout", self.idle_timeout, &IDLE_TIMEOUTS)?;
        within("scale_wait", self.scale_wait, &SCALE_WAITS)?;
        self.check_rates()?;
        self.handling().check()
    }
}

pub(crate) fn within(
    name: &str,
    given: Option<Duration>,
    bounds: &RangeInclusive<Duration>,
) -> Result<(), ChangeError> {
    match given {
        Some(span) if !bounds.contains(&span) => Err(ChangeError::Invalid(format!(
            "{name} is {} to {} ms",
            bounds.start().as_millis(),
            bounds.end().as_millis()
        ))),
        _ => Ok(()),
    }
}
