//! Who decides for an app, where several sidecars share one queue.
//!
//! Apps are in [`Shard`]s, and each shard has one *owner*. Who that is, and for how
//! long it may grant, is found outside, by an ordered log of all sidecars; here it is
//! taken as it is told. Only apps with [`Settings::exact`](crate::Settings::exact)
//! care: for these a sidecar that does not own their shard asks the owner (`away.rs`),
//! and the owner takes it as one more session (`peers.rs`).
//!
//! An owner grants while its *term* lasts, and not before it knows of everybody who may
//! hold leases of a shard that it got what these are: they say so, or the owner of before
//! *vouches* for them, which gave these out and knows of all that it had before. When
//! nobody can decide, requests wait for a while, and then get what their app wants: a
//! refusal, or a dyno by what is known here.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

use crate::{
    AppKey, Mesh, Refusal, SHARDS, Shard, Time, away::Held, queue::Request, settings::Exact, shard,
    timers::Timer,
};

/// Another sidecar: the same after it restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl PeerId {
    /// The one of this name.
    pub fn of(name: &str) -> Self {
        Self(shard::mix(shard::hash(name)))
    }
}

/// Who owns what, since one place in the log of all sidecars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// That place: a later one is a newer truth.
    pub epoch: u64,
    /// This sidecar.
    pub me: PeerId,
    /// Everybody else who may hold leases: also who is no member any more and has not
    /// come back since.
    pub peers: BTreeSet<PeerId>,
    /// By shard.
    pub owners: Vec<Option<PeerId>>,
}

impl Ownership {
    /// Nobody is known to own anything.
    pub fn unknown(me: PeerId) -> Self {
        Self {
            epoch: 0,
            me,
            peers: BTreeSet::new(),
            owners: vec![None; SHARDS],
        }
    }

    pub(crate) fn owner(&self, shard: Shard) -> Option<PeerId> {
        self.owners.get(shard.index()).copied().flatten()
    }
}

/// For how long this sidecar may grant what is its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Until then.
    pub until: Time,
    /// And not before this, of these shards: somebody else may still grant.
    pub blocked: BTreeMap<Shard, Time>,
}

/// Shards that came to this sidecar with one epoch, and are not opened yet.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) shards: BTreeSet<Shard>,
    /// Who has not said what it holds of these.
    pub(crate) missing: BTreeSet<PeerId>,
    /// Of which of these it is known all the same, from who had them before.
    pub(crate) vouched: BTreeMap<PeerId, BTreeSet<Shard>>,
    /// By then whatever they hold is over.
    pub(crate) until: Time,
}

impl Opening {
    /// Of whom is nothing missing any more?
    fn is_complete(&self) -> bool {
        let all = |shards: &BTreeSet<Shard>| self.shards.is_subset(shards);
        let is_known = |peer: &PeerId| self.vouched.get(peer).is_some_and(all);
        self.shards.is_empty() || self.missing.iter().all(is_known)
    }
}

/// An app that nobody can decide for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    /// Whoever waits for that has waited long enough by then.
    pub(crate) until: Time,
    /// That is past.
    pub(crate) over: bool,
}

/// Whose word counts for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// This sidecar's.
    Open,
    /// That of another one, which can be asked.
    Away(PeerId),
    /// Nobody's, at this moment.
    Closed,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// `None`: this sidecar is the only one.
    pub(crate) known: Option<Ownership>,
    pub(crate) term: Term,
    /// When the next shard of the term is not blocked any more.
    pub(crate) look: Option<Time>,
    /// By epoch.
    pub(crate) openings: BTreeMap<u64, Opening>,
    /// Peers that can be asked.
    pub(crate) links: BTreeSet<PeerId>,
    /// Peers that could be asked if it were known what is held here.
    pub(crate) waiting_links: BTreeSet<PeerId>,
    /// What has to be told to peers (the first ones) that can't be asked, of others.
    pub(crate) vouched: Vec<(PeerId, PeerId, Held)>,
    /// Peers that came when these shards were open already, with that epoch, and have not
    /// said since what they hold: nobody knows whether they were there before.
    pub(crate) unheard: BTreeMap<PeerId, (u64, BTreeSet<Shard>)>,
    pub(crate) stalls: BTreeMap<AppKey, Stall>,
    /// Apps that care.
    pub(crate) exact: BTreeSet<(Shard, AppKey)>,
}

impl Owners {
    pub(crate) fn epoch(&self) -> u64 {
        self.known.as_ref().map_or(0, |known| known.epoch)
    }

    pub(crate) fn owner(&self, shard: Shard) -> Option<PeerId> {
        self.known.as_ref()?.owner(shard)
    }

    pub(crate) fn is_mine(&self, shard: Shard) -> bool {
        let known = self.known.as_ref();
        known.is_none_or(|known| known.owner(shard) == Some(known.me))
    }

    fn may_grant(&self, shard: Shard, now: Time) -> bool {
        let blocked = self.term.blocked.get(&shard);
        let opening = self.openings.values().any(|it| it.shards.contains(&shard));
        now < self.term.until && blocked.is_none_or(|until| *until <= now) && !opening
    }

    fn gate(&self, shard: Shard, now: Time) -> Gate {
        let Some(known) = &self.known else {
            return Gate::Open;
        };
        match known.owner(shard) {
            Some(owner) if owner == known.me => match self.may_grant(shard, now) {
                true => Gate::Open,
                false => Gate::Closed,
            },
            Some(owner) if self.links.contains(&owner) => Gate::Away(owner),
            _ => Gate::Closed,
        }
    }

    /// What a peer holds of an own shard is known here.
    pub(crate) fn knows(&self, peer: PeerId, shard: Shard) -> bool {
        let unheard = self.unheard.get(&peer);
        let opens = |it: &&Opening| it.shards.contains(&shard) && it.missing.contains(&peer);
        let mut openings = self.openings.values().filter(opens);
        unheard.is_none_or(|(_, of)| !of.contains(&shard))
            && openings.all(|it| it.vouched.get(&peer).is_some_and(|of| of.contains(&shard)))
    }

    /// What was kept for an owner of before is of no use to it any more.
    fn drop_old_vouches(&mut self) {
        let mut kept = std::mem::take(&mut self.vouched);
        kept.retain(|(to, _, held)| held.shards.iter().all(|it| self.owner(*it) == Some(*to)));
        self.vouched = kept;
    }

    /// The apps in these shards.
    pub(crate) fn apps(&self, shards: impl IntoIterator<Item = Shard>) -> BTreeSet<AppKey> {
        let first = |shard| (shard, AppKey(0));
        let last = |shard| (shard, AppKey(u32::MAX));
        let of = |shard| self.exact.range(first(shard)..=last(shard));
        let apps = shards.into_iter().flat_map(of);
        apps.map(|(_, app)| *app).collect()
    }

    /// The shards of this peer.
    pub(crate) fn shards_of(&self, peer: PeerId) -> impl Iterator<Item = Shard> {
        Shard::all().filter(move |shard| self.owner(*shard) == Some(peer))
    }
}

impl Mesh {
    /// From now on others may decide for apps: who does is not known yet. To be called
    /// before anybody has a lease.
    pub fn share_apps(&mut self, me: PeerId) {
        self.owners.known = Some(Ownership::unknown(me));
        // No other life of this sidecar has used these numbers.
        self.away.last = u64::from(self.rng.random::<u32>()) << 32;
    }

    /// Who owns what has changed. An older epoch than the last one is ignored.
    pub fn own(&mut self, ownership: Ownership, now: Time) {
        if ownership.epoch > self.owners.epoch() && self.owners.known.is_some() {
            self.change_owners(ownership, now);
        }
    }

    /// This sidecar is no member any more: what it owned is somebody else's, and may
    /// be this one's again before it hears of that. Says whether it owned anything: then
    /// everybody who asks it has to begin anew, with all that it holds. An answer on its way
    /// is otherwise in no report, and a lease after that.
    #[must_use]
    pub fn disown(&mut self, now: Time) -> bool {
        let Some(mut ownership) = self.owners.known.clone() else {
            return false;
        };
        if ownership.epoch == 0 {
            return false;
        }
        let me = Some(ownership.me);
        let mine = ownership.owners.iter_mut().filter(|owner| **owner == me);
        let lost = mine.map(|owner| *owner = None).count();
        // What comes next may be another log, with other places.
        ownership.epoch = 0;
        self.forget_early_reports();
        self.change_owners(ownership, now);
        lost > 0
    }

    fn change_owners(&mut self, ownership: Ownership, now: Time) {
        let Some(before) = self.owners.known.take() else {
            return;
        };
        let changed = |shard: &Shard| before.owner(*shard) != ownership.owner(*shard);
        let changed: BTreeSet<_> = Shard::all().filter(changed).collect();
        let mine = |known: &Ownership| -> BTreeSet<Shard> {
            let of = changed.iter().copied();
            of.filter(|shard| known.owner(*shard) == Some(known.me))
                .collect()
        };
        let (lost, got) = (mine(&before), mine(&ownership));
        let dead: Vec<_> = before.peers.difference(&ownership.peers).copied().collect();
        let new: Vec<_> = ownership.peers.difference(&before.peers).copied().collect();
        let vouched = self.vouch(&lost, &ownership);
        let epoch = ownership.epoch;
        self.owners.known = Some(ownership);
        self.owners.drop_old_vouches();
        for (owner, of, held) in vouched {
            self.tell_or_keep(owner, of, held);
        }
        self.note_new(&new, &got, epoch);
        self.owners.unheard.retain(|peer, (_, shards)| {
            shards.retain(|shard| !lost.contains(shard));
            !shards.is_empty() && !dead.contains(peer)
        });
        self.shrink_openings(&lost);
        for peer in dead {
            self.peer_gone(peer, now);
        }
        let apps = self.owners.apps(changed);
        self.settle_leases(&apps, now);
        self.begin_opening(epoch, got, now);
        self.take_early_reports(now);
        self.report_to_all();
        self.settle_requests(&apps, now);
        self.review_stalls(now);
    }

    /// Peers that were none before may have been there before all the same.
    fn note_new(&mut self, new: &[PeerId], got: &BTreeSet<Shard>, epoch: u64) {
        let me = self.owners.known.as_ref().map(|known| known.me);
        let mine = me.into_iter().flat_map(|me| self.owners.shards_of(me));
        let open: BTreeSet<_> = mine.filter(|shard| !got.contains(shard)).collect();
        for opening in self.owners.openings.values_mut() {
            opening.missing.extend(new);
        }
        for peer in new.iter().filter(|_| !open.is_empty()) {
            self.owners.unheard.insert(*peer, (epoch, open.clone()));
        }
    }

    fn shrink_openings(&mut self, lost: &BTreeSet<Shard>) {
        let openings: Vec<_> = self.owners.openings.keys().copied().collect();
        for epoch in openings {
            if let Some(opening) = self.owners.openings.get_mut(&epoch) {
                opening.shards.retain(|shard| !lost.contains(shard));
            }
            self.end_opening_if_complete(epoch);
        }
    }

    fn begin_opening(&mut self, epoch: u64, got: BTreeSet<Shard>, now: Time) {
        if got.is_empty() {
            return;
        }
        let peers = self.owners.known.as_ref().map(|known| known.peers.clone());
        let until = now + self.limits.longest_request;
        let opening = Opening {
            missing: peers.unwrap_or_default(),
            vouched: BTreeMap::new(),
            shards: got,
            until,
        };
        self.timers.set(until, Timer::Opening(epoch));
        self.owners.openings.insert(epoch, opening);
        self.end_opening_if_complete(epoch);
    }

    pub(crate) fn end_opening_if_complete(&mut self, epoch: u64) {
        let opening = self.owners.openings.get(&epoch);
        if opening.is_some_and(Opening::is_complete) {
            self.end_opening(epoch);
        }
    }

    /// It is not known yet what this peer holds of a shard that this is about.
    pub(crate) fn is_missing(&self, peer: PeerId, held: &Held) -> bool {
        let mut openings = self.owners.openings.range(..=held.epoch);
        openings.any(|(_, opening)| {
            opening.missing.contains(&peer) && !opening.shards.is_disjoint(&held.shards)
        })
    }

    /// All leases of its shards are known here.
    pub(crate) fn end_opening(&mut self, epoch: u64) {
        if let Some(opening) = self.owners.openings.remove(&epoch) {
            self.timers.unset(opening.until, Timer::Opening(epoch));
        }
    }

    /// It is said what this peer holds of the shards that are this sidecar's in this
    /// epoch or before: of all, or of those that somebody speaks of who had them.
    pub(crate) fn accounted(&mut self, peer: PeerId, held: &Held, now: Time) {
        let has_heard = |since: u64| held.whole && held.epoch >= since;
        if self
            .owners
            .unheard
            .get(&peer)
            .is_some_and(|(since, _)| has_heard(*since))
        {
            self.owners.unheard.remove(&peer);
        }
        let until = self.owners.openings.range_mut(..=held.epoch);
        let mut complete = Vec::new();
        for (epoch, opening) in until {
            match held.whole {
                true => _ = opening.missing.remove(&peer),
                false => opening
                    .vouched
                    .entry(peer)
                    .or_default()
                    .extend(&held.shards),
            }
            complete.push(*epoch);
        }
        for epoch in complete {
            self.end_opening_if_complete(epoch);
        }
        self.review_stalls(now);
    }

    /// For how long this sidecar may grant.
    pub fn serve_term(&mut self, term: Term, now: Time) {
        self.owners.term = term;
        self.look_at_term(now);
    }

    /// A shard may not be blocked any more.
    pub(crate) fn look_at_term(&mut self, now: Time) {
        self.owners.term.blocked.retain(|_, until| *until > now);
        let next = self.owners.term.blocked.values().min().copied();
        let old = std::mem::replace(&mut self.owners.look, next);
        self.timers.replace(old, next, Timer::Term);
        self.review_stalls(now);
    }

    /// Whose word counts for an app.
    pub(crate) fn gate(&self, key: AppKey, now: Time) -> Gate {
        let app = &self.apps[key.0 as usize];
        match app.terms().exact {
            None => Gate::Open,
            Some(_) => self.owners.gate(app.shard, now),
        }
    }

    /// Requests of an app are decided here, at this moment: also because nobody else
    /// can, and the app would rather have a dyno too many in use.
    pub(crate) fn decides(&self, key: AppKey, now: Time) -> bool {
        !self.is_recovering()
            && match self.gate(key, now) {
                Gate::Open => true,
                Gate::Closed => self.is_loose(key),
                Gate::Away(_) => false,
            }
    }

    /// It is not for this sidecar to give other sidecars dynos of what it does not own:
    /// nobody would tell it when they are done.
    pub(crate) fn is_stray(&self, request: &Request) -> bool {
        let session = self.sessions.get(request.session);
        !self.is_own(request.app) && session.is_some_and(|session| session.peer.is_some())
    }

    /// Nobody can decide, and that is no reason not to.
    pub(crate) fn is_loose(&self, key: AppKey) -> bool {
        let exact = self.apps[key.0 as usize].terms().exact;
        exact == Some(Exact::Available) && self.is_stall_over(key)
    }

    fn is_stall_over(&self, key: AppKey) -> bool {
        self.owners.stalls.get(&key).is_some_and(|stall| stall.over)
    }

    /// Nobody can decide, for so long that there is no sense in waiting.
    pub(crate) fn is_given_up(&self, key: AppKey) -> bool {
        self.is_stall_over(key) && !self.is_loose(key)
    }

    /// Requests of an app had to wait since nobody can decide.
    pub(crate) fn stall(&mut self, key: AppKey, now: Time) {
        if self.is_recovering() || self.owners.stalls.contains_key(&key) {
            return;
        }
        // Who would rather have a dyno than a promise does not wait for long.
        let patience = match self.apps[key.0 as usize].terms().exact {
            Some(Exact::Available) => self.limits.owner_patience / 10,
            _ => self.limits.owner_patience,
        };
        let until = now + patience;
        let stall = Stall { until, over: false };
        self.owners.stalls.insert(key, stall);
        self.timers.set(until, Timer::Stall(key));
    }

    /// Whoever waits for an owner has waited long enough.
    pub(crate) fn end_stall(&mut self, key: AppKey, now: Time) {
        if let Some(stall) = self.owners.stalls.get_mut(&key) {
            stall.over = true;
        }
        match self.is_loose(key) {
            true => self.serve_queue(key, now),
            false => self.refuse_all(key, Refusal::NoOwner, now),
        }
    }

    pub(crate) fn unstall(&mut self, key: AppKey) {
        if let Some(stall) = self.owners.stalls.remove(&key)
            && !stall.over
        {
            self.timers.unset(stall.until, Timer::Stall(key));
        }
    }

    /// Somebody may be able to decide now.
    pub(crate) fn review_stalls(&mut self, now: Time) {
        let stalled: Vec<_> = self.owners.stalls.keys().copied().collect();
        let mut away = BTreeSet::new();
        for key in stalled {
            match self.gate(key, now) {
                Gate::Closed => {}
                Gate::Open => {
                    self.unstall(key);
                    self.serve_queue(key, now);
                }
                Gate::Away(_) => {
                    self.unstall(key);
                    away.insert(key);
                }
            }
        }
        self.settle_requests(&away, now);
    }
}

#[cfg(test)]
mod tests;
