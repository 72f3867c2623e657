//! The leases that there are, those that requests have and those that are at hand for the
//! next ones, each in a place of its own.
//!
//! With many connections, what a request costs here is memory that is in no cache any more.
//! So a lease is one line of it, and stays where it is when it is passed on; the one that
//! was used last is used next. Who has a ticket finds it without a table.

use std::sync::Arc;

use dynomesh_proto::v1::{Checkin, Outcome, router_message::Kind};
use slab::Slab;

use crate::{
    answer::{Dyno, Lease},
    reserve::Reserved,
};

/// What a request shows that has a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its number: that of its ask, if it had to ask.
    ask: u64,
    /// Where the lease is. Another one may be there by now.
    at: usize,
}

impl Ticket {
    pub(super) fn at(self) -> usize {
        self.at
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Leases(Slab<Entry>);

#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    /// The number of the request that has it; zero: none has.
    ask: u64,
    held: Held,
}

/// A lease, and whether the next request may have it.
#[derive(Debug)]
pub(super) enum Held {
    /// It ends with the request.
    Kept(Leased),
    /// It was reserved, or asked for by one of many, and the sidecar was not told that a
    /// request keeps it.
    Passable(Reserved),
}

impl Held {
    /// What the sidecar calls it, and how many requests had it before, of which it does not
    /// know.
    pub(super) fn known(&self) -> (u64, u32) {
        match self {
            Self::Kept(leased) => (leased.known, leased.before),
            Self::Passable(reserved) => (reserved.ask, reserved.before),
        }
    }

    pub(super) fn dyno(&self) -> &Dyno {
        match self {
            Self::Kept(leased) => &leased.dyno,
            Self::Passable(reserved) => &reserved.lease.dyno,
        }
    }

    /// The next request does not have it. Returns what the sidecar calls it, if that
    /// was possible.
    pub(super) fn keep(&mut self) -> Option<u64> {
        let Self::Passable(reserved) = self else {
            return None;
        };
        let leased = Leased::of(reserved.ask, &reserved.lease, reserved.before);
        let known = leased.known;
        *self = Self::Kept(leased);
        Some(known)
    }
}

impl Leases {
    /// A request gets this one.
    pub(super) fn give(&mut self, ask: u64, held: Held) -> Ticket {
        let at = self.0.insert(Entry { ask, held });
        Ticket { ask, at }
    }

    /// No request has this one yet. Returns its place.
    pub(super) fn put(&mut self, reserved: Reserved) -> usize {
        let held = Held::Passable(reserved);
        self.0.insert(Entry { ask: 0, held })
    }

    /// The one at a place, which no request has.
    pub(super) fn at_hand(&self, at: usize) -> Option<&Reserved> {
        match self.0.get(at) {
            Some(Entry { ask: 0, held }) => match held {
                Held::Passable(reserved) => Some(reserved),
                Held::Kept(_) => None,
            },
            _ => None,
        }
    }

    /// A request gets that one.
    pub(super) fn hand_out(&mut self, at: usize, ask: u64) -> Ticket {
        if let Some(entry) = self.0.get_mut(at) {
            entry.ask = ask;
        }
        Ticket { ask, at }
    }

    /// Takes out the one at a place, which no request has.
    pub(super) fn take_back(&mut self, at: usize) -> Option<Reserved> {
        self.at_hand(at)?;
        match self.0.try_remove(at)?.held {
            Held::Passable(reserved) => Some(reserved),
            Held::Kept(_) => None,
        }
    }

    /// The lease of a request, as long as it has it.
    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Held> {
        let entry = self.0.get_mut(ticket.at)?;
        (entry.ask == ticket.ask).then_some(&mut entry.held)
    }

    /// The ticket of a request that was not given it. Looks at all of them.
    pub(super) fn find(&self, ask: u64) -> Option<Ticket> {
        let mut all = self.0.iter();
        let (at, _) = all.find(|(_, entry)| entry.ask == ask)?;
        Some(Ticket { ask, at })
    }

    /// The request is done with it, and the next one may have it.
    pub(super) fn hand_in(&mut self, ticket: Ticket) {
        if let Some(entry) = self.0.get_mut(ticket.at)
            && entry.ask == ticket.ask
        {
            entry.ask = 0;
        }
    }

    /// A request is done with it, and another one has it, which the sidecar will call it by.
    pub(super) fn hand_on(&mut self, ticket: Ticket, ask: u64) -> Option<Ticket> {
        let Held::Kept(leased) = self.get_mut(ticket)? else {
            return None;
        };
        (leased.known, leased.before) = (ask, 0);
        Some(self.hand_out(ticket.at, ask))
    }

    /// The lease of a request is to end.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Held> {
        self.get_mut(ticket)?;
        self.0.try_remove(ticket.at).map(|entry| entry.held)
    }

    /// Those that requests have.
    pub(super) fn with_requests(&self) -> impl Iterator<Item = &Held> {
        let entries = self.0.iter().filter(|(_, entry)| entry.ask != 0);
        entries.map(|(_, entry)| &entry.held)
    }

    /// Only those stay that requests have, and these end with them.
    pub(super) fn keep_with_requests(&mut self) {
        self.0.retain(|_, entry| entry.ask != 0);
        for (_, entry) in &mut self.0 {
            entry.held.keep();
            // There may be changes meanwhile.
            if let Held::Kept(leased) = &mut entry.held {
                leased.edition = 0;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A lease that ends with its request.
#[derive(Debug)]
pub(super) struct Leased {
    /// What the sidecar calls it: the number of the ask, or of the first one that had it.
    known: u64,
    pub(super) dyno: Arc<Dyno>,
    pub(super) haste: Haste,
    /// Requests that had it before, of which the sidecar does not know.
    before: u32,
    /// Who is next in this edition of its app may have it (`next.rs`); 0: nobody.
    pub(super) edition: u32,
}

impl Leased {
    pub(super) fn of(known: u64, lease: &Lease, before: u32) -> Self {
        Self {
            known,
            dyno: lease.dyno.clone(),
            haste: match lease.limited || lease.counted {
                true => Haste::Pressing,
                false => Haste::Idle,
            },
            before,
            edition: 0,
        }
    }

    /// What could be passed on ends. Whoever waits for its dyno would have had it recalled.
    pub(super) fn unhurried(reserved: &Reserved) -> Self {
        Self {
            haste: Haste::Idle,
            ..Self::of(reserved.ask, &reserved.lease, reserved.before)
        }
    }

    pub(super) fn checkin(&self, outcome: Outcome) -> Kind {
        Kind::Checkin(Checkin {
            ask: self.known,
            outcome: outcome.into(),
            before: self.before,
            next: 0,
        })
    }
}

/// Whether somebody may wait for the end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// The dyno or its app has a limit.
    Pressing,
    /// Neither has one.
    Idle,
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use dynomesh_proto::v1::DynoInfo;

    use super::*;

    #[test]
    fn each_is_one_line() {
        let mut leases = Leases::default();
        let [first, second] = [1, 2].map(|ask| {
            let lease = Lease {
                dyno: Dyno::from(DynoInfo::default()).into(),
                limited: false,
                others: 0,
                counted: false,
                gone: false,
            };
            leases.give(ask, Held::Kept(Leased::of(ask, &lease, 0)))
        });
        let line = |ticket: Ticket| ptr::from_ref(&leases.0[ticket.at]).addr();
        assert_eq!(line(second) - line(first), 64);
        assert_eq!(line(first) % 64, 0);
    }
}
