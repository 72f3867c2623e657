//! The last five minutes, a moment a second.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use super::failures::Failures;
use crate::driver::{Answers, Driver, Seats};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// Moments that are kept.
const MOST: usize = 300;
/// Seconds that a rate is of: workers tell once a second.
const RATE_OF: usize = 5;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    /// Requests with dynos, and waiting.
    leases: u64,
    waiting: u64,
    /// Requests that had ended, without and with an error.
    served: u64,
    /// The same by code.
    failed: BTreeMap<Box<str>, u64>,
}

impl Moment {
    fn of(driver: &Driver) -> Self {
        let (totals, _) = driver.totals();
        Self {
            leases: totals.leases as u64,
            waiting: totals.waiting as u64,
            ..Self::default()
        }
    }

    fn count(&mut self, answers: &Answers) {
        if answers.error.is_empty() {
            self.served += answers.requests;
        } else if let Some(requests) = self.failed.get_mut(&answers.error) {
            *requests += answers.requests;
        } else {
            self.failed.insert(answers.error.clone(), answers.requests);
        }
    }

    fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

#[derive(Debug, Default)]
struct Past {
    moments: VecDeque<Moment>,
    failures: Failures,
}

/// What was seen.
#[derive(Clone, Default)]
pub(super) struct History(Arc<Mutex<Past>>);

impl History {
    /// Looks once a second.
    pub(super) async fn keep(self, driver: Arc<Driver>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(&driver);
        }
    }

    fn look(&self, driver: &Driver) {
        let mut moment = Moment::of(driver);
        let mut past = self.0.lock();
        if let Some(seats) = driver.seats() {
            count(&seats, &mut moment);
            past.failures.look(&seats, driver.up());
        }
        if past.moments.len() >= MOST {
            past.moments.pop_front();
        }
        past.moments.push_back(moment);
    }

    /// Requests that have dynos and that wait, the latest last.
    pub(super) fn load(&self) -> [Vec<f64>; 2] {
        let moments = &self.0.lock().moments;
        [
            moments.iter().map(|moment| moment.leases as f64).collect(),
            moments.iter().map(|moment| moment.waiting as f64).collect(),
        ]
    }

    /// Requests a second that were served, and that were not.
    pub(super) fn rates(&self) -> [Vec<f64>; 2] {
        let moments = &self.0.lock().moments;
        let rates = |count: fn(&Moment) -> u64| {
            let before = |at: usize| at.saturating_sub(RATE_OF);
            let rate = |at: usize| {
                let more = count(&moments[at]).saturating_sub(count(&moments[before(at)]));
                more as f64 / (at - before(at)).max(1) as f64
            };
            (0..moments.len()).map(rate).collect()
        };
        [rates(|moment| moment.served), rates(Moment::failures)]
    }

    /// Requests with an error in all of it, by code, the most first.
    pub(super) fn errors(&self) -> Vec<(Box<str>, u64)> {
        let moments = &self.0.lock().moments;
        let (Some(first), Some(last)) = (moments.front(), moments.back()) else {
            return Vec::new();
        };
        let since = last.failed.iter().map(|(error, requests)| {
            let before = first.failed.get(error).copied().unwrap_or(0);
            (error.clone(), requests.saturating_sub(before))
        });
        let mut errors: Vec<_> = since.collect();
        errors.retain(|(_, requests)| *requests > 0);
        errors.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        errors
    }

    /// What went wrong last.
    pub(super) fn failures<R>(&self, see: impl FnOnce(&Failures) -> R) -> R {
        see(&self.0.lock().failures)
    }
}

fn count(seats: &Seats, moment: &mut Moment) {
    let apps = seats.apps().into_iter().map(|(_, counted)| counted);
    let all = apps.chain([seats.others(), seats.nobody()]);
    all.flat_map(|counted| &counted.answers)
        .for_each(|answers| moment.count(answers));
}

pub(super) const SECONDS: usize = MOST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_some_seconds() {
        let history = History::default();
        for n in 0..10 {
            let failed = [("H12".into(), n)].into();
            let moment = Moment {
                served: n * 100,
                failed,
                ..Moment::default()
            };
            history.0.lock().moments.push_back(moment);
        }
        let [served, failed] = history.rates();
        assert_eq!((served[0], served[1], served[9]), (0.0, 100.0, 100.0));
        assert_eq!((failed[0], failed[9]), (0.0, 1.0));
        assert_eq!(history.errors(), [("H12".into(), 9)]);
    }
}
