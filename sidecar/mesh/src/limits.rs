//! The bounds of the whole core. Each says what happens when it is reached.

use std::time::Duration;

/// Bounds on what one mesh holds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Apps; one more is refused with [`crate::ChangeError::Exhausted`].
    pub apps: usize,
    /// Dynos of all apps together, likewise.
    pub dynos: usize,
    /// Dynos of one app, likewise.
    pub dynos_per_app: usize,
    /// Domains of one app, likewise.
    pub domains_per_app: usize,
    /// Requests waiting, of all apps; one more gets [`crate::Refusal::Overloaded`].
    pub waiting: usize,
    /// Sessions; one more is turned away.
    pub sessions: usize,
    /// Leases and waiting requests of one session; one more gets
    /// [`crate::Refusal::Overloaded`].
    pub asks_per_session: usize,
    /// The same of another sidecar's session.
    pub asks_per_peer: usize,
    /// Leases that a session may reserve at once; it gets no more than these.
    pub reserved: u32,
    /// How long the leases of a broken session wait for their worker to return.
    pub session_grace: Duration,
    /// How long whoever drives the mesh has them wait for a worker that it sees alive, and
    /// after a restart for all that it knew.
    pub recovery: Duration,
    /// What a router did not give back by then it cannot use any more: leases ahead are
    /// void before, on its own clock.
    pub recall_patience: Duration,
    /// Another node that was not heard for so long has no requests.
    pub node_patience: Duration,
    /// Requests wait so long for somebody who can decide; see [`crate::Exact`].
    pub owner_patience: Duration,
    /// No request takes longer: what another sidecar held when it was last heard is
    /// over then.
    pub longest_request: Duration,
    /// First quarantine of a dyno; it doubles with each failure in a row.
    pub quarantine_first: Duration,
    /// Longest quarantine.
    pub quarantine_longest: Duration,
}

impl Limits {
    /// No mesh may set a higher one.
    pub const LARGEST: Self = Self {
        apps: 10_000_000,
        dynos: 20_000_000,
        dynos_per_app: 10_000,
        domains_per_app: 1_000,
        waiting: 10_000_000,
        sessions: 65_536,
        asks_per_session: 65_536,
        asks_per_peer: 1_000_000,
        reserved: 1_024,
        session_grace: Duration::from_secs(60),
        recovery: Duration::from_secs(60),
        recall_patience: Duration::from_secs(60),
        node_patience: Duration::from_secs(60),
        owner_patience: Duration::from_secs(600),
        longest_request: Duration::from_secs(7 * 24 * 3600),
        quarantine_first: Duration::from_secs(60),
        quarantine_longest: Duration::from_secs(600),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            apps: 1_000_000,
            dynos: 2_000_000,
            dynos_per_app: 10_000,
            domains_per_app: 1_000,
            waiting: 1_000_000,
            sessions: 4_096,
            asks_per_session: 65_536,
            asks_per_peer: 1_000_000,
            reserved: 128,
            session_grace: Duration::from_millis(500),
            recovery: Duration::from_secs(5),
            recall_patience: Duration::from_secs(1),
            node_patience: Duration::from_millis(1_500),
            owner_patience: Duration::from_secs(5),
            longest_request: Duration::from_secs(600),
            quarantine_first: Duration::from_millis(500),
            quarantine_longest: Duration::from_secs(5),
        }
    }
}
