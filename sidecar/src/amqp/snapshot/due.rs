//! When the next snapshot is due. Pure.

use std::time::Duration;

/// Entries after which one is due however early it is.
const ENTRIES: u64 = 100_000;

/// After so many times what is between two, one is due though nothing changes:
/// the broker does not keep the last one for ever. With the defaults it is a day.
const QUIET: f64 = 144.0;

/// Counts since the last snapshot, whoever wrote it.
#[derive(Debug)]
pub(in crate::amqp) struct Due {
    every: Duration,
    /// Changes since then.
    changes: u64,
    /// When that was, on the caller's clock.
    since: Duration,
    /// From 0 to 1: spreads the nodes, so that one is first.
    chance: f64,
}

impl Due {
    pub(in crate::amqp) fn new(every: Duration, now: Duration, chance: f64) -> Self {
        Self {
            every,
            changes: 0,
            since: now,
            chance,
        }
    }

    /// A change was seen to.
    pub(in crate::amqp) fn changed(&mut self) {
        self.changes += 1;
    }

    /// Somebody wrote one.
    pub(in crate::amqp) fn saved(&mut self, now: Duration) {
        self.changes = 0;
        self.since = now;
    }

    /// It is time to write one. The nodes come to this one after the other,
    /// within a tenth of what is between two snapshots.
    pub(in crate::amqp) fn is_due(&self, now: Duration) -> bool {
        let late = 1.0 + self.chance.clamp(0.0, 1.0) / 10.0;
        let past = now.saturating_sub(self.since);
        let long = past >= self.every.mul_f64(late);
        let many = self.changes as f64 >= ENTRIES as f64 * late;
        let quiet = past >= self.every.mul_f64(late * QUIET);
        self.changes > 0 && (long || many) || quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_is_due_after_a_time_or_many_changes() {
        let mut due = Due::new(at(600), at(0), 0.0);
        assert!(!due.is_due(at(700)), "nothing has changed");
        due.changed();
        assert!(!due.is_due(at(599)));
        assert!(due.is_due(at(600)));
        due.saved(at(600));
        assert!(!due.is_due(at(1_300)));
        assert!(!due.is_due(at(86_400)), "nothing has changed");
        assert!(due.is_due(at(600 + 86_400)), "one a day");
        for _ in 0..ENTRIES {
            assert!(!due.is_due(at(601)));
            due.changed();
        }
        assert!(due.is_due(at(601)));
        let mut later = Due::new(at(600), at(0), 1.0);
        later.changed();
        assert!(!later.is_due(at(659)), "others go first");
        assert!(later.is_due(at(660)));
    }
}
