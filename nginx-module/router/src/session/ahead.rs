//! Leases ahead, and others that are passed on, between requests and the sidecar.

use std::sync::Arc;

use dynomesh_proto::v1::{
    self, Cancel, Checkin, LeaseKind, Outcome, Passed, Recall, Recalled, Reserve, RouterMessage,
    Taken, router_message::Kind,
};

use super::{Haste, Held, Link, Millis, Session, Ticket};
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
            next: 0,
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

impl<T: Clone> Session<T> {
    /// A request for this name may have a lease that was reserved: it need not ask.
    /// Orders more where many come.
    pub fn take(&mut self, name: &Arc<str>, now: Millis) -> Option<(Ticket, Answer)> {
        if self.link != Link::Up {
            return None;
        }
        let in_flight = self.waiting.len() + self.in_use();
        let (taken, wanted) = self.reserves.take(name, in_flight, now);
        let Some(at) = taken else {
            // This request has to ask, and is before those that are to come.
            self.wanted = wanted;
            return None;
        };
        if wanted > 0 {
            self.reserve(name, wanted, now);
        }
        let reserved = self.leases.at_hand(at)?;
        // In logs, each request has a lease of its own.
        let (ask, kind) = match reserved.before {
            0 => (reserved.ask, LeaseKind::Ahead),
            _ => (self.last_ask + 1, LeaseKind::PassedOn),
        };
        let answer = Answer {
            ask,
            queue_wait_ms: 0,
            queue_depth: 0,
            dynos_in_use: reserved.dynos_in_use,
            queue_headers: reserved.queue_headers,
            kind,
            result: Ok(reserved.lease.clone()),
        };
        self.last_ask = self.last_ask.max(ask);
        let ticket = self.leases.hand_out(at, ask);
        self.untold.push_back((ticket, now));
        Some((ticket, answer))
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

    /// A request is done with this lease. Says whether the next one may have it.
    pub(super) fn pass_on(&mut self, ticket: Ticket, now: Millis) -> bool {
        let Some(Held::Passable(reserved)) = self.leases.get_mut(ticket) else {
            return false;
        };
        let (ask, known) = (reserved.ask, reserved.known);
        let passed = self.reserves.pass_on(reserved, ticket.at(), now);
        if passed {
            self.leases.hand_in(ticket);
            if !known {
                self.passed.push(ask);
            }
        }
        passed
    }

    /// Gives back what was reserved and is not used, and tells of what is. To be
    /// called every few milliseconds until it returns `false`, and what there is to
    /// send then sent.
    pub fn tidy(&mut self, now: Millis) -> bool {
        while let Some(at) = self.reserves.poll_expired(now) {
            if let Some(reserved) = self.leases.take_back(at) {
                self.send(unused(reserved.ask, reserved.before), Haste::Idle);
            }
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
        while let Some((ticket, _)) = self
            .untold
            .pop_front_if(|(_, since)| since.saturating_add(TELL_AFTER) <= now)
        {
            if let Some(held) = self.leases.get_mut(ticket)
                && let Some(known) = held.keep()
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

    pub(super) fn give_back(&mut self, mut unwanted: impl FnMut(&Reserved) -> bool) {
        let (leases, outbox) = (&mut self.leases, &mut self.outbox);
        self.reserves.retain(|at| {
            let stays = leases.at_hand(at).is_some_and(|it| !unwanted(it));
            if !stays && let Some(reserved) = leases.take_back(at) {
                let kind = Some(unused(reserved.ask, reserved.before));
                outbox.push_back(RouterMessage { kind });
            }
            stays
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
            let once = reserved.serves_once(now);
            self.reserves
                .put(owner, self.leases.put(reserved), once, now);
        }
    }

    pub(super) fn recall(&mut self, recall: Recall) {
        self.tell(Millis::MAX);
        self.give_back(|reserved| recall.apps.contains(&reserved.lease.dyno.app));
        for app in &recall.apps {
            self.lines.forget(app);
        }
        let recall = recall.recall;
        self.send(Kind::Recalled(Recalled { recall }), Haste::Pressing);
    }

    /// The link broke: what nobody has is the sidecar's, and what requests have is
    /// theirs alone.
    pub(super) fn forget_ahead(&mut self) {
        self.reserves.clear();
        self.untold.clear();
        self.passed.clear();
        self.lines.clear();
        self.leases.keep_with_requests();
    }
}
