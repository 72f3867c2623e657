//! An app's settings, as flags.

use clap::Args;
use dynomesh_proto::v1;

use super::values::{Exact, Policy, bytes, millis, rate};

/// Flags for settings: what is not given stays as it is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// How a dyno is chosen for a request
    #[arg(long, value_enum)]
    policy: Option<Policy>,

    /// One queue and exact limits over all sidecars of a route log
    #[arg(long, value_enum)]
    exact: Option<Exact>,

    /// Most requests at once for a dyno without a limit of its own; 0: the default
    #[arg(long, value_name = "N")]
    dyno_limit: Option<u32>,

    /// Most requests waiting; 0: the default, 50 for each dyno
    #[arg(long, value_name = "N")]
    queue_depth: Option<u32>,

    /// Longest wait for a busy dyno, e.g. 30s; 0s: the default
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    queue_timeout: Option<u32>,

    /// Longest wait for an app that is asleep or booting, e.g. 75s; 0s: the default
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    boot_timeout: Option<u32>,

    /// Most requests in flight and waiting together; 0: no limit
    #[arg(long, value_name = "N")]
    max_requests: Option<u32>,

    /// A request may start the app when it has no dyno
    #[arg(long, overrides_with = "no_wake")]
    wake: bool,

    /// A request to an app without dynos is refused
    #[arg(long, overrides_with = "wake")]
    no_wake: bool,

    /// Say that the app is idle after so long without a request, e.g. 30m; 0s: never
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    idle_timeout: Option<u32>,

    /// Say how many dynos are wanted once a request has waited so long for a busy
    /// one, e.g. 1s; 0s: never
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    scale_wait: Option<u32>,

    /// Tell the broker of so many of its requests a second, for who listens there; 0: none
    #[arg(long, value_name = "N")]
    tap_rate: Option<u32>,

    /// Longest body of a request, e.g. 10MiB; 0: what Nginx takes
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_body: Option<u64>,

    /// Longest time for a response to be complete, from when a dyno has the request, e.g.
    /// 30s; 0s: no limit
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    max_time: Option<u32>,

    /// Requests that the app takes, e.g. 100/s, 600/m or 100/s:500 (500 at once); none: no
    /// limit
    #[arg(long, value_name = "RATE", value_parser = rate)]
    max_rate: Option<v1::Rate>,

    /// Requests that the app takes of each client, likewise
    #[arg(long, value_name = "RATE", value_parser = rate)]
    max_client_rate: Option<v1::Rate>,

    /// Tell clients about the queue, in response headers
    #[arg(long, overrides_with = "no_queue_headers")]
    queue_headers: bool,

    /// Do not tell clients about the queue
    #[arg(long, overrides_with = "queue_headers")]
    no_queue_headers: bool,
}

impl SettingsArgs {
    /// No flag was given.
    pub(crate) fn is_empty(&self) -> bool {
        // Destructured, so that a new flag cannot be forgotten here.
        let Self {
            policy,
            exact,
            dyno_limit,
            queue_depth,
            queue_timeout,
            boot_timeout,
            max_requests,
            wake,
            no_wake,
            idle_timeout,
            scale_wait,
            tap_rate,
            max_body,
            max_time,
            max_rate,
            max_client_rate,
            queue_headers,
            no_queue_headers,
        } = self;
        let numbers = [
            dyno_limit,
            queue_depth,
            queue_timeout,
            boot_timeout,
            max_requests,
            idle_timeout,
            scale_wait,
            tap_rate,
            max_time,
        ];
        let flags = [wake, no_wake, queue_headers, no_queue_headers];
        let values = policy.is_none() && exact.is_none() && max_body.is_none();
        let rates = [max_rate, max_client_rate];
        values
            && rates.iter().all(|rate| rate.is_none())
            && numbers.iter().all(|n| n.is_none())
            && !flags.into_iter().any(|f| *f)
    }

    /// What `--wake` and `--no-wake` say together.
    pub(crate) fn wake(&self) -> Option<bool> {
        one_of(self.wake, self.no_wake)
    }

    fn queue_headers(&self) -> Option<bool> {
        one_of(self.queue_headers, self.no_queue_headers)
    }

    /// The given settings over those that are there.
    pub(crate) fn over(&self, old: &v1::Settings) -> v1::Settings {
        v1::Settings {
            policy: self
                .policy
                .map_or(old.policy, |policy| v1::Policy::from(policy).into()),
            exact: self
                .exact
                .map_or(old.exact, |exact| v1::Exact::from(exact).into()),
            dyno_limit: self.dyno_limit.unwrap_or(old.dyno_limit),
            queue_depth: self.queue_depth.unwrap_or(old.queue_depth),
            queue_timeout_ms: self.queue_timeout.unwrap_or(old.queue_timeout_ms),
            boot_timeout_ms: self.boot_timeout.unwrap_or(old.boot_timeout_ms),
            max_requests: self.max_requests.unwrap_or(old.max_requests),
            wake: self.wake().unwrap_or(old.wake),
            queue_headers: self.queue_headers().unwrap_or(old.queue_headers),
            idle_timeout_ms: self.idle_timeout.unwrap_or(old.idle_timeout_ms),
            scale_wait_ms: self.scale_wait.unwrap_or(old.scale_wait_ms),
            tap_rate: self.tap_rate.unwrap_or(old.tap_rate),
            max_body_bytes: self.max_body.unwrap_or(old.max_body_bytes),
            max_time_ms: self.max_time.unwrap_or(old.max_time_ms),
            max_rate: over(self.max_rate, old.max_rate),
            max_client_rate: over(self.max_client_rate, old.max_client_rate),
        }
    }
}

/// A rate of nothing is none.
fn over(given: Option<v1::Rate>, old: Option<v1::Rate>) -> Option<v1::Rate> {
    given.map_or(old, |rate| Some(rate).filter(|rate| rate.requests > 0))
}

/// Clap leaves at most one of the two set.
fn one_of(yes: bool, no: bool) -> Option<bool> {
    match (yes, no) {
        (false, false) => None,
        (yes, _) => Some(yes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let old = v1::Settings {
            policy: v1::Policy::Random.into(),
            dyno_limit: 3,
            queue_timeout_ms: 5,
            wake: true,
            queue_headers: true,
            ..Default::default()
        };
        let given = SettingsArgs {
            dyno_limit: Some(0),
            no_wake: true,
            ..Default::default()
        };
        let want = v1::Settings {
            dyno_limit: 0,
            wake: false,
            ..old
        };
        assert_eq!(given.over(&old), want);
    }

    #[test]
    fn nothing_given_is_noticed() {
        assert!(SettingsArgs::default().is_empty());
        assert!(
            !SettingsArgs {
                no_wake: true,
                ..Default::default()
            }
            .is_empty()
        );
        assert!(
            !SettingsArgs {
                boot_timeout: Some(0),
                ..Default::default()
            }
            .is_empty()
        );
    }
}
