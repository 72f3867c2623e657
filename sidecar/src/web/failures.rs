//! Which apps' requests went wrong last, and how.

use std::{collections::VecDeque, time::Duration};

use rustc_hash::FxHashMap;

use crate::driver::{Counted, Seats};

/// Kinds that are kept: the last ones.
const MOST: usize = 100;

/// Requests of one app that went wrong in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// `None`: of no app, or of one without figures of its own.
    pub(super) app: Option<Box<str>>,
    /// The code.
    pub(super) error: Box<str>,
    /// What the client was told.
    pub(super) status: u16,
    /// How many since it was first seen here.
    pub(super) requests: u64,
    /// Time from the start to the last one.
    pub(super) last: Duration,
}

type Kind = (Option<Box<str>>, Box<str>, u16);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The latest first.
    kept: VecDeque<Failed>,
    /// How many there had been at the last look.
    before: FxHashMap<Kind, u64>,
}

impl Failures {
    /// What has come since the last look.
    pub(super) fn look(&mut self, seats: &Seats, up: Duration) {
        let apps = seats.apps().into_iter();
        let apps = apps.map(|(app, counted)| (Some(app), counted));
        let all = apps.chain([(None, seats.others()), (None, seats.nobody())]);
        let mut now: FxHashMap<Kind, u64> = FxHashMap::default();
        for (app, counted) in all {
            count(&mut now, app, counted);
        }
        for (kind, requests) in &now {
            let before = self.before.get(kind).copied().unwrap_or(0);
            let more = requests.saturating_sub(before);
            if more > 0 {
                self.add(kind, more, up);
            }
        }
        self.before = now;
    }

    fn add(&mut self, (app, error, status): &Kind, more: u64, up: Duration) {
        let same = |it: &Failed| (&it.app, &it.error, &it.status) == (app, error, status);
        let old = self.kept.iter().position(same);
        let old = old.and_then(|at| self.kept.remove(at));
        self.kept.truncate(MOST - 1);
        self.kept.push_front(Failed {
            app: app.clone(),
            error: error.clone(),
            status: *status,
            requests: old.map_or(0, |old| old.requests) + more,
            last: up,
        });
    }

    /// The latest first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &Failed> {
        self.kept.iter()
    }
}

fn count(now: &mut FxHashMap<Kind, u64>, app: Option<&str>, counted: &Counted) {
    for answers in counted.answers.iter().filter(|it| !it.error.is_empty()) {
        let kind = (app.map(Box::from), answers.error.clone(), answers.status);
        *now.entry(kind).or_default() += answers.requests;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(app: &str, error: &str) -> Kind {
        (Some(app.into()), error.into(), 503)
    }

    #[test]
    fn the_last_ones_are_kept() {
        let mut failures = Failures::default();
        let at = Duration::from_secs;
        failures.add(&kind("shop", "H12"), 2, at(1));
        failures.add(&kind("blog", "H14"), 1, at(2));
        failures.add(&kind("shop", "H12"), 3, at(3));
        let all: Vec<_> = failures.latest().collect();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (&*all[0].error, all[0].requests, all[0].last),
            ("H12", 5, at(3))
        );
        for n in 0..2 * MOST {
            failures.add(&kind(&format!("app-{n}"), "H10"), 1, at(4));
        }
        assert_eq!(failures.latest().count(), MOST);
        let last = format!("app-{}", 2 * MOST - 1);
        let first = failures.latest().next().and_then(|it| it.app.as_deref());
        assert_eq!(first, Some(&*last));
    }
}
