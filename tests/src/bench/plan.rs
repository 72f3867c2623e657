//! How long and how often each thing is measured.

use std::time::Duration;

const CONNECTIONS: [usize; 3] = [1, 64, 256];

/// The times and counts of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Turns of everything that is compared. Many short ones: what disturbs them is
    /// then in few, and the median does not see it.
    pub turns: usize,
    /// Client connections, where they matter.
    pub connections: Vec<usize>,
    /// One load on one server.
    pub(super) shot: Duration,
    /// The same for a queue.
    pub(super) queue_turns: usize,
    /// One load on a queue. Longer: 200 clients have to get through it.
    pub queue_shot: Duration,
    /// How often a loaded sidecar is restarted, each way.
    pub(super) restarts: usize,
    /// Load without changes, before and after.
    pub(super) quiet: Duration,
    /// Load with changes.
    pub(super) churn: Duration,
    /// How often the core's own benchmark runs.
    pub(super) core_runs: usize,
}

impl Plan {
    /// About five minutes.
    #[must_use]
    pub fn full() -> Self {
        Self {
            turns: 15,
            connections: CONNECTIONS.to_vec(),
            shot: Duration::from_millis(600),
            queue_turns: 5,
            queue_shot: Duration::from_secs(3),
            restarts: 5,
            quiet: Duration::from_secs(5),
            churn: Duration::from_secs(10),
            core_runs: 3,
        }
    }

    /// Less than one: to see that all works. Its figures are rough.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            turns: 5,
            connections: CONNECTIONS.to_vec(),
            shot: Duration::from_millis(200),
            queue_turns: 3,
            queue_shot: Duration::from_secs(1),
            restarts: 2,
            quiet: Duration::from_millis(1_500),
            churn: Duration::from_secs(3),
            core_runs: 1,
        }
    }
}
