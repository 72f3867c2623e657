//! Operators look at requests of an app as they end. Nothing is done for it unless
//! somebody looks, and what is told is so much that the requests do not feel it.
mod path;
mod wanted;

use std::collections::VecDeque;

use dynomesh_proto::{
    is_sampled,
    v1::{self, TapLoss, Tapped, TappedRequest},
};
use rustc_hash::FxHashMap;

use crate::session::Millis;
pub use path::path;
use wanted::Wanted;

/// Taps at once.
const MOST: usize = 128;
/// Requests that may wait to be told of; those beyond are counted.
const WAITING: usize = 1_024;
/// Requests in a message.
const AT_ONCE: usize = 64;
/// Fewer than that wait so long for each other: each message wakes the sidecar.
const GATHER: Millis = 20;

/// A request that has ended, as far as the taps are looked through by it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits<'a> {
    /// Whose it was.
    pub app: &'a str,
    /// Who had it; empty: nobody.
    pub dyno: &'a str,
    /// The number of its ask; 0: it never asked.
    pub ask: u64,
    /// What the client was told.
    pub status: u16,
    /// The code of what went wrong; empty: nothing did.
    pub error: &'a str,
    /// What the client asked for, as it came.
    pub target: &'a [u8],
    /// From its arrival to its end.
    pub total_ms: u64,
}

/// The taps that there are, and what they got.
#[derive(Debug)]
pub(crate) struct Taps {
    /// By app.
    taps: FxHashMap<Box<str>, Vec<Wanted>>,
    count: usize,
    requests: VecDeque<TappedRequest>,
    /// Since when some wait to be told.
    since: Millis,
    /// Some tap lost something that it was not told of.
    lost: bool,
    /// Of a generator that need not be good (xorshift); never zero.
    random: u64,
}

impl Taps {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            taps: FxHashMap::default(),
            count: 0,
            requests: VecDeque::new(),
            since: 0,
            lost: false,
            random: seed | 1,
        }
    }

    /// Somebody looks.
    pub(crate) fn is_on(&self) -> bool {
        self.count > 0
    }

    /// The sidecar says that there is a tap, or is none any more.
    pub(crate) fn set(&mut self, tap: v1::Tap, now: Millis) {
        self.remove(tap.tap);
        if let Some(filter) = tap.filter.filter(|_| !tap.over)
            && self.count < MOST
        {
            let app = filter.app.as_str().into();
            let wanted = Wanted::new(tap.tap, filter, tap.per_second, now);
            self.taps.entry(app).or_default().push(wanted);
            self.count += 1;
        }
    }

    fn remove(&mut self, number: u64) {
        for taps in self.taps.values_mut() {
            let before = taps.len();
            taps.retain(|tap| tap.number != number);
            self.count -= before - taps.len();
        }
        self.taps.retain(|_, taps| !taps.is_empty());
    }

    /// Who wants to know of this request; most often nobody.
    pub(crate) fn who(&mut self, traits: &Traits<'_>, now: Millis) -> Vec<u64> {
        let ask = match traits.ask {
            0 => random(&mut self.random),
            ask => ask,
        };
        let mut who = Vec::new();
        for tap in self.taps.get_mut(traits.app).into_iter().flatten() {
            if !tap.wants(traits) || !is_sampled(ask, tap.sample()) {
                continue;
            }
            if tap.may(now) {
                who.push(tap.number);
            } else {
                tap.lost += 1;
                self.lost = true;
            }
        }
        who
    }

    /// This one is told of, if there is room.
    pub(crate) fn add(&mut self, request: TappedRequest, now: Millis) {
        if !self.has_more() {
            self.since = now;
        }
        if self.requests.len() < WAITING {
            return self.requests.push_back(request);
        }
        let taps = self.taps.get_mut(&*request.app).into_iter().flatten();
        for tap in taps.filter(|tap| request.taps.contains(&tap.number)) {
            tap.lost += 1;
            self.lost = true;
        }
    }

    /// The next message, if it is time for one.
    pub(crate) fn take(&mut self, now: Millis) -> Option<Tapped> {
        let enough = self.requests.len() >= AT_ONCE || now >= self.since.saturating_add(GATHER);
        if !self.has_more() || !enough {
            return None;
        }
        self.since = now;
        let count = self.requests.len().min(AT_ONCE);
        Some(Tapped {
            requests: self.requests.drain(..count).collect(),
            losses: self.take_losses(),
        })
    }

    fn take_losses(&mut self) -> Vec<TapLoss> {
        if !std::mem::take(&mut self.lost) {
            return Vec::new();
        }
        let lost = self.taps.values_mut().flatten().filter(|tap| tap.lost > 0);
        let lost = lost.map(|tap| TapLoss {
            tap: tap.number,
            requests: std::mem::take(&mut tap.lost),
        });
        lost.collect()
    }

    /// Something waits to be told.
    pub(crate) fn has_more(&self) -> bool {
        !self.requests.is_empty() || self.lost
    }

    /// The link broke: the next one says anew who looks.
    pub(crate) fn clear(&mut self) {
        self.taps.clear();
        self.count = 0;
        self.requests.clear();
        self.lost = false;
    }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[cfg(test)]
mod tests;
