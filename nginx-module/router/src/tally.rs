//! What became of requests, added up by app until the sidecar is told.
//!
//! A router knows the status of each request and its sidecar hears of few of them, so
//! it is counted here. What was told is kept until the sidecar says that it has it:
//! nothing is counted twice, nor lost with a link.

use std::collections::VecDeque;

use dynomesh_proto::{
    BOUNDS_MS,
    v1::{self, Answered, AppTally},
};
use rustc_hash::FxHashMap;

use crate::{code::Code, session::Millis};

/// Apps that are told apart in one tally; the others are added up.
const APPS: usize = 4_096;
/// Kinds of answers that an app may have in one; then only classes are told apart.
const ANSWERS: usize = 64;
/// Tallies that may be on their way: one, and the last one of a router that ends.
const UNTOLD: usize = 2;

/// A request that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended<'a> {
    /// Whose it was; empty: it is not known.
    pub app: &'a str,
    /// What the client was told; 0: nothing.
    pub status: u16,
    /// What went wrong.
    pub code: Option<Code>,
    /// Of one that got a dyno: the time in the queue, and with dynos.
    pub took: Option<(Millis, Millis)>,
    /// Bytes from the client, and to it.
    pub bytes: (u64, u64),
}

/// How many took how long; see [`v1::Spread`].
#[derive(Clone, Debug, Default)]
struct Spread {
    counts: [u32; BOUNDS_MS.len() + 1],
    sum: Millis,
}

impl Spread {
    fn add(&mut self, took: Millis) {
        let at = BOUNDS_MS.partition_point(|bound| Millis::from(*bound) < took);
        self.counts[at] += 1;
        self.sum += took;
    }

    fn message(&self) -> v1::Spread {
        v1::Spread {
            counts: self.counts.to_vec(),
            sum_ms: self.sum,
        }
    }
}

/// One app's requests.
#[derive(Clone, Debug, Default)]
struct Row {
    answers: Vec<(u16, Option<Code>, u32)>,
    waits: Spread,
    services: Spread,
    received: u64,
    sent: u64,
}

impl Row {
    fn add(&mut self, ended: &Ended<'_>) {
        self.answer(ended.status, ended.code);
        if let Some((wait, service)) = ended.took {
            self.waits.add(wait);
            self.services.add(service);
        }
        self.received += ended.bytes.0;
        self.sent += ended.bytes.1;
    }

    fn answer(&mut self, status: u16, code: Option<Code>) {
        let same = |row: &&mut (u16, Option<Code>, u32)| (row.0, row.1) == (status, code);
        if let Some((.., requests)) = self.answers.iter_mut().find(same) {
            *requests += 1;
        } else if self.answers.len() < ANSWERS || status < 10 {
            self.answers.push((status, code, 1));
        } else {
            self.answer(status / 100, code);
        }
    }

    fn message(&self, app: &str, others: bool) -> AppTally {
        let answered = self
            .answers
            .iter()
            .map(|(status, code, requests)| Answered {
                status: (*status).into(),
                error: code.map_or("", Code::name).into(),
                requests: *requests,
            });
        AppTally {
            app: app.into(),
            others,
            answered: answered.collect(),
            waits: Some(self.waits.message()),
            services: Some(self.services.message()),
            bytes_received: self.received,
            bytes_sent: self.sent,
        }
    }
}

/// All requests that ended since the sidecar was told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: FxHashMap<Box<str>, Row>,
    others: Option<Box<Row>>,
    /// Told, and maybe lost.
    untold: VecDeque<v1::Tally>,
    number: u64,
    /// The sidecar wants none.
    unwanted: bool,
}

impl Tally {
    pub(crate) fn add(&mut self, ended: &Ended<'_>) {
        if self.unwanted {
            return;
        }
        if let Some(row) = self.rows.get_mut(ended.app) {
            return row.add(ended);
        }
        let row = match self.rows.len() < APPS {
            true => self.rows.entry(ended.app.into()).or_default(),
            false => self.others.get_or_insert_default(),
        };
        row.add(ended);
    }

    /// The sidecar says whether it wants to know.
    pub(crate) fn want(&mut self, wanted: bool) {
        self.unwanted = !wanted;
        if self.unwanted {
            self.rows.clear();
            self.others = None;
            self.untold.clear();
        }
    }

    /// What there is to tell now. One is told after the other, but for the `last`.
    pub(crate) fn take(&mut self, last: bool) -> Option<v1::Tally> {
        let most = if last { UNTOLD } else { 1 };
        if self.is_empty() || self.untold.len() >= most {
            return None;
        }
        let rows = self.rows.iter().map(|(app, row)| row.message(app, false));
        let others = self.others.iter().map(|row| row.message("", true));
        self.number += 1;
        let tally = v1::Tally {
            number: self.number,
            apps: rows.chain(others).collect(),
        };
        self.rows.clear();
        self.others = None;
        self.untold.push_back(tally.clone());
        Some(tally)
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.others.is_none()
    }

    /// There is something that the sidecar has not said it has.
    pub(crate) fn is_owing(&self) -> bool {
        !self.is_empty() || !self.untold.is_empty()
    }

    /// Something was told, and may be lost.
    pub(crate) fn is_told(&self) -> bool {
        !self.untold.is_empty()
    }

    /// What is to be said again over a new link.
    pub(crate) fn again(&self) -> impl Iterator<Item = v1::Tally> {
        self.untold.iter().cloned()
    }

    /// The sidecar has everything up to this number.
    pub(crate) fn told(&mut self, number: u64) {
        while self
            .untold
            .pop_front_if(|tally| tally.number <= number)
            .is_some()
        {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(app: &str, status: u16) -> Ended<'_> {
        Ended {
            app,
            status,
            ..Ended::default()
        }
    }

    #[test]
    fn requests_are_added_up_by_app() {
        let mut tally = Tally::default();
        for (wait, service) in [(0, 1), (2, 6), (40_000, 30_000)] {
            tally.add(&Ended {
                took: Some((wait, service)),
                bytes: (10, 100),
                ..ended("shop", 200)
            });
        }
        tally.add(&Ended {
            code: Some(Code::H12),
            ..ended("shop", 503)
        });
        let told = tally.take(false).expect("there is something to tell");
        assert_eq!((told.number, told.apps.len()), (1, 1));
        let shop = &told.apps[0];
        let answered: Vec<_> = shop
            .answered
            .iter()
            .map(|a| (a.status, a.requests))
            .collect();
        assert_eq!(answered, [(200, 3), (503, 1)]);
        assert_eq!((&*shop.answered[1].error, shop.bytes_sent), ("H12", 300));
        let waits = shop.waits.clone().expect("it has them");
        assert_eq!(
            (waits.counts[0], waits.counts[1], waits.counts[13]),
            (1, 1, 1)
        );
        let services = shop.services.clone().expect("it has them");
        assert_eq!(
            (services.counts[0], services.counts[2], services.counts[12]),
            (1, 1, 1)
        );
        assert_eq!((waits.sum_ms, services.sum_ms), (40_002, 30_007));
    }

    #[test]
    fn one_is_told_after_the_other_and_again_until_it_is_known() {
        let mut tally = Tally::default();
        assert_eq!(tally.take(false), None);
        tally.add(&ended("a", 200));
        let first = tally.take(false);
        tally.add(&ended("a", 200));
        assert_eq!(tally.take(false), None, "the first may be lost");
        assert_eq!(tally.again().next(), first);
        let last = tally.take(true).expect("there will be no other occasion");
        assert_eq!((last.number, tally.again().count()), (2, 2));
        tally.told(1);
        assert_eq!(tally.again().map(|t| t.number).collect::<Vec<_>>(), [2]);
        tally.told(2);
        assert!(!tally.is_owing());
    }

    #[test]
    fn what_there_is_no_room_for_is_added_up() {
        let mut tally = Tally::default();
        for n in 0..APPS + 3 {
            tally.add(&ended(&format!("app-{n}"), 200));
        }
        let told = tally.take(false).expect("there is something to tell");
        assert_eq!(told.apps.len(), APPS + 1);
        let others = told.apps.iter().find(|app| app.others);
        assert_eq!(others.map(|app| app.answered[0].requests), Some(3));

        for status in 100..600 {
            tally.add(&ended("odd", status));
        }
        tally.told(1);
        let told = tally.take(false).expect("there is something to tell");
        let answered = &told.apps[0].answered;
        assert!(answered.len() <= ANSWERS + 5, "{}", answered.len());
        assert_eq!(answered.iter().map(|a| a.requests).sum::<u32>(), 500);
        assert!(answered.iter().any(|a| (a.status, a.requests) == (5, 100)));
    }

    #[test]
    fn nothing_is_kept_for_who_does_not_want_it() {
        let mut tally = Tally::default();
        tally.add(&ended("a", 200));
        tally.want(false);
        tally.add(&ended("a", 200));
        assert!(!tally.is_owing());
        tally.want(true);
        tally.add(&ended("a", 200));
        assert!(tally.is_owing());
    }
}
