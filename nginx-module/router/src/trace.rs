//! Traces: which requests are in one, and what the sidecar is told of them. Nothing is
//! done for it unless the sidecar says so.
mod context;

use std::collections::VecDeque;

use dynomesh_proto::v1::{Traced, TracedRequest, Tracing};

use crate::{pace::Pace, session::Millis};
pub use context::{Context, Parent};

/// Requests that may wait to be told of; those beyond are counted.
const WAITING: usize = 1_024;
/// Requests in a message.
const AT_ONCE: usize = 64;
/// Fewer than that wait so long for each other: each message wakes the sidecar.
const GATHER: Millis = 20;

/// What is traced, and what is to be told of it.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// As long as there is one.
    pace: Option<Pace>,
    /// Of a million requests that come with nothing.
    sample: u32,
    requests: VecDeque<TracedRequest>,
    /// Since when some wait to be told.
    since: Millis,
    limited: u64,
    lost: u64,
}

impl Traces {
    /// Some requests are traced.
    pub(crate) fn is_on(&self) -> bool {
        self.pace.is_some()
    }

    /// The sidecar says what is traced.
    pub(crate) fn set(&mut self, tracing: &Tracing, now: Millis) {
        self.sample = tracing.sample;
        let per_second = Some(tracing.per_second).filter(|some| *some > 0);
        self.pace = per_second.map(|per_second| Pace::new(per_second, now));
    }

    /// As its caller wants it; without one, as chance wants it.
    pub(crate) fn wants(&mut self, parent: Option<&Parent>, chance: u32, now: Millis) -> bool {
        let Some(pace) = &mut self.pace else {
            return false;
        };
        let wanted = match parent {
            Some(parent) => parent.is_sampled(),
            None => (u64::from(chance) * 1_000_000) >> 32 < self.sample.into(),
        };
        let may = wanted && pace.may(now);
        if wanted && !may {
            self.note(now);
            self.limited += 1;
        }
        may
    }

    /// This one is told of, if there is room.
    pub(crate) fn add(&mut self, request: TracedRequest, now: Millis) {
        if !self.is_on() {
            return;
        }
        self.note(now);
        match self.requests.len() < WAITING {
            true => self.requests.push_back(request),
            false => self.lost += 1,
        }
    }

    /// There is something to tell from now on.
    fn note(&mut self, now: Millis) {
        if !self.has_more() {
            self.since = now;
        }
    }

    /// The next message, if it is time for one.
    pub(crate) fn take(&mut self, now: Millis) -> Option<Traced> {
        let enough = self.requests.len() >= AT_ONCE || now >= self.since.saturating_add(GATHER);
        if !self.has_more() || !enough {
            return None;
        }
        self.since = now;
        let count = self.requests.len().min(AT_ONCE);
        Some(Traced {
            requests: self.requests.drain(..count).collect(),
            limited: std::mem::take(&mut self.limited),
            lost: std::mem::take(&mut self.lost),
        })
    }

    /// Something waits to be told.
    pub(crate) fn has_more(&self) -> bool {
        self.is_on() && (!self.requests.is_empty() || self.limited > 0 || self.lost > 0)
    }

    /// The link broke: the next sidecar says anew what is traced, and hears of what was
    /// lost.
    pub(crate) fn clear(&mut self) {
        self.lost += self.requests.len() as u64;
        self.requests.clear();
        self.pace = None;
    }
}

#[cfg(test)]
mod tests;
