//! Other sidecars: their sessions here, of what they ask an owner, and what they say
//! that they hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AppKey, AskId, DynoKey, FarAsk, Mesh, Output, Ownership, PeerId, Refusal, SessionKey, Shard,
    Time,
    away::{Held, Leases, ToPeer},
    mesh::TooManySessions,
    owners::Gate,
    queue::Request,
    session::Entry,
    timers::Timer,
};

/// Reports of one peer of epochs that are not known here yet. With more the first is
/// forgotten that is not whole, then the first: one that came later says all of it, and
/// without one the shards that it is about are not opened.
const MOST_EARLY: usize = 256;

/// What is kept for peers that can't be asked.
const MOST_KEPT: usize = 16_384;

impl Mesh {
    /// A peer can be asked from now on. What it has to know first is told, as soon as
    /// it is known here.
    pub fn peer_up(&mut self, peer: PeerId, now: Time) {
        // A new link is a new beginning, whatever became of the one before.
        self.peer_down(peer, now);
        if !self.is_recovering() {
            self.greet(peer, now);
        }
        self.owners.waiting_links.remove(&peer);
        if self.is_recovering() {
            self.owners.waiting_links.insert(peer);
        }
    }

    pub(crate) fn greet_all(&mut self, now: Time) {
        for peer in std::mem::take(&mut self.owners.waiting_links) {
            self.greet(peer, now);
        }
    }

    fn greet(&mut self, peer: PeerId, now: Time) {
        self.owners.links.insert(peer);
        let shards: Vec<_> = self.owners.shards_of(peer).collect();
        let apps = self.owners.apps(shards);
        self.settle_leases(&apps, now);
        let mut held = self.held_for(peer);
        self.note_told(peer, &held.others);
        held.others.extend(self.own_leases(peer));
        self.outputs
            .push_back(Output::ToPeer(peer, ToPeer::Hello(held)));
        let vouched = std::mem::take(&mut self.owners.vouched);
        for (to, of, held) in vouched {
            self.tell_or_keep(to, of, held);
        }
        for app in &apps {
            self.unstall(*app);
        }
        self.settle_requests(&apps, now);
    }

    /// Sends it, if there is a way, and keeps it until there is.
    pub(crate) fn tell_or_keep(&mut self, peer: PeerId, of: PeerId, held: Held) {
        match self.owners.links.contains(&peer) {
            true => {
                let word = ToPeer::Vouch(of, held);
                self.outputs.push_back(Output::ToPeer(peer, word));
            }
            false if self.owners.vouched.len() < MOST_KEPT => {
                self.owners.vouched.push((peer, of, held));
            }
            // Whom it is about has to say so itself.
            false => {}
        }
    }

    /// A peer can't be asked any more: whoever waits there waits here.
    pub fn peer_down(&mut self, peer: PeerId, now: Time) {
        self.owners.waiting_links.remove(&peer);
        if self.owners.links.remove(&peer) {
            let shards: Vec<_> = self.owners.shards_of(peer).collect();
            let apps = self.owners.apps(shards);
            self.settle_requests(&apps, now);
        }
    }

    fn held_for(&mut self, peer: PeerId) -> Held {
        let (mut leases, others) = self.away.leases(peer);
        leases.extend(self.strange_leases(peer));
        Held {
            epoch: self.owners.epoch(),
            whole: true,
            shards: BTreeSet::new(),
            leases,
            others,
        }
    }

    /// Owners have changed: everybody is told what is held of its shards.
    pub(crate) fn report_to_all(&mut self) {
        let links: Vec<_> = self.owners.links.iter().copied().collect();
        for peer in links {
            let others = Vec::new();
            let held = self.held_for(peer);
            let report = ToPeer::Report(Held { others, ..held });
            self.outputs.push_back(Output::ToPeer(peer, report));
        }
    }

    /// What everybody holds of shards that are lost, for whoever gets them: nobody else
    /// gave it out. Some can't say it themselves, or do not read on.
    pub(crate) fn vouch(
        &self,
        lost: &BTreeSet<Shard>,
        next: &Ownership,
    ) -> Vec<(PeerId, PeerId, Held)> {
        let mut by_owner: BTreeMap<PeerId, BTreeSet<Shard>> = BTreeMap::new();
        for shard in lost {
            if let Some(owner) = next.owner(*shard) {
                by_owner.entry(owner).or_default().insert(*shard);
            }
        }
        let mut words = Vec::new();
        for of in &next.peers {
            for (owner, shards) in by_owner.iter().filter(|(owner, _)| *owner != of) {
                let known = shards
                    .iter()
                    .filter(|shard| self.owners.knows(*of, **shard));
                let shards: BTreeSet<_> = known.copied().collect();
                if shards.is_empty() {
                    continue;
                }
                let held = Held {
                    epoch: next.epoch,
                    whole: false,
                    shards,
                    leases: self.given(*of, lost, |shard| next.owner(shard) == Some(*owner)),
                    others: Vec::new(),
                };
                words.push((*owner, *of, held));
            }
        }
        words
    }

    /// What a peer has of some of these shards.
    fn given(&self, peer: PeerId, lost: &BTreeSet<Shard>, of: impl Fn(Shard) -> bool) -> Leases {
        let session = self.sessions.of_peer(peer);
        let Some(session) = session.and_then(|key| self.sessions.get(key)) else {
            return Vec::new();
        };
        let mut leases = Vec::new();
        for (ask, entry) in &session.entries {
            if let Entry::Leased(dyno) = entry {
                let app = self.dynos[dyno.0 as usize].app;
                let shard = self.apps[app.0 as usize].shard;
                if lost.contains(&shard) && of(shard) {
                    leases.push((*ask, self.info(*dyno).instance.clone()));
                }
            }
        }
        // Whose these are is known to who has read further in the log of apps.
        leases.extend(session.strange());
        leases.sort_unstable();
        leases
    }

    /// A peer says hello, with all that it holds. If it had a session, that one is over.
    ///
    /// # Errors
    /// [`TooManySessions`], at the limit.
    pub fn peer_hello(
        &mut self,
        peer: PeerId,
        held: Held,
        now: Time,
    ) -> Result<SessionKey, TooManySessions> {
        let old = self.sessions.of_peer(peer);
        if old.is_none() && self.sessions.len() >= self.limits.sessions {
            return Err(TooManySessions(self.limits.sessions));
        }
        let key = self.sessions.open_peer(peer);
        if held.epoch != self.owners.epoch() {
            // One of them has not read as far as the other, and does not know whose these
            // are. If it is this one, it is not for long.
            self.hold_for(key, &held.others);
        }
        if held.epoch < self.owners.epoch() {
            self.doubt(key, &held.others, now);
            // Of what others spoke of it does not know yet that it is of this sidecar's shards.
            let before = old.map(|old| self.leases_of(old)).unwrap_or_default();
            self.hold_for(key, &before);
            self.doubt(key, &before, now);
        }
        self.reported(key, peer, held, now);
        if let Some(old) = old {
            self.close_session(old, now);
        }
        Ok(key)
    }

    /// Owners have changed, and the peer has these of what is here now.
    pub fn peer_report(&mut self, session: SessionKey, held: Held, now: Time) {
        if let Some(peer) = self.sessions.get(session).and_then(|it| it.peer) {
            self.reported(session, peer, held, now);
        }
    }

    /// The owner before this one says what it gave to `of`, which can't say it itself.
    ///
    /// # Errors
    /// [`TooManySessions`], at the limit.
    pub fn peer_vouch(&mut self, of: PeerId, held: Held, now: Time) -> Result<(), TooManySessions> {
        let session = match self.sessions.of_peer(of) {
            Some(session) => {
                // Others have given it something since it was lost.
                self.keep_lost(session, now + self.limits.longest_request);
                session
            }
            None if self.sessions.len() >= self.limits.sessions => {
                return Err(TooManySessions(self.limits.sessions));
            }
            None => {
                let session = self.sessions.open_peer(of);
                self.lose_session(session, now);
                session
            }
        };
        self.reported(session, of, held, now);
        Ok(())
    }

    fn leases_of(&self, session: SessionKey) -> Leases {
        let Some(session) = self.sessions.get(session) else {
            return Vec::new();
        };
        let entries = session.entries.iter();
        let leased = entries.filter_map(|(ask, entry)| match entry {
            Entry::Leased(dyno) => Some((*ask, self.info(*dyno).instance.clone())),
            _ => None,
        });
        let mut leases: Leases = leased.chain(session.strange()).collect();
        leases.sort_unstable();
        leases
    }

    fn is_live(&self, session: SessionKey) -> bool {
        let session = self.sessions.get(session);
        session.is_some_and(|session| session.lost_until.is_none())
    }

    /// What is said of a later epoch than is known here counts when that is known: so far
    /// it is not said of what this sidecar still has to know.
    fn reported(&mut self, session: SessionKey, peer: PeerId, held: Held, now: Time) {
        if held.whole
            && let Some(session) = self.sessions.get_mut(session)
        {
            // It begins anew: what it said of later epochs before is out of date.
            session
                .early
                .retain(|it| !it.whole || it.epoch <= held.epoch);
        }
        if held.epoch <= self.owners.epoch() {
            return self.take_report(session, peer, &held, now);
        }
        if !held.is_vouched() {
            self.hold_for(session, &held.leases);
        }
        if let Some(session) = self.sessions.get_mut(session) {
            if session.early.len() >= MOST_EARLY {
                let of_few = session.early.iter().position(|it| !it.whole);
                session.early.remove(of_few.unwrap_or(0));
            }
            let others = Vec::new();
            session.early.push(Held { others, ..held });
        }
    }

    /// Their epochs may be those of another log.
    pub(crate) fn forget_early_reports(&mut self) {
        let sessions: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in sessions {
            if let Some(session) = self.sessions.get_mut(key) {
                session.early.clear();
            }
        }
    }

    pub(crate) fn take_early_reports(&mut self, now: Time) {
        let epoch = self.owners.epoch();
        let sessions: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in sessions {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let Some(peer) = session.peer else { continue };
            let (known, early) = session.early.drain(..).partition(|it| it.epoch <= epoch);
            session.early = early;
            let known: Vec<Held> = known;
            for held in known {
                self.take_report(key, peer, &held, now);
            }
        }
    }

    fn take_report(&mut self, session: SessionKey, peer: PeerId, held: &Held, now: Time) {
        let vouched = held.is_vouched() && self.is_live(session);
        if vouched && !self.is_missing(peer, held) {
            // It has said so itself since.
            return;
        }
        self.hold_for(session, &held.leases);
        if vouched || held.epoch < self.owners.epoch() {
            // It may have told another owner since that one of these has ended.
            self.doubt(session, &held.leases, now);
        }
        if held.whole && held.epoch >= self.owners.epoch() {
            self.end_doubts(session, &held.leases, now);
        }
        self.accounted(peer, held, now);
    }

    /// These may be over already: the peer says so, or long enough has passed.
    fn doubt(&mut self, session: SessionKey, leases: &[(AskId, Box<str>)], now: Time) {
        let until = now + self.limits.longest_request;
        let Some(holder) = self.sessions.get_mut(session) else {
            return;
        };
        holder.doubtful.extend(leases.iter().map(|(ask, _)| *ask));
        if !holder.doubtful.is_empty() {
            let before = holder.doubt_until.replace(until);
            let timer = Timer::Doubts(session);
            self.timers.replace(before, Some(until), timer);
        }
    }

    /// What the peer said before it had read as far as this sidecar, and says no more, is
    /// over. `still`: what it says.
    pub(crate) fn end_doubts(
        &mut self,
        session: SessionKey,
        still: &[(AskId, Box<str>)],
        now: Time,
    ) {
        let Some(holder) = self.sessions.get_mut(session) else {
            return;
        };
        if let Some(until) = holder.doubt_until.take() {
            self.timers.unset(until, Timer::Doubts(session));
        }
        let mut doubtful = std::mem::take(&mut holder.doubtful);
        for (ask, _) in still {
            doubtful.remove(ask);
        }
        for ask in doubtful {
            self.forget_strange(session, ask);
            if let Some(entry) = self.take_entry(session, ask) {
                self.release(entry, now);
            }
        }
    }

    pub(crate) fn hold_for(&mut self, session: SessionKey, leases: &[(AskId, Box<str>)]) {
        for (ask, instance) in leases {
            let Some(holder) = self.sessions.get(session) else {
                return;
            };
            let full = holder.entries.len() >= self.limits.asks_per_peer;
            let has = holder.entries.contains_key(ask);
            if full || has {
                continue;
            }
            let dyno = self.instances.get(instance).copied();
            let is_to_know = dyno.is_none_or(|dyno| self.is_to_know(dyno));
            let Some(holder) = self.sessions.get_mut(session) else {
                return;
            };
            match dyno {
                Some(dyno) if is_to_know => {
                    holder.entries.insert(*ask, Entry::Leased(dyno));
                    self.take(dyno);
                }
                Some(_) => {}
                None => _ = self.hold_strange(session, *ask, instance.clone()),
            }
        }
    }

    /// It is for this sidecar to know who has this dyno, or will be as soon as the app is
    /// exact here as well.
    fn is_to_know(&self, dyno: DynoKey) -> bool {
        let app = self.dynos[dyno.0 as usize].app;
        self.owners.is_mine(self.apps[app.0 as usize].shard)
    }

    /// A peer asks, since this sidecar owns the app's shard, or will as soon as it has
    /// read as far in the log. Says whether it was taken.
    pub fn peer_ask(&mut self, session: SessionKey, ask: FarAsk, now: Time) -> bool {
        let Some(asking) = self.sessions.get_mut(session) else {
            return false;
        };
        if asking.lost_until.is_some() || asking.entries.contains_key(&ask.id) {
            return false;
        }
        let full = asking.entries.len() >= self.limits.asks_per_peer;
        let arrived = match ask.held || !ask.tried.is_empty() {
            true => now.before(ask.waited),
            false => asking.arrival(now.before(ask.waited)),
        };
        let Some(app) = self.by_name.get(&*ask.app).copied() else {
            self.refuse_unknown(session, ask.id, now.since(arrived));
            return true;
        };
        let request = Request {
            session,
            ask: ask.id,
            app,
            arrived,
            served: ask.served,
            held: ask.held,
            tried: ask.tried,
            prefer: ask.prefer,
            client: ask.client,
            passes_on: false,
        };
        match full || self.waiters.len() >= self.limits.waiting {
            true => self.refuse(&request, Refusal::Overloaded, now),
            false => self.check_out(request, now),
        }
        true
    }

    /// A peer is known to be gone, with everything that it held. (Or it is this sidecar
    /// that does not know of it any more.)
    pub(crate) fn peer_gone(&mut self, peer: PeerId, now: Time) {
        if let Some(session) = self.sessions.of_peer(peer)
            && !self.is_live(session)
        {
            self.close_session(session, now);
        }
        let epochs: Vec<_> = self.owners.openings.keys().copied().collect();
        for epoch in epochs {
            if let Some(opening) = self.owners.openings.get_mut(&epoch) {
                opening.missing.remove(&peer);
            }
            self.end_opening_if_complete(epoch);
        }
    }

    /// Asked by a worker of this sidecar, an app may be another one's.
    pub(crate) fn elsewhere(&self, request: &Request, now: Time) -> Option<PeerId> {
        match self.gate(request.app, now) {
            Gate::Away(owner) if !self.is_recovering() => Some(owner),
            _ => None,
        }
    }

    /// After a change of an app: who decides for it may be another one.
    pub(crate) fn review_owner(&mut self, key: AppKey, was_exact: bool, now: Time) {
        let app = &self.apps[key.0 as usize];
        let place = (app.shard, key);
        let (exact, dynos) = (app.terms().exact.is_some(), app.dynos.clone());
        match exact {
            true => _ = self.owners.exact.insert(place),
            false => _ = self.owners.exact.remove(&place),
        }
        if was_exact != exact {
            self.unstall(key);
            for dyno in dynos {
                self.unpool(dyno);
                let instance = self.info(dyno).instance.clone();
                let elsewhere = self.seen_elsewhere(key, &instance);
                self.dynos[dyno.0 as usize].elsewhere = elsewhere;
                self.repool(dyno);
            }
            let one = BTreeSet::from([key]);
            self.settle_leases(&one, now);
            self.report_to_all();
            self.settle_requests(&one, now);
        }
    }

    /// Others' requests at this dyno, as far as they matter: where one decides for all,
    /// they are known.
    pub(crate) fn seen_elsewhere(&self, app: AppKey, instance: &str) -> u32 {
        match self.apps[app.0 as usize].terms().exact {
            Some(_) => 0,
            None => self.foreign.at(instance),
        }
    }
}
