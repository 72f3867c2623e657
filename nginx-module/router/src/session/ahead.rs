//! Leases ahead, and others that are passed on, between requests and the sidecar.

use std::sync::Arc;

use dynomesh_proto::v1::{
    self, Cancel, Checkin, LeaseKind, Outcome, Passed, Recall, Recalled, Reserve, RouterMessage,
    Taken, router_message::Kind,
};

use super::{Asked, Haste, Leased, Link, Millis, Session};
use crate::{
    answer::{Answer, Lease},
    reserve::{Owner, Reserved},
};

/// Milliseconds after which the sidecar is told that a request keeps a lease that could be
/// passed on, so that it is known whose it is. Most are done before, and pass it on.
const TELL_AFTER: Millis = 25;

/// Milliseconds that a lease is passed on at most, whatever the sidecar says.
const MAX_AGAIN: u32 = 1_000;

/// The end of a lease that no request has, and so many had.
pub(super) fn unused(ask: u64, requests: u32) -> Kind {
    match requests.checked_sub(1) {
        None => Kind::Cancel(Cancel { ask }),
        Some(before) => Kind::Checkin(Checkin {
            ask,
            outcome: Outcome::Done.into(),
            before,
        }),
    }
}

/// What the next request may have when the one that asked is done.
pub(super) fn of_answer(
    answer: &Answer,
    lease: &Lease,
    owner: Owner,
    again_ms: u32,
    now: Millis,
) -> Reserved {
    let again = Millis::from(again_ms.min(MAX_AGAIN));
    let mut reserved = Reserved::new(answer.ask, lease.clone(), owner, again, now);
    reserved.dynos_in_use = answer.dynos_in_use;
    reserved.queue_headers = answer.queue_headers;
    reserved.known = true;
    reserved
}

impl<T> Asked<T> {
    /// The next request does not have its lease. Returns what the sidecar calls it, if that
    /// was possible.
    fn keep(&mut self) -> Option<u64> {
        let Self::Passable(reserved) = self else {
            return None;
        };
        let leased = Leased::of(reserved.ask, &reserved.lease, reserved.before);
        let known = leased.known;
        *self = Self::Leased(leased);
        Some(known)
    }
}

impl<T: Clone> Session<T> {
    /// A request for this name may have a lease that was reserved: it need not ask.
    /// Orders more where many come.
    pub fn take(&mut self, name: &Arc<str>, now: Millis) -> Option<Answer> {
        if self.link != Link::Up {
            return None;
        }
        let (taken, wanted) = self.reserves.take(name, self.asked.len(), now);
        let Some(reserved) = taken else {
            // This request has to ask, and is before those that are to come.
            self.wanted = wanted;
            return None;
        };
        if wanted > 0 {
            self.reserve(name, wanted, now);
        }
        // In logs, each request has a lease of its own.
        let ask = match reserved.before {
            0 => reserved.ask,
            _ => self.next_ask(),
        };
        let answer = Answer {
            ask,
            queue_wait_ms: 0,
            queue_depth: 0,
            dynos_in_use: reserved.dynos_in_use,
            queue_headers: reserved.queue_headers,
            kind: match reserved.before {
                0 => LeaseKind::Ahead,
                _ => LeaseKind::PassedOn,
            },
            result: Ok(reserved.lease.clone()),
        };
        self.asked.insert(ask, Asked::Passable(reserved));
        self.untold.push_back((ask, now));
        Some(answer)
    }

    pub(super) fn reserve(&mut self, name: &Arc<str>, count: u32, now: Millis) {
        let first = self.last_ask + 1;
        self.last_ask += u64::from(count);
        self.reserves.order(name, first, count, now);
        let order = Kind::Reserve(Reserve {
            first,
            count,
            name: name.to_string(),
        });
        self.send(order, Haste::Pressing);
    }

    /// A request is done with this lease, and the next one may have it. Hands it back if not.
    pub(super) fn pass_on(&mut self, reserved: Reserved, now: Millis) -> Option<Reserved> {
        let (ask, known) = (reserved.ask, reserved.known);
        let back = self.reserves.pass_on(reserved, now);
        if back.is_none() && !known {
            self.passed.push(ask);
        }
        back
    }

    /// Gives back what was reserved and is not used, and tells of what is. To be
    /// called every few milliseconds until it returns `false`, and what there is to
    /// send then sent.
    pub fn tidy(&mut self, now: Millis) -> bool {
        while let Some(reserved) = self.reserves.poll_expired(now) {
            self.send(unused(reserved.ask, reserved.before), Haste::Idle);
        }
        self.tell(now);
        if !self.passed.is_empty() {
            let asks = std::mem::take(&mut self.passed);
            self.send(Kind::Passed(Passed { asks }), Haste::Idle);
        }
        self.send_tapped(now);
        self.send_traced(now);
        self.has_to_tidy()
    }

    /// Says which of the leases that could be passed on are in use, and have been for a
    /// while.
    fn tell(&mut self, now: Millis) {
        let mut asks = Vec::new();
        while let Some((ask, _)) = self
            .untold
            .pop_front_if(|(_, since)| since.saturating_add(TELL_AFTER) <= now)
        {
            if let Some(asked) = self.asked.get_mut(&ask)
                && let Some(known) = asked.keep()
            {
                asks.push(known);
            }
        }
        if !asks.is_empty() {
            self.send(Kind::Taken(Taken { asks }), Haste::Idle);
        }
    }

    /// See [`Session::tidy`].
    pub fn has_to_tidy(&self) -> bool {
        !self.passed.is_empty()
            || !self.untold.is_empty()
            || !self.reserves.is_empty()
            || !self.outbox.is_empty()
            || self.taps.has_more()
            || self.traces.has_more()
    }

    pub(super) fn give_back(&mut self, unwanted: impl FnMut(&Reserved) -> bool) {
        let outbox = &mut self.outbox;
        self.reserves.give_back(unwanted, |reserved| {
            let kind = Some(unused(reserved.ask, reserved.before));
            outbox.push_back(RouterMessage { kind });
        });
    }

    /// What was ordered is there. A lease of a dyno that nobody told of is of no
    /// use, and so is one that nobody ordered.
    pub(super) fn store(&mut self, part: &v1::Reserved, now: Millis) {
        let count = part.dynos.len() as u32;
        let owner = self.reserves.arrive(part.first, count, part.more, now);
        let again = Millis::from(part.again_ms.min(MAX_AGAIN));
        for (ask, number) in (part.first..).zip(&part.dynos) {
            let (Some(owner), Some(dyno)) = (owner, self.dynos.get(*number)) else {
                self.send(Kind::Cancel(Cancel { ask }), Haste::Idle);
                continue;
            };
            let lease = Lease {
                dyno,
                limited: part.limited,
                others: part.others,
                counted: false,
                gone: false,
            };
            let mut reserved = Reserved::new(ask, lease, owner, again, now);
            reserved.dynos_in_use = part.dynos_in_use;
            reserved.queue_headers = part.queue_headers;
            self.reserves.put(reserved);
        }
    }

    pub(super) fn recall(&mut self, recall: Recall) {
        self.tell(Millis::MAX);
        self.give_back(|reserved| recall.apps.contains(&reserved.lease.dyno.app));
        let recall = recall.recall;
        self.send(Kind::Recalled(Recalled { recall }), Haste::Pressing);
    }

    /// The link broke: what nobody has is the sidecar's, and what requests have is
    /// theirs alone.
    pub(super) fn forget_ahead(&mut self) {
        self.reserves.clear();
        self.untold.clear();
        self.passed.clear();
        for asked in self.asked.values_mut() {
            asked.keep();
        }
    }
}
