//! Numbers: what they are unless set, and what they may be.

use super::Options;

/// A number that can be set.
pub(super) struct Number {
    pub(super) key: &'static str,
    pub(super) field: fn(&mut Options) -> &mut Option<u64>,
    pub(super) default: u64,
    pub(super) least: u64,
    pub(super) most: u64,
}

macro_rules! number {
    ($field:ident, $key:literal, $default:literal, $least:literal..=$most:literal) => {
        Number {
            key: $key,
            field: |options| &mut options.$field,
            default: $default,
            least: $least,
            most: $most,
        }
    };
}

/// All of them.
///
/// A session's grace has to outlast a reconnect. Of pings, see [`Pings`].
///
/// [`Pings`]: crate::listen::Pings
pub(super) const NUMBERS: [Number; 21] = [
    number!(session_grace_ms, "session-grace-ms", 500, 0..=60_000),
    number!(longest_request_s, "longest-request-s", 600, 1..=604_800),
    number!(recovery_ms, "recovery-ms", 5_000, 0..=60_000),
    number!(quarantine_first_ms, "quarantine-first-ms", 500, 1..=60_000),
    number!(
        quarantine_longest_ms,
        "quarantine-longest-ms",
        5_000,
        1..=600_000
    ),
    number!(ping_every_ms, "ping-every-ms", 5_000, 100..=3_600_000),
    number!(ping_within_ms, "ping-within-ms", 10_000, 100..=3_600_000),
    number!(broker_heartbeat_s, "broker-heartbeat-s", 5, 1..=600),
    number!(
        broker_snapshot_every_s,
        "broker-snapshot-every-s",
        600,
        1..=86_400
    ),
    number!(auth_threads, "auth-threads", 2, 1..=64),
    number!(
        authorizer_within_ms,
        "authorizer-within-ms",
        1_000,
        10..=30_000
    ),
    number!(otlp_rate, "otlp-rate", 500, 1..=100_000),
    number!(metrics_apps, "metrics-apps", 1_000, 0..=100_000),
    number!(max_apps, "max-apps", 1_000_000, 1..=10_000_000),
    number!(max_dynos, "max-dynos", 2_000_000, 1..=20_000_000),
    number!(max_dynos_per_app, "max-dynos-per-app", 10_000, 1..=10_000),
    number!(max_domains_per_app, "max-domains-per-app", 1_000, 1..=1_000),
    number!(max_waiting, "max-waiting", 1_000_000, 1..=10_000_000),
    number!(max_reserved, "max-reserved", 128, 0..=1_024),
    number!(max_sessions, "max-sessions", 4_096, 1..=65_536),
    number!(
        max_asks_per_session,
        "max-asks-per-session",
        65_536,
        1..=65_536
    ),
];
