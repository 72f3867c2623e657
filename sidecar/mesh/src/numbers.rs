//! What other sidecars call a lease of a worker here, and which of them may know of it.
//!
//! A lease has one number for all of its life, whoever owns its app meanwhile: sidecars
//! do not read the log of owners at one pace, so one that has read further may have given
//! it out while this one took the app for its own, and a lease that came back under
//! another number would be two. And whoever may know of it is told of its end: it may
//! believe that it is for it to know, and hears of it in no other way.

use crate::{
    AskId, DynoKey, Mesh, PeerId, SessionKey,
    away::{Leases, ToPeer},
    session::Entry,
};

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) id: AskId,
    /// Beside its owner.
    pub(crate) told: Vec<PeerId>,
}

impl Number {
    pub(crate) fn note(&mut self, peer: PeerId) {
        if !self.told.contains(&peer) {
            self.told.push(peer);
        }
    }
}

impl Mesh {
    pub(crate) fn next_number(&mut self) -> Number {
        self.away.last += 1;
        Number {
            id: AskId(self.away.last),
            told: Vec::new(),
        }
    }

    /// The number of a lease that is this sidecar's own, if others may know of it. It is
    /// the caller's from now on.
    pub(crate) fn take_number(&mut self, session: SessionKey, ask: AskId) -> Option<Number> {
        self.sessions.get_mut(session)?.numbers.remove(&ask)
    }

    pub(crate) fn keep_number(&mut self, session: SessionKey, ask: AskId, number: Number) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.numbers.insert(ask, number);
        }
    }

    /// The worker comes again, with this lease.
    pub(crate) fn move_number(&mut self, old: SessionKey, new: SessionKey, ask: AskId) {
        if let Some(number) = self.take_number(old, ask) {
            self.keep_number(new, ask, number);
        }
    }

    /// This peer is told of the lease, under this number.
    pub(crate) fn number_for(&mut self, session: SessionKey, ask: AskId, peer: PeerId) -> AskId {
        let number = self.take_number(session, ask);
        let mut number = number.unwrap_or_else(|| self.next_number());
        number.note(peer);
        let id = number.id;
        self.keep_number(session, ask, number);
        id
    }

    /// This peer is told of these, which are others'.
    pub(crate) fn note_told(&mut self, peer: PeerId, leases: &[(AskId, Box<str>)]) {
        for (id, _) in leases {
            if let Some(away) = self.away.requests.get_mut(id) {
                away.number.note(peer);
            }
        }
    }

    /// A lease has ended, of which these may know.
    pub(crate) fn tell_of_end(&mut self, number: &Number) {
        for peer in &number.told {
            self.tell(Some(*peer), ToPeer::Cancel(number.id));
        }
    }

    /// Leases of workers here, of apps that this sidecar owns and a peer may still think
    /// of as its own.
    pub(crate) fn own_leases(&mut self, peer: PeerId) -> Leases {
        let is_exact = |dyno: &DynoKey| {
            let app = self.dynos[dyno.0 as usize].app;
            self.apps[app.0 as usize].terms().exact.is_some()
        };
        let of_workers = self.sessions.iter().filter(|(_, it)| it.peer.is_none());
        let entries = of_workers.flat_map(|(key, session)| {
            let entries = session.entries.iter();
            entries.map(move |(ask, entry)| (key, *ask, entry))
        });
        let leases = entries.filter_map(|(session, ask, entry)| match entry {
            Entry::Leased(dyno) if is_exact(dyno) => {
                let instance = self.info(*dyno).instance.clone();
                Some((session, ask, instance))
            }
            _ => None,
        });
        self.numbered(leases.collect(), peer)
    }

    /// The peer is told of these leases of workers.
    pub(crate) fn numbered(
        &mut self,
        mut leases: Vec<(SessionKey, AskId, Box<str>)>,
        peer: PeerId,
    ) -> Leases {
        leases.sort_unstable();
        let leases = leases.into_iter();
        leases
            .map(|(session, ask, instance)| (self.number_for(session, ask, peer), instance))
            .collect()
    }
}
