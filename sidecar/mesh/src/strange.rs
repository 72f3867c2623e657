//! Leases of dynos that are not known here yet: whoever gave them out has read further in
//! the log of apps. Nothing is known of them but their instances, so they are load from
//! the moment on that their dynos are.

use crate::{AskId, DynoKey, Mesh, PeerId, SessionKey, away::Leases, session::Session};

impl Session {
    pub(crate) fn strange(&self) -> impl Iterator<Item = (AskId, Box<str>)> {
        let strange = self.strange.iter();
        strange.map(|(ask, instance)| (*ask, instance.clone()))
    }
}

impl Mesh {
    /// With more of them than a session may have at all, the rest is forgotten. Says
    /// whether it is held from now on.
    pub(crate) fn hold_strange(
        &mut self,
        session: SessionKey,
        ask: AskId,
        instance: Box<str>,
    ) -> bool {
        let Some(holder) = self.sessions.get_mut(session) else {
            return false;
        };
        let limit = match holder.peer {
            Some(_) => self.limits.asks_per_peer,
            None => self.limits.asks_per_session,
        };
        let is_new = !holder.entries.contains_key(&ask) && !holder.strange.contains_key(&ask);
        let fits = is_new && holder.strange.len() < limit;
        if fits {
            holder.strange.insert(ask, instance);
            self.strangers += 1;
        }
        fits
    }

    /// A worker has come with some, and whoever gave them out may not know that they are
    /// here.
    pub(crate) fn tell_of_strange(&mut self, session: SessionKey) {
        if self.strangers == 0 {
            return;
        }
        for peer in self.owners.links.clone() {
            let Some(holder) = self.sessions.get(session) else {
                return;
            };
            let is_told = |ask: &AskId| {
                let number = holder.numbers.get(ask);
                number.is_some_and(|number| number.told.contains(&peer))
            };
            let new = holder.strange().filter(|(ask, _)| !is_told(ask));
            let new: Vec<_> = new
                .map(|(ask, instance)| (session, ask, instance))
                .collect();
            if !new.is_empty() {
                let leases = self.numbered(new, peer);
                self.tell_more(peer, leases);
            }
        }
    }

    pub(crate) fn forget_strange(&mut self, session: SessionKey, ask: AskId) {
        if self.strangers > 0
            && let Some(session) = self.sessions.get_mut(session)
            && session.strange.remove(&ask).is_some()
        {
            self.strangers -= 1;
        }
    }

    /// A dyno is new here, of which somebody may have a lease.
    pub(crate) fn claim(&mut self, dyno: DynoKey) {
        if self.strangers == 0 {
            return;
        }
        let instance = self.info(dyno).instance.clone();
        let sessions: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in sessions {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let is_of = |_: &AskId, of: &mut Box<str>| *of == instance;
            let known: Leases = session.strange.extract_if(.., is_of).collect();
            let peer = session.peer;
            self.strangers -= known.len();
            match peer {
                Some(_) => self.hold_for(key, &known),
                None => {
                    for (ask, _) in known {
                        self.hold(key, ask, dyno);
                    }
                }
            }
        }
    }

    /// Those of workers here. Perhaps the peer knows the dynos, and they are its own.
    pub(crate) fn strange_leases(&mut self, peer: PeerId) -> Leases {
        if self.strangers == 0 {
            return Vec::new();
        }
        let of_workers = self.sessions.iter().filter(|(_, it)| it.peer.is_none());
        let leases = of_workers.flat_map(|(key, session)| {
            let strange = session.strange();
            strange.map(move |(ask, instance)| (key, ask, instance))
        });
        self.numbered(leases.collect(), peer)
    }
}
