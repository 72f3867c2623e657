//! Leases ahead: what this router has reserved for the names that it is asked for
//! most, so that their requests need not wait for an answer.
//!
//! It reserves when a request finds none, never more than what a few milliseconds need or
//! than it has requests with dynos, and gives back what has not been used soon: a lease that
//! lies about is load that is none, and hides which dyno has the least. One whose
//! request is done is passed on to the next one without a word, for as long as the
//! sidecar allows, and is replaced then: the dyno that has just finished is the one with the
//! least to do, and what leads there is still in the processor's caches.

use std::{iter, sync::Arc};

use rustc_hash::FxHashMap;

use crate::{answer::Lease, names, session::Millis};

mod place;

use place::{Order, Place};

/// Names that can have something reserved. Two that fall on one place share it:
/// the other one has to be idle.
const NAMES: usize = 256;
/// Requests in a millisecond from which a name is worth it.
const BUSY: u32 = 3;
/// Leases that are ordered at once for a name that had none.
const FIRST: u32 = 16;
/// Milliseconds that are provided for.
const AHEAD: u32 = 3;
/// Milliseconds after which a lease that no request took is given back.
const KEEP: Millis = 25;
/// The same of one that is passed on. It lies about until its client comes again, or
/// another one: with hundreds of connections on a busy machine that takes several turns of
/// a loop, of some milliseconds each. Whoever needs the dyno sooner has the lease recalled.
const KEEP_PASSED: Millis = 50;
/// The times for which leases may be passed on begin in steps of so many milliseconds:
/// to tell the sidecar of many that end at once costs hardly more than of one.
const STEP: Millis = 25;
/// Milliseconds before a name that got nothing is tried again.
const PAUSE: Millis = 100;
/// Milliseconds after an order, or after an ask, in which what comes may lie about. A router
/// that hung meanwhile does not know what has changed: the sidecar waits a second for it and
/// no longer.
pub(crate) const LATE: Millis = 500;

/// A lease that no request has now, or one that may pass it on. Where it is kept, its
/// places have numbers, and those of leases at hand are all that is kept here.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// What the sidecar calls it.
    pub(crate) ask: u64,
    pub(crate) lease: Lease,
    /// As they were when it was reserved.
    pub(crate) dynos_in_use: u32,
    pub(crate) queue_headers: bool,
    /// Requests that had it, and are done.
    pub(crate) before: u32,
    /// The sidecar knows that requests have it.
    pub(crate) known: bool,
    /// Until when it may be passed on.
    again: Millis,
    /// Whose it is.
    owner: Owner,
}

/// A name that has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    at: u16,
    /// The name's turn there.
    turn: u32,
}

impl Owner {
    fn new(at: usize, place: &Place) -> Self {
        Self {
            at: at as u16,
            turn: place.turn,
        }
    }
}

impl Reserved {
    /// A lease that comes now, as the answer to an order or an ask of this owner, and may
    /// be passed on for so long.
    pub(crate) fn new(ask: u64, lease: Lease, owner: Owner, again: Millis, now: Millis) -> Self {
        Self {
            ask,
            lease,
            owner,
            dynos_in_use: 0,
            queue_headers: false,
            before: 0,
            known: false,
            again: now / STEP * STEP + again,
        }
    }

    /// It came just now, and may not be passed on.
    pub(crate) fn serves_once(&self, now: Millis) -> bool {
        self.again <= now
    }
}

/// What is reserved, by name.
#[derive(Debug, Default)]
pub(crate) struct Reserves {
    /// As many as [`NAMES`], or none yet.
    places: Vec<Place>,
    /// Whose order begins with which number.
    orders: FxHashMap<u64, usize>,
    /// Leases, of all names, and at which places.
    held: usize,
    filled: Filled,
    /// Most for one name, as the sidecar says; 0: none.
    most: u32,
}

impl Reserves {
    /// A request comes for this name. Gives it the place of a lease, if there is one, and how
    /// many to order with [`Reserves::order`]. The router has so many `in_flight`.
    pub(crate) fn take(
        &mut self,
        name: &Arc<str>,
        in_flight: usize,
        now: Millis,
    ) -> (Option<usize>, u32) {
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
            place.become_of(name);
        }
        place.note(now);
        let taken = place.stock.take(now);
        self.held -= usize::from(taken.is_some());
        if place.stock.is_empty() {
            self.filled.remove(at);
        }
        let most = u32::try_from(in_flight).unwrap_or(u32::MAX).min(self.most);
        let wanted = place.wanted(taken.is_some(), now, most);
        (taken, wanted)
    }

    /// Whose the lease of a request is that asks, since there was none: the next one may
    /// have it, where many come.
    pub(crate) fn owner(&self, name: &Arc<str>, now: Millis) -> Option<Owner> {
        let at = place_of(name);
        let place = self.places.get(at)?;
        let passes = self.most > 0 && place.name == *name && place.is_busy(now);
        passes.then(|| Owner::new(at, place))
    }

    /// So many were ordered for this name, which was just asked for.
    pub(crate) fn order(&mut self, name: &Arc<str>, first: u64, count: u32, now: Millis) {
        let at = place_of(name);
        self.places[at].order = Some(Order {
            made: now,
            next: first,
            left: count,
            fruitful: false,
        });
        self.orders.insert(first, at);
    }

    /// A part of an order comes: as many leases, from this number on. Returns
    /// whose they are; `None`: nobody ordered them, or too long ago.
    pub(crate) fn arrive(
        &mut self,
        first: u64,
        count: u32,
        more: bool,
        now: Millis,
    ) -> Option<Owner> {
        let at = self.orders.remove(&first)?;
        let place = &mut self.places[at];
        let mut order = place.order.take()?;
        if count > order.left || now > order.made + LATE {
            return None;
        }
        order.next += u64::from(count);
        order.left -= count;
        order.fruitful |= count > 0;
        if more {
            place.order = Some(order);
            self.orders.insert(order.next, at);
        } else if !order.fruitful {
            place.paused_until = now + PAUSE;
        }
        Some(Owner::new(at, place))
    }

    /// A lease came for this owner, and is at that place. `once`: it serves one request.
    pub(crate) fn put(&mut self, owner: Owner, lease: usize, once: bool, now: Millis) {
        let at = usize::from(owner.at);
        let place = &mut self.places[at];
        place.once = once;
        place.stock.put_new(lease, now + KEEP);
        self.holds(at);
    }

    fn holds(&mut self, at: usize) {
        self.held += 1;
        self.filled.insert(at);
    }

    /// A request is done with this lease, which is at that place. Says whether the next one
    /// may have it: not where it is not needed, or has served for long enough.
    pub(crate) fn pass_on(&mut self, reserved: &mut Reserved, lease: usize, now: Millis) -> bool {
        let Owner { at, turn } = reserved.owner;
        let at = usize::from(at);
        let fits = |place: &&mut Place| place.turn == turn && place.aim > 0;
        let Some(place) = self.places.get_mut(at).filter(fits) else {
            return false;
        };
        if now >= reserved.again {
            place.ended += 1;
            return false;
        }
        (reserved.before, reserved.known) = (reserved.before + 1, true);
        place.stock.put_used(lease, now + KEEP_PASSED);
        self.holds(at);
        true
    }

    /// Takes out a lease that has been lying about for too long.
    pub(crate) fn poll_expired(&mut self, now: Millis) -> Option<usize> {
        let places = &mut self.places;
        let expired = self.filled.iter().find_map(|at| {
            let late = places[at].stock.poll_late(now);
            late.map(|late| (at, late))
        });
        let (at, late) = expired?;
        let place = &mut places[at];
        if late.is_new {
            place.step = place.step.saturating_sub(1).max(1);
        }
        self.held -= 1;
        if place.stock.is_empty() {
            self.filled.remove(at);
        }
        Some(late.lease)
    }

    /// Takes out the leases that shall not be used: `stays` says of which that is not so.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(usize) -> bool) {
        for at in self.filled.iter() {
            let stock = &mut self.places[at].stock;
            let before = stock.len();
            stock.retain(&mut stays);
            self.held -= before - stock.len();
        }
        let places = &self.places;
        self.filled.retain(|at| !places[at].stock.is_empty());
    }

    /// The sidecar says how many leases of a name there may be.
    pub(crate) fn allow(&mut self, most: u32) {
        self.most = most;
    }

    /// There is nothing that will have to be given back.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.held == 0
    }

    /// How many leases are at hand.
    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// The link broke: the sidecar takes it all back.
    pub(crate) fn clear(&mut self) {
        self.orders.clear();
        (self.held, self.most) = (0, 0);
        self.filled = Filled::default();
        for place in &mut self.places {
            place.stock.clear();
            place.turn = place.turn.wrapping_add(1);
            place.order = None;
            place.paused_until = 0;
        }
    }
}

/// Some of the places.
#[derive(Debug, Default)]
struct Filled([u64; NAMES / 64]);

impl Filled {
    fn insert(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn remove(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for at in self.iter() {
            if !keep(at) {
                self.remove(at);
            }
        }
    }

    /// Those that are in it now.
    fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let words = self.0.into_iter().enumerate();
        words.flat_map(|(at, mut word)| {
            iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                word &= word.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }
}

fn place_of(name: &str) -> usize {
    names::place_of(name) % NAMES
}

#[cfg(test)]
mod tests;
