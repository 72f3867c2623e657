//! What happened, in figures.

use std::collections::BTreeMap;

/// What happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) served: u64,
    pub(crate) queued: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) failed: u64,
    pub(crate) aborted: u64,
    pub(crate) retried: u64,
    pub(crate) broken: u64,
    pub(crate) died: u64,
    pub(crate) restarts: u64,
    pub(crate) crashed: u64,
    pub(crate) drained: u64,
    pub(crate) woken: u64,
    pub(crate) idled: u64,
    pub(crate) hinted: u64,
    pub(crate) deleted: u64,
    /// Requests that had a lease ahead.
    pub(crate) ahead: u64,
    /// Requests after which the next one had their lease.
    pub(crate) passed: u64,
    /// Requests that asked, and whose leases the next ones could have.
    pub(crate) lent: u64,
    /// Requests that waited and had the lease of one that ended.
    pub(crate) handed_on: u64,
    /// Leases ahead that were given back.
    pub(crate) unused: u64,
    /// Changes that had to wait for routers.
    pub(crate) recalled: u64,
    pub(crate) frozen: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        for (reason, n) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += n;
        }
        self.served += other.served;
        self.queued += other.queued;
        self.failed += other.failed;
        self.aborted += other.aborted;
        self.retried += other.retried;
        self.broken += other.broken;
        self.died += other.died;
        self.restarts += other.restarts;
        self.crashed += other.crashed;
        self.drained += other.drained;
        self.woken += other.woken;
        self.idled += other.idled;
        self.hinted += other.hinted;
        self.deleted += other.deleted;
        self.ahead += other.ahead;
        self.passed += other.passed;
        self.lent += other.lent;
        self.handed_on += other.handed_on;
        self.unused += other.unused;
        self.recalled += other.recalled;
        self.frozen += other.frozen;
    }
}
