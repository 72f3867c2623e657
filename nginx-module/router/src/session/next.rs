//! Who is next: a request that waits gets the lease of one that ends here.
//!
//! A router that stood still may not have heard that somebody is next no more. So nothing is
//! believed of who had asked before it last heard nothing for long: then dynos are slow, and it
//! is no loss, or it stood still. Nobody comes before one of these, either.

use std::{collections::VecDeque, sync::Arc};

use dynomesh_proto::v1::{Checkin, LeaseKind, Next, Outcome, router_message::Kind};
use rustc_hash::FxHashMap;

use super::{
    Delivery, Millis, Session, Ticket,
    lease::{Haste, Held},
};
use crate::{
    answer::{Answer, Dyno, Lease},
    reserve::LATE,
};

/// Requests of one app that are kept; more than a sidecar names at once. Of those some may
/// have left.
const MOST: usize = 64;

/// The requests that were said to be next.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Of the apps that have any.
    apps: FxHashMap<String, Line>,
    /// When its sidecar last said anything.
    heard: Millis,
    /// Of asks up to this one nothing is believed.
    doubtful: u64,
}

/// Of one app, in order.
#[derive(Debug, Default)]
struct Line {
    edition: u32,
    asks: VecDeque<Next>,
}

impl Lines {
    pub(super) fn clear(&mut self) {
        self.apps.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// If it has heard nothing for long, nothing is believed of what was asked so far.
    fn doubt(&mut self, last_ask: u64, now: Millis) {
        if now > self.heard + LATE {
            self.doubtful = last_ask;
        }
    }

    /// Its sidecar has said something.
    pub(super) fn hear(&mut self, last_ask: u64, now: Millis) {
        self.doubt(last_ask, now);
        self.heard = now.max(self.heard);
    }

    pub(super) fn forget(&mut self, app: &str) {
        self.apps.remove(app);
    }

    fn join(&mut self, mut next: Next, waits: impl Fn(u64) -> bool) {
        let app = std::mem::take(&mut next.app);
        let line = self.apps.get(&app);
        if next.ask == 0 || line.is_some_and(|line| line.edition != next.edition) {
            self.forget(&app);
        }
        if !waits(next.ask) {
            return;
        }
        let line = self.apps.entry(app).or_default();
        line.edition = next.edition;
        if line.asks.len() >= MOST {
            line.asks.retain(|next| waits(next.ask));
        }
        if line.asks.len() < MOST {
            line.asks.push_back(next);
        }
    }

    /// The first of those that still wait, if that is believed.
    fn first(&mut self, app: &str, edition: u32, waits: impl Fn(u64) -> bool) -> Option<Next> {
        let line = self.apps.get_mut(app)?;
        if line.edition != edition {
            return None;
        }
        while line.asks.pop_front_if(|next| !waits(next.ask)).is_some() {}
        let doubtful = self.doubtful;
        let first = line.asks.pop_front_if(|next| next.ask > doubtful);
        if line.asks.is_empty() {
            self.apps.remove(app);
        }
        first
    }
}

impl<T: Clone> Session<T> {
    /// Somebody is next: it matters what time it is when a lease ends.
    pub fn has_next(&self) -> bool {
        !self.lines.is_empty()
    }

    /// A request that waits is next.
    pub(super) fn is_next(&mut self, next: Next) {
        let waiting = &self.waiting;
        self.lines.join(next, |ask| waiting.contains_key(&ask));
    }

    /// A request is done with this lease: it is that of the one that is next, if somebody is.
    pub(super) fn hand_on(&mut self, ticket: Ticket, now: Millis) -> Option<Delivery<T>> {
        if self.lines.is_empty() {
            return None;
        }
        let held = self.leases.get_mut(ticket)?;
        let (known, before) = held.known();
        let (dyno, edition) = match held {
            Held::Kept(leased) if leased.edition != 0 => (leased.dyno.clone(), leased.edition),
            _ => return None,
        };
        self.lines.doubt(self.last_ask, now);
        let waiting = &self.waiting;
        let waits = |ask| waiting.contains_key(&ask);
        let next = self.lines.first(&dyno.app, edition, waits)?;
        let request = self.waiting.remove(&next.ask)?.request;
        let ticket = self.leases.hand_on(ticket, next.ask);
        let done = Checkin {
            ask: known,
            outcome: Outcome::Done.into(),
            before,
            next: next.ask,
        };
        self.send(Kind::Checkin(done), Haste::Pressing);
        let waited = now.saturating_sub(request.arrived + request.served);
        Some(Delivery::Answer(
            request.token,
            answer(next, dyno, waited),
            ticket,
        ))
    }
}

/// What the sidecar would have said.
fn answer(next: Next, dyno: Arc<Dyno>, waited: Millis) -> Answer {
    Answer {
        ask: next.ask,
        queue_wait_ms: waited.try_into().unwrap_or(u32::MAX),
        queue_depth: next.queue_depth,
        dynos_in_use: next.dynos_in_use,
        queue_headers: next.queue_headers,
        kind: LeaseKind::HandedOn,
        result: Ok(Lease {
            dyno,
            limited: true,
            others: next.others,
            counted: next.counted,
            gone: false,
        }),
    }
}
