//! Leases ahead: what this router has reserved for the names that it is asked for
//! most, so that their requests need not wait for an answer.
//!
//! It reserves what the next few milliseconds will need, never more than it has
//! requests with dynos, and gives back what has not been used by then: a lease that
//! lies about is load that is none, and hides which dyno has the least.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustc_hash::{FxHashMap, FxHasher};

use crate::{answer::Lease, session::Millis};

/// Names that can have something reserved. Two that fall on one place share it:
/// the other one has to be idle.
const NAMES: usize = 256;
/// Requests in a millisecond from which a name is worth it.
const BUSY: u32 = 3;
/// Milliseconds that are provided for.
const AHEAD: u32 = 3;
/// Milliseconds after which a lease that no request took is given back.
const KEEP: Millis = 10;
/// Milliseconds before a name that got nothing is tried again.
const PAUSE: Millis = 100;

/// A lease that no request has yet.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) ask: u64,
    pub(crate) lease: Lease,
    /// As they were when it was reserved.
    pub(crate) dynos_in_use: u32,
    pub(crate) queue_headers: bool,
    pub(crate) until: Millis,
}

/// What is on its way for a name.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// The number of the next one that is to come.
    next: u64,
    /// How many, at most.
    left: u32,
    /// Something came.
    fruitful: bool,
}

/// One name.
#[derive(Debug, Default)]
struct Place {
    name: Arc<str>,
    leases: VecDeque<Reserved>,
    order: Option<Order>,
    paused_until: Millis,
    /// The millisecond of the last request, and requests in it.
    last: Millis,
    count: u32,
    /// Requests in a millisecond, before that one.
    rate: u32,
}

impl Place {
    /// A request comes.
    fn note(&mut self, now: Millis) {
        if now == self.last {
            self.count += 1;
            return;
        }
        let since = now.saturating_sub(self.last);
        self.rate = self.count / u32::try_from(since).unwrap_or(u32::MAX);
        (self.last, self.count) = (now, 1);
    }

    fn is_idle(&self, now: Millis) -> bool {
        self.leases.is_empty() && self.order.is_none() && now.saturating_sub(self.last) > KEEP
    }

    /// How many to reserve now, with so many at most.
    fn wanted(&self, now: Millis, most: u32) -> u32 {
        let rate = self.rate.max(self.count);
        if rate < BUSY || self.order.is_some() || now < self.paused_until {
            return 0;
        }
        let aim = (rate * AHEAD).min(most);
        let have = self.leases.len() as u32;
        if have <= aim / 2 {
            aim.saturating_sub(have)
        } else {
            0
        }
    }
}

/// What is reserved, by name.
#[derive(Debug, Default)]
pub(crate) struct Reserves {
    /// As many as [`NAMES`], or none yet.
    places: Vec<Place>,
    /// Whose order begins with which number.
    orders: FxHashMap<u64, usize>,
    /// Leases, of all names.
    held: usize,
    /// Most for one name, as the sidecar says; 0: none.
    most: u32,
}

impl Reserves {
    /// A request comes for this name. Gives it a lease, if there is one, and how
    /// many to order with [`Reserves::order`]. The router has so many `in_flight`.
    pub(crate) fn take(
        &mut self,
        name: &Arc<str>,
        in_flight: usize,
        now: Millis,
    ) -> (Option<Reserved>, u32) {
        if self.most == 0 {
            return (None, 0);
        }
        if self.places.is_empty() {
            self.places.resize_with(NAMES, Place::default);
        }
        let at = place_of(name);
        let place = &mut self.places[at];
        if place.name != *name {
            if !place.name.is_empty() && !place.is_idle(now) {
                return (None, 0);
            }
            *place = Place {
                name: name.clone(),
                leases: std::mem::take(&mut place.leases),
                ..Place::default()
            };
        }
        place.note(now);
        let fresh = place.leases.front().is_some_and(|lease| now < lease.until);
        let taken = if fresh {
            place.leases.pop_front()
        } else {
            None
        };
        self.held -= usize::from(taken.is_some());
        let most = u32::try_from(in_flight).unwrap_or(u32::MAX).min(self.most);
        (taken, place.wanted(now, most))
    }

    /// So many were ordered for this name, which was just asked for.
    pub(crate) fn order(&mut self, name: &Arc<str>, first: u64, count: u32) {
        let at = place_of(name);
        self.places[at].order = Some(Order {
            next: first,
            left: count,
            fruitful: false,
        });
        self.orders.insert(first, at);
    }

    /// A part of an order comes: as many leases, from this number on. Returns
    /// where to put them, with [`Reserves::put`]; `None`: nobody ordered them.
    pub(crate) fn arrive(
        &mut self,
        first: u64,
        count: u32,
        more: bool,
        now: Millis,
    ) -> Option<usize> {
        let at = self.orders.remove(&first)?;
        let place = &mut self.places[at];
        let mut order = place.order.take().filter(|order| count <= order.left)?;
        order.next += u64::from(count);
        order.left -= count;
        order.fruitful |= count > 0;
        if more {
            place.order = Some(order);
            self.orders.insert(order.next, at);
        } else if !order.fruitful {
            place.paused_until = now + PAUSE;
        }
        Some(at)
    }

    pub(crate) fn put(&mut self, at: usize, reserved: Reserved) {
        self.places[at].leases.push_back(reserved);
        self.held += 1;
    }

    /// Takes out the leases that shall not be used: `unwanted` says which.
    pub(crate) fn give_back(
        &mut self,
        mut unwanted: impl FnMut(&Reserved) -> bool,
        mut each: impl FnMut(u64),
    ) {
        for place in &mut self.places {
            place.leases.retain(|reserved| {
                let goes = unwanted(reserved);
                if goes {
                    self.held -= 1;
                    each(reserved.ask);
                }
                !goes
            });
        }
    }

    /// The sidecar says how many leases of a name there may be.
    pub(crate) fn allow(&mut self, most: u32) {
        self.most = most;
    }

    /// There is nothing that will have to be given back.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.held == 0
    }

    /// The link broke: the sidecar takes it all back.
    pub(crate) fn clear(&mut self) {
        self.orders.clear();
        (self.held, self.most) = (0, 0);
        for place in &mut self.places {
            place.leases.clear();
            place.order = None;
            place.paused_until = 0;
        }
    }
}

/// When a lease that comes now has to be given back.
pub(crate) fn until(now: Millis) -> Millis {
    now + KEEP
}

fn place_of(name: &str) -> usize {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    // The upper bits are the good ones.
    (hasher.finish() >> 32) as usize % NAMES
}

#[cfg(test)]
mod tests;
