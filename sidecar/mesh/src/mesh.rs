//! The state machine: its state, sessions coming and going, leases ending, time
//! passing. How a request gets its dyno is in `checkout.rs`, how apps change in
//! `change.rs` and `definitions.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque, hash_map::Entry as MapEntry},
    sync::Arc,
    time::Duration,
};

use rand::{SeedableRng, rngs::SmallRng};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::{
    Address, AppKey, AskId, Counters, DynoKey, Event, Limits, Outcome, Output, SessionKey, Time,
    WorkerId,
    app::App,
    away::Away,
    dyno::{Dyno, Identity},
    foreign::Foreign,
    name::Directory,
    owners::Owners,
    queue::{Edition, Request, WaiterKey, Waiters},
    reserve::Recalls,
    session::{Entry, Sessions},
    share::Share,
    timers::{Timer, Timers},
};

/// The core. See the crate's documentation.
#[derive(Debug)]
pub struct Mesh {
    pub(crate) limits: Limits,
    pub(crate) rng: SmallRng,
    pub(crate) apps: Slab<App>,
    pub(crate) by_name: BTreeMap<Arc<str>, AppKey>,
    pub(crate) directory: Directory,
    pub(crate) dynos: Slab<Dyno>,
    /// By the same keys.
    pub(crate) identities: Slab<Identity>,
    /// Also of retired dynos, while they have leases.
    pub(crate) instances: HashMap<Box<str>, DynoKey>,
    /// The same by the [`mark`] of the instance.
    pub(crate) marks: FxHashMap<u64, DynoKey>,
    /// Of live dynos only.
    pub(crate) addresses: HashMap<Address, DynoKey>,
    /// Of retired dynos, while they have leases; the latest of each address.
    pub(crate) left: HashMap<Address, DynoKey>,
    pub(crate) sessions: Sessions,
    pub(crate) waiters: Waiters,
    pub(crate) timers: Timers,
    pub(crate) outputs: VecDeque<Output>,
    /// Apps for which a dyno was asked for in this episode.
    pub(crate) needy: BTreeSet<AppKey>,
    /// Apps that were said to be idle, and are.
    pub(crate) idle: BTreeSet<AppKey>,
    pub(crate) leases: usize,
    /// Of these, the ones that no request has yet.
    pub(crate) reserved: usize,
    pub(crate) recalls: Recalls,
    /// The newest one of all apps.
    pub(crate) edition: Edition,
    /// Who decides.
    pub(crate) owners: Owners,
    /// What others decide about.
    pub(crate) away: Away,
    /// Leases of dynos that are not known here yet.
    pub(crate) strangers: usize,
    /// Apps with rules, or settings for routers, or that not everybody may use.
    pub(crate) ruled: usize,
    /// Apps that want so many requests a second told.
    pub(crate) told: BTreeMap<Arc<str>, u32>,
    /// Apps with a rate for each client.
    pub(crate) by_client: usize,
    /// Apps with pages.
    pub(crate) paged: usize,
    /// What other nodes do.
    pub(crate) foreign: Foreign,
    /// What they are to be told.
    pub(crate) share: Share,
    /// Of `dynos`, those that are no longer part of an app.
    pub(crate) retired: usize,
    pub(crate) counters: Counters,
    /// Workers known from before that have not said yet what they hold, and
    /// until when they are waited for.
    pub(crate) recovery: Option<(HashSet<WorkerId>, Time)>,
}

/// A session that can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} sessions, the most allowed")]
pub struct TooManySessions(pub(crate) usize);

impl Mesh {
    /// An empty mesh. `seed` decides every choice among equals.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            rng: SmallRng::seed_from_u64(seed),
            apps: Slab::new(),
            by_name: BTreeMap::new(),
            directory: Directory::default(),
            dynos: Slab::new(),
            identities: Slab::new(),
            instances: HashMap::new(),
            marks: FxHashMap::default(),
            addresses: HashMap::new(),
            left: HashMap::new(),
            sessions: Sessions::default(),
            waiters: Waiters::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            needy: BTreeSet::new(),
            idle: BTreeSet::new(),
            leases: 0,
            reserved: 0,
            recalls: Recalls::default(),
            edition: Edition::default(),
            owners: Owners::default(),
            away: Away::default(),
            strangers: 0,
            ruled: 0,
            told: BTreeMap::new(),
            by_client: 0,
            paged: 0,
            foreign: Foreign::default(),
            share: Share::default(),
            retired: 0,
            counters: Counters::default(),
            recovery: None,
        }
    }

    /// After a restart, before anything else: these workers may hold leases.
    /// Nobody is given a dyno, and no dyno is said to be drained, before each has
    /// said hello or is known to be gone, or until `until`.
    pub fn recover(&mut self, workers: impl IntoIterator<Item = WorkerId>, until: Time) {
        let missing: HashSet<_> = workers.into_iter().collect();
        if let Some((_, until)) = self.recovery.take() {
            self.timers.unset(until, Timer::Recovery);
        }
        if !missing.is_empty() {
            self.recovery = Some((missing, until));
            self.timers.set(until, Timer::Recovery);
        }
    }

    /// Still waiting for workers to say what they hold.
    pub fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// A worker known from before is gone, with all that it held.
    pub fn worker_gone(&mut self, worker: WorkerId, now: Time) {
        if let Some((missing, _)) = &mut self.recovery {
            missing.remove(&worker);
            if missing.is_empty() {
                self.end_recovery(now);
            }
        }
    }

    fn end_recovery(&mut self, now: Time) {
        if let Some((_, until)) = self.recovery.take() {
            self.timers.unset(until, Timer::Recovery);
            let apps: Vec<_> = self.by_name.values().copied().collect();
            for app in apps {
                self.note_active(app, now);
                for dyno in self.apps[app.0 as usize].dynos.clone() {
                    self.say_if_drained(dyno);
                }
                self.serve_queue(app, now);
            }
            self.greet_all(now);
        }
    }

    /// A worker says hello with the leases that it holds (ask and instance). If
    /// it had a session, that one is over: what it holds is kept, the rest is
    /// released, and it asks again for whoever still waits. Of two leases with
    /// one ask the first counts; a dyno that nobody knows (any more) has no load, but may
    /// be another sidecar's, which is told.
    ///
    /// # Errors
    /// [`TooManySessions`], at the limit.
    pub fn hello(
        &mut self,
        worker: WorkerId,
        held: impl IntoIterator<Item = (AskId, Box<str>)>,
        now: Time,
    ) -> Result<SessionKey, TooManySessions> {
        let old = self.sessions.of_worker(worker);
        if old.is_none() && self.sessions.len() >= self.limits.sessions {
            return Err(TooManySessions(self.limits.sessions));
        }
        let key = self.sessions.open(worker);
        // First what is held, then what is not any more: a dyno that is in both
        // is never free in between.
        for (ask, instance) in held.into_iter().take(self.limits.asks_per_session) {
            if old.is_some_and(|old| self.keep_away(old, key, ask)) {
                continue;
            }
            if let Some(old) = old {
                self.move_number(old, key, ask);
            }
            match self.instances.get(&instance).copied() {
                Some(dyno) => {
                    self.hold(key, ask, dyno);
                    // The old session may not have said yet that a request has it.
                    if let Some(old) = old {
                        self.note_taken(old, ask);
                    }
                }
                None if self.owners.known.is_some() => _ = self.hold_strange(key, ask, instance),
                None => {}
            }
        }
        self.tell_of_strange(key);
        if let Some(old) = old {
            self.close_session(old, now);
        }
        self.worker_gone(worker, now);
        Ok(key)
    }

    /// A worker holds a lease, as it says.
    pub(crate) fn hold(&mut self, session: SessionKey, ask: AskId, dyno: DynoKey) {
        // As long as its owner can't be asked, it is load here.
        let app = self.dynos[dyno.0 as usize].app;
        let owner = self.owners.owner(self.apps[app.0 as usize].shard);
        let is_linked = owner.is_some_and(|owner| self.owners.links.contains(&owner));
        let away = !self.is_own(app) && is_linked;
        let Some(holder) = self.sessions.get_mut(session) else {
            return;
        };
        let MapEntry::Vacant(entry) = holder.entries.entry(ask) else {
            return;
        };
        match away {
            true => {
                let id = self.hold_away(session, ask, dyno);
                self.tell_of_lease(id);
            }
            false => {
                entry.insert(Entry::Leased(dyno));
                self.take(dyno);
                self.name_next(app);
            }
        }
    }

    /// The router closed its session: everything it held is released.
    pub fn close_session(&mut self, key: SessionKey, now: Time) {
        let Some(session) = self.sessions.close(key) else {
            return;
        };
        if let Some(until) = session.lost_until {
            self.timers.unset(until, Timer::Session(key));
        }
        if let Some(until) = session.doubt_until {
            self.timers.unset(until, Timer::Doubts(key));
        }
        self.strangers -= session.strange.len();
        // Whoever waits leaves first: a lease that is released must not go to
        // this very session. In order, so that the same inputs have the same
        // outputs.
        let mut entries: Vec<_> = session.entries.into_iter().collect();
        entries.sort_unstable_by_key(|(ask, entry)| (!matches!(entry, Entry::Waiting(_)), *ask));
        for (_, entry) in entries {
            self.release(entry, now);
        }
        for number in session.numbers.values() {
            self.tell_of_end(number);
        }
        self.recall_nothing(key);
    }

    /// The session broke. Whoever waits leaves the queue (and asks again, if the
    /// worker comes back); leases are kept for a grace, in case it does.
    pub fn lose_session(&mut self, key: SessionKey, now: Time) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.lost_until.is_some() {
            return;
        }
        // Another sidecar's workers go on without it.
        let until = match session.peer {
            None => now + self.limits.session_grace,
            Some(_) => now + self.limits.longest_request,
        };
        session.lost_until = Some(until);
        let mut waiting = Vec::new();
        let away = &self.away;
        session.entries.retain(|_, entry| {
            let waits = match entry {
                Entry::Waiting(_) => true,
                Entry::Away(id) => !away.is_lease(*id),
                Entry::Reserved(_) | Entry::Passed(_) | Entry::Leased(_) => false,
            };
            if waits {
                waiting.push(*entry);
            }
            !waits
        });
        self.timers.set(until, Timer::Session(key));
        for entry in waiting {
            self.release(entry, now);
        }
    }

    /// The worker of a session that broke is known to live, so its leases are kept until
    /// then, in case it comes again.
    pub fn keep_lost(&mut self, key: SessionKey, until: Time) {
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(before) = session.lost_until
        {
            session.lost_until = Some(until);
            self.timers
                .replace(Some(before), Some(until), Timer::Session(key));
        }
    }

    /// The client went away: leaves the queue, or gives the lease back.
    pub fn cancel(&mut self, session: SessionKey, ask: AskId, now: Time) {
        if let Some(entry) = self.forget_entry(session, ask) {
            self.release(entry, now);
        }
    }

    /// A lease ends. One that is not known (it ended with its session) is
    /// ignored.
    pub fn checkin(&mut self, session: SessionKey, ask: AskId, outcome: Outcome, now: Time) {
        match self.forget_entry(session, ask) {
            Some(entry @ (Entry::Leased(dyno) | Entry::Passed(dyno) | Entry::Reserved(dyno))) => {
                // A request had it, if only now one hears of that.
                self.settle_ahead(entry);
                let app = self.dynos[dyno.0 as usize].app;
                self.note_active(app, now);
                let quarantined = self.note_outcome(dyno, outcome, now);
                self.give_back(dyno, now);
                if quarantined {
                    // Nobody has to wait for that: another dyno is found.
                    self.end_edition(app);
                    self.recall(&[app], Vec::new(), now);
                    self.serve_queue(app, now);
                }
            }
            Some(Entry::Away(id)) => self.checkin_away(id, outcome, now),
            Some(waiting) => self.release(waiting, now),
            None => {}
        }
    }

    /// When to call [`Mesh::handle_timeout`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Waiter(waiter) => self.give_up(waiter, now),
                Timer::Session(session) => self.close_session(session, now),
                Timer::Doubts(session) => self.end_doubts(session, &[], now),
                Timer::Recall(recall) => self.end_recall(recall),
                Timer::Recovery => self.end_recovery(now),
                Timer::Term => self.look_at_term(now),
                Timer::Opening(epoch) => {
                    self.end_opening(epoch);
                    self.review_stalls(now);
                }
                Timer::Stall(app) => self.end_stall(app, now),
                Timer::Idle(app) => self.look_idle(app, now),
                Timer::Busy(app) => self.look_busy(app, now),
                Timer::Window(app) => self.end_window(app, now),
                Timer::Node(node) => self.drop_node(node, now),
                Timer::Quarantine(dyno) => {
                    self.end_quarantine(dyno);
                    self.repool(dyno);
                    self.serve_queue(self.dynos[dyno.0 as usize].app, now);
                }
            }
        }
    }

    /// What of the events still holds: for somebody who did not hear it said.
    pub fn needs(&self) -> impl Iterator<Item = Event> {
        let needy = self.needy.iter().map(|key| self.need(*key));
        needy.chain(self.idle.iter().map(|key| self.idle_event(*key)))
    }

    pub(crate) fn need(&self, key: AppKey) -> Event {
        let app = &self.apps[key.0 as usize];
        Event::NeedDyno {
            app: app.name.clone(),
            waiting: app.queue.len(),
        }
    }

    /// The next thing to pass on.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What a session has is over, as it says itself: later than whatever it said before.
    pub(crate) fn forget_entry(&mut self, session: SessionKey, ask: AskId) -> Option<Entry> {
        self.forget_strange(session, ask);
        let holder = self.sessions.get_mut(session)?;
        for held in &mut holder.early {
            held.leases.retain(|(early, _)| *early != ask);
        }
        let (entry, number) = (holder.take(ask), holder.numbers.remove(&ask));
        if let Some(number) = number {
            self.tell_of_end(&number);
        }
        entry
    }

    /// What a session has is no more, or something else from now on.
    pub(crate) fn take_entry(&mut self, session: SessionKey, ask: AskId) -> Option<Entry> {
        self.sessions.get_mut(session)?.take(ask)
    }

    pub(crate) fn release(&mut self, entry: Entry, now: Time) {
        match entry {
            Entry::Leased(dyno) => {
                self.note_active(self.dynos[dyno.0 as usize].app, now);
                self.give_back(dyno, now);
            }
            Entry::Reserved(dyno) => {
                self.unreserve(dyno);
                self.end_ahead(dyno);
                self.give_back(dyno, now);
            }
            Entry::Passed(dyno) => {
                self.end_ahead(dyno);
                self.release(Entry::Leased(dyno), now);
            }
            Entry::Away(id) => self.release_away(id, now),
            Entry::Waiting(waiter) => {
                let app = self.leave_queue(waiter).app;
                self.note_active(app, now);
                self.apps[app.0 as usize].counters.cancelled += 1;
                self.counters.cancelled += 1;
                self.end_episode(app);
                self.name_next(app);
                self.forget_if_deleted(app);
            }
        }
    }

    /// Out of the queue and of the timers; the session's entry is the caller's.
    pub(crate) fn leave_queue(&mut self, key: WaiterKey) -> Request {
        let app = self.waiters[key.0 as usize].request.app;
        let waiter = self.apps[app.0 as usize]
            .queue
            .remove(&mut self.waiters, key);
        self.timers.unset(waiter.deadline, Timer::Waiter(key));
        waiter.request
    }

    /// One lease more for a dyno.
    pub(crate) fn take(&mut self, key: DynoKey) {
        self.unpool(key);
        let dyno = &mut self.dynos[key.0 as usize];
        dyno.load += 1;
        let app_key = dyno.app;
        let app = &mut self.apps[app_key.0 as usize];
        app.in_flight += 1;
        app.in_use += u32::from(dyno.load == 1);
        self.leases += 1;
        self.note_requests(app_key);
        self.note_untold(key);
        self.repool(key);
    }

    /// A request may have come to a dyno of this app.
    pub(crate) fn note_requests(&mut self, key: AppKey) {
        let app = &mut self.apps[key.0 as usize];
        let requests = app.requests();
        app.peak = app.peak.max(requests);
        if requests > 0 {
            self.end_idle(key);
        }
    }

    /// One lease less for a dyno, and the next one in the queue may have it.
    pub(crate) fn give_back(&mut self, key: DynoKey, now: Time) {
        self.unpool(key);
        self.note_untold(key);
        self.leases -= 1;
        let dyno = &mut self.dynos[key.0 as usize];
        let app_key = dyno.app;
        dyno.load -= 1;
        let app = &mut self.apps[app_key.0 as usize];
        app.in_flight -= 1;
        if dyno.retired {
            if dyno.load == 0 {
                self.retired -= 1;
                self.forget_dyno(key);
            }
            self.forget_if_deleted(app_key);
            return;
        }
        app.in_use -= u32::from(dyno.load == 0);
        self.say_if_drained(key);
        self.repool(key);
        self.serve_free(app_key, now);
    }

    /// A dyno that can't be connected to is left alone for a while, longer with
    /// each failure in a row. Says whether a quarantine has begun.
    pub(crate) fn note_outcome(&mut self, key: DynoKey, outcome: Outcome, now: Time) -> bool {
        let dyno = &mut self.dynos[key.0 as usize];
        match outcome {
            Outcome::Done => dyno.strikes = 0,
            Outcome::Failed | Outcome::Unused => {}
            Outcome::Refused | Outcome::ConnectTimeout if dyno.is_running() => {
                let limits = &self.limits;
                let factor = 1_u32 << dyno.strikes.min(16);
                let span = limits.quarantine_first.saturating_mul(factor);
                self.quarantine(key, span.min(limits.quarantine_longest), now);
                return true;
            }
            Outcome::Refused | Outcome::ConnectTimeout => {}
        }
        false
    }

    fn quarantine(&mut self, key: DynoKey, span: Duration, now: Time) {
        self.unpool(key);
        let dyno = &mut self.dynos[key.0 as usize];
        dyno.strikes = dyno.strikes.saturating_add(1);
        dyno.quarantine = Some(now + span);
        let census = &mut self.apps[dyno.app.0 as usize].census;
        census.discount(dyno.state, false);
        census.count(dyno.state, true);
        self.timers.set(now + span, Timer::Quarantine(key));
        let event = Event::Quarantined(self.info(key).clone(), span);
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
