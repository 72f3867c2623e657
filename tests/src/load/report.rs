//! What came of a load.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer times, in µs, count as this: an hour.
const LONGEST: u64 = 3_600_000_000;

/// The result, as `mesh-load` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Requests that were answered, whatever the status.
    pub requests: u64,
    /// Requests that ended in whatever way, with those of the warm-up.
    pub ended: u64,
    /// Of the answered, how many with which status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that got no answer, and why.
    pub errors: BTreeMap<String, u64>,
    /// Answers of dynos that should not have been asked, by name.
    pub strangers: BTreeMap<String, u64>,
    /// Requests that the client gave up on purpose.
    pub aborted: u64,
    /// Idle connections that the server had closed; the request went out again.
    pub stale: u64,
    /// Time that all took.
    pub seconds: f64,
    /// Requests answered per second, while there was load: until the end of its
    /// duration, if that was given, and not until the last one was answered.
    pub rps: f64,
    /// Half of the answered requests took at most this, in µs.
    pub p50: u64,
    /// 90% of them.
    pub p90: u64,
    /// 99% of them.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

impl Report {
    /// Requests that did not get a 2xx, aborted ones aside.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let refused: u64 = self
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, count)| count)
            .sum();
        refused + self.errors.values().sum::<u64>()
    }
}

/// The sum so far of one connection, or of all.
#[derive(Debug)]
pub(super) struct Tally {
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    strangers: BTreeMap<String, u64>,
    times: Histogram<u64>,
    pub(super) aborted: u64,
    pub(super) stale: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            strangers: BTreeMap::new(),
            times: Histogram::new_with_max(LONGEST, 3).expect("these bounds are valid"),
            aborted: 0,
            stale: 0,
        }
    }
}

impl Tally {
    pub(super) fn answered(&mut self, status: u16, took: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.times.saturating_record(micros);
    }

    pub(super) fn error(&mut self, why: &str) {
        *self.errors.entry(why.to_owned()).or_default() += 1;
    }

    pub(super) fn strange(&mut self, dyno: String) {
        *self.strangers.entry(dyno).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (why, count) in &other.errors {
            *self.errors.entry(why.clone()).or_default() += count;
        }
        for (dyno, count) in &other.strangers {
            *self.strangers.entry(dyno.clone()).or_default() += count;
        }
        self.times
            .add(&other.times)
            .expect("histograms of the same bounds can be added");
        self.aborted += other.aborted;
        self.stale += other.stale;
    }

    pub(super) fn report(self, elapsed: Duration, ended: u64) -> Report {
        let requests = self.statuses.values().sum::<u64>();
        let seconds = elapsed.as_secs_f64();
        Report {
            requests,
            ended,
            rps: requests as f64 / seconds,
            seconds,
            p50: self.times.value_at_quantile(0.5),
            p90: self.times.value_at_quantile(0.9),
            p99: self.times.value_at_quantile(0.99),
            max: self.times.max(),
            statuses: self.statuses,
            errors: self.errors,
            strangers: self.strangers,
            aborted: self.aborted,
            stale: self.stale,
        }
    }
}
