//! Checkout: a request comes for an app and gets a dyno, waits, or is refused.

use std::time::Duration;

use crate::{
    Answer, AppKey, Ask, AskId, BOOT_TIMEOUT, DynoKey, DynoState, Mesh, Output, Prefer,
    QUEUE_TIMEOUT, Refusal, Route, SessionKey, Time,
    owners::Gate,
    queue::{Request, WaiterKey},
    session::Entry,
    timers::Timer,
};

/// What to do with a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Route(DynoKey),
    /// A dyno will be free.
    WaitBusy,
    /// A dyno has to come up first.
    WaitBoot,
    /// As `WaitBoot`, and somebody has to start it.
    NeedDyno,
    Refuse(Refusal),
}

impl Decision {
    fn is_wait(self) -> bool {
        matches!(self, Self::WaitBusy | Self::WaitBoot | Self::NeedDyno)
    }
}

/// A request that repeats this many failed dynos is malformed; the rest of the
/// list is ignored.
const MAX_TRIED: usize = 32;

impl Mesh {
    /// May a request have a dyno? It is answered now or later, once, unless it
    /// is cancelled before. An id that the session uses already is ignored, and
    /// so is a session that broke: nobody would get the answer. Says whether it
    /// was taken.
    pub fn ask(&mut self, session: SessionKey, mut ask: Ask<'_>, now: Time) -> bool {
        let Some(asking) = self.sessions.get_mut(session) else {
            return false;
        };
        if asking.lost_until.is_some() || asking.entries.contains_key(&ask.id) {
            return false;
        }
        let full = asking.len() >= self.limits.asks_per_session;
        ask.tried.truncate(MAX_TRIED);
        let arrived = match ask.held || !ask.tried.is_empty() {
            true => now.before(ask.waited),
            false => asking.arrival(now.before(ask.waited)),
        };
        let Some(app) = self.find(ask.name) else {
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
            passes_on: ask.passes_on,
        };
        if full || self.waiters.len() >= self.limits.waiting {
            self.refuse(&request, Refusal::Overloaded, now);
            return true;
        }
        match self.elsewhere(&request, now) {
            Some(owner) => self.ask_away(request, owner, now),
            None => self.check_out(request, now),
        }
        true
    }

    /// It is for this sidecar to decide, now or later.
    pub(crate) fn check_out(&mut self, request: Request, now: Time) {
        match self.admit(&request, now) {
            Decision::Route(dyno) => self.grant(&request, dyno, false, now),
            Decision::Refuse(reason) => self.refuse(&request, reason, now),
            wait => self.enqueue(request, wait, now),
        }
    }

    /// What to do with a request that comes now. If a dyno is free for it while
    /// others wait, then every one of them tried that dyno (or it would have it):
    /// to give it away overtakes nobody.
    fn admit(&mut self, request: &Request, now: Time) -> Decision {
        // All have to wait while it is not known who holds what, or who may say so.
        let undecided = !self.decides(request.app, now) || self.is_stray(request);
        let crowd = request.held || undecided;
        // Who was let in before, and failed by a dyno, is not turned away now.
        let admitted = crowd || !request.tried.is_empty();
        let app = &mut self.apps[request.app.0 as usize];
        if app.maintenance {
            return Decision::Refuse(Refusal::Maintenance);
        }
        if undecided && self.is_given_up(request.app) {
            return Decision::Refuse(Refusal::NoOwner);
        }
        let app = &mut self.apps[request.app.0 as usize];
        let waiting = app.queue.len();
        if app.stretch > 0 && waiting < app.depth() {
            app.stretch = 0;
        }
        let stretch = app.stretch;
        let again = admitted || !request.served.is_zero();
        if !again && let Some(refused) = self.too_soon(request, now) {
            return refused;
        }
        let app = &self.apps[request.app.0 as usize];
        let max = app.terms().max_requests.filter(|_| !admitted);
        if max.is_some_and(|max| app.requests() + waiting >= max.saturating_add(stretch)) {
            return Decision::Refuse(Refusal::TooManyRequests);
        }
        let tried = self.own_dynos(request.app, &request.tried);
        let wait = match self.decide(request.app, &tried, request.prefer) {
            // Nobody is served before it is known who holds what.
            Decision::Route(_) if undecided => Decision::WaitBusy,
            Decision::Route(dyno) => return Decision::Route(dyno),
            Decision::Refuse(reason) => return Decision::Refuse(reason),
            wait => wait,
        };
        let app = &mut self.apps[request.app.0 as usize];
        if crowd {
            app.stretch = stretch.max(waiting + 1);
        } else if !admitted && waiting >= app.depth().saturating_add(stretch) {
            return Decision::Refuse(Refusal::QueueFull);
        }
        wait
    }

    /// What a request of this app can have, if it were the first in the queue.
    fn decide(&mut self, key: AppKey, tried: &[DynoKey], prefer: Option<Prefer>) -> Decision {
        if let Some(dyno) = self.pick(key, tried, prefer) {
            return Decision::Route(dyno);
        }
        let running = |dyno: &&DynoKey| self.dynos[dyno.0 as usize].is_running();
        let tried_running = tried.iter().filter(running).count() as u32;
        let app = &self.apps[key.0 as usize];
        let census = app.census;
        if census.running() > tried_running {
            Decision::WaitBusy
        } else if census.starting > 0 {
            Decision::WaitBoot
        } else if !tried.is_empty() {
            Decision::Refuse(Refusal::NoOtherDyno)
        } else if census.up > 0 {
            Decision::Refuse(Refusal::Quarantined)
        } else if census.crashed > 0 {
            Decision::Refuse(Refusal::Crashed)
        } else if app.settings().wake {
            Decision::NeedDyno
        } else if app.released {
            Decision::Refuse(Refusal::NoDynos)
        } else {
            Decision::Refuse(Refusal::NeverReleased)
        }
    }

    /// The dynos of this app that a request tried, each once.
    fn own_dynos(&self, key: AppKey, tried: &[Box<str>]) -> Vec<DynoKey> {
        let mut own: Vec<DynoKey> = tried
            .iter()
            .filter_map(|instance| self.instances.get(instance).copied())
            .filter(|dyno| self.dynos[dyno.0 as usize].is_of(key))
            .collect();
        own.sort_unstable();
        own.dedup();
        own
    }

    /// The preferred dyno, or one of the best, but none of `tried`.
    fn pick(&mut self, key: AppKey, tried: &[DynoKey], prefer: Option<Prefer>) -> Option<DynoKey> {
        if let Some(dyno) = self.pick_preferred(key, prefer, tried) {
            return Some(dyno);
        }
        for dyno in tried {
            self.unpool(*dyno);
        }
        let picked = self.apps[key.0 as usize].pool.pick(&mut self.rng);
        for dyno in tried {
            self.repool(*dyno);
        }
        picked
    }

    pub(crate) fn enqueue(&mut self, request: Request, decision: Decision, now: Time) {
        let (session, ask, key) = (request.session, request.ask, request.app);
        let app = &mut self.apps[key.0 as usize];
        let longest = match decision {
            Decision::WaitBusy => app.settings().queue_timeout.unwrap_or(QUEUE_TIMEOUT),
            _ => app.settings().boot_timeout.unwrap_or(BOOT_TIMEOUT),
        };
        let deadline = request.arrived + request.served + longest;
        // It has waited its longest elsewhere.
        if deadline <= now {
            let reason = self.too_late(key);
            return self.refuse(&request, reason, now);
        }
        if app.queue.is_empty() && app.ahead > 0 {
            self.recall(&[key], Vec::new(), now);
        }
        let app = &mut self.apps[key.0 as usize];
        let waiter = app.queue.insert(&mut self.waiters, request, deadline);
        let is_before_named = app.queue.is_before_named(&self.waiters, waiter);
        self.timers.set(deadline, Timer::Waiter(waiter));
        if let Some(session) = self.sessions.get_mut(session) {
            session.entries.insert(ask, Entry::Waiting(waiter));
        }
        if decision == Decision::NeedDyno {
            self.need_dyno(key);
        }
        self.end_idle(key);
        self.watch_wait(key, now);
        if !self.decides(key, now) {
            self.stall(key, now);
        }
        match is_before_named {
            true => self.renew_edition(key),
            false => self.name_next(key),
        }
    }

    /// It is for this sidecar to decide at this moment. Whoever waits meanwhile is not
    /// forgotten.
    fn can_serve(&mut self, key: AppKey, now: Time) -> bool {
        let decides = self.decides(key, now);
        if !decides && !self.apps[key.0 as usize].queue.is_empty() {
            self.stall(key, now);
        }
        decides
    }

    /// Hands out the dynos that are free, to those who wait, in order.
    pub(crate) fn serve_free(&mut self, key: AppKey, now: Time) {
        if !self.can_serve(key, now) {
            return;
        }
        let mut next = self.apps[key.0 as usize].queue.first();
        while let Some(waiter) = next
            && !self.apps[key.0 as usize].pool.is_empty()
        {
            next = self.apps[key.0 as usize].queue.after(&self.waiters, waiter);
            if self.is_stray(&self.waiters[waiter.0 as usize].request) {
                continue;
            }
            let request = &self.waiters[waiter.0 as usize].request;
            let (tried, prefer) = (self.own_dynos(key, &request.tried), request.prefer);
            if let Some(dyno) = self.pick(key, &tried, prefer) {
                self.finish(waiter, Ok(dyno), now);
            }
        }
        self.end_episode(key);
        self.name_next(key);
    }

    /// Decides anew for everybody who waits, after the app or the state of one of
    /// its dynos changed: some can have a dyno now, some wait in vain.
    pub(crate) fn serve_queue(&mut self, key: AppKey, now: Time) {
        self.end_episode(key);
        if !self.can_serve(key, now) {
            return;
        }
        // Somebody who tried nothing has to wait: so has everybody like that.
        let mut others_wait = false;
        let mut next = self.apps[key.0 as usize].queue.first();
        while let Some(waiter) = next {
            let app = &self.apps[key.0 as usize];
            next = app.queue.after(&self.waiters, waiter);
            if self.is_stray(&self.waiters[waiter.0 as usize].request) {
                continue;
            }
            let app = &self.apps[key.0 as usize];
            let request = &self.waiters[waiter.0 as usize].request;
            let (tried, prefer) = (self.own_dynos(key, &request.tried), request.prefer);
            if tried.is_empty() && others_wait {
                continue;
            }
            let decision = match app.maintenance {
                true => Decision::Refuse(Refusal::Maintenance),
                false => self.decide(key, &tried, prefer),
            };
            match decision {
                Decision::Route(dyno) => self.finish(waiter, Ok(dyno), now),
                // It is over sooner than whoever waits has to give up.
                Decision::Refuse(Refusal::Quarantined) => {}
                Decision::Refuse(reason) => self.finish(waiter, Err(reason), now),
                Decision::NeedDyno => self.need_dyno(key),
                Decision::WaitBusy | Decision::WaitBoot => {}
            }
            let waits = decision.is_wait() || decision == Decision::Refuse(Refusal::Quarantined);
            others_wait |= tried.is_empty() && waits;
        }
        self.end_episode(key);
        self.name_next(key);
    }

    /// Refuses everybody who waits.
    pub(crate) fn refuse_all(&mut self, key: AppKey, reason: Refusal, now: Time) {
        while let Some(waiter) = self.apps[key.0 as usize].queue.first() {
            self.finish(waiter, Err(reason), now);
        }
        self.end_episode(key);
    }

    /// A waiting request has waited its longest.
    pub(crate) fn give_up(&mut self, waiter: WaiterKey, now: Time) {
        let key = self.waiters[waiter.0 as usize].request.app;
        self.finish(waiter, Err(self.too_late(key)), now);
        self.end_episode(key);
        self.name_next(key);
    }

    fn too_late(&self, key: AppKey) -> Refusal {
        let census = self.apps[key.0 as usize].census;
        match (census.up, census.running()) {
            (0, _) => Refusal::BootTimeout,
            (_, 0) => Refusal::Quarantined,
            _ => Refusal::QueueTimeout,
        }
    }

    /// Somebody has to start a dyno; says so once an episode.
    fn need_dyno(&mut self, key: AppKey) {
        let app = &mut self.apps[key.0 as usize];
        if !app.dyno_needed {
            app.dyno_needed = true;
            self.needy.insert(key);
            let event = self.need(key);
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// Once a dyno comes or nobody waits: if there is none later, it is asked for
    /// again.
    pub(crate) fn end_episode(&mut self, key: AppKey) {
        let app = &mut self.apps[key.0 as usize];
        if app.dyno_needed && (app.queue.is_empty() || app.census.expected() > 0) {
            app.dyno_needed = false;
            self.needy.remove(&key);
        }
    }

    /// A waiting request gets its answer.
    fn finish(&mut self, key: WaiterKey, result: Result<DynoKey, Refusal>, now: Time) {
        let request = self.leave_queue(key);
        self.note_active(request.app, now);
        if let Some(session) = self.sessions.get_mut(request.session) {
            session.entries.remove(&request.ask);
        }
        match result {
            Ok(dyno) => self.grant(&request, dyno, true, now),
            Err(reason) => self.refuse(&request, reason, now),
        }
    }

    fn grant(&mut self, request: &Request, key: DynoKey, queued: bool, now: Time) {
        // First, so that this is waited for while the dyno is.
        let near = self.apps[request.app.0 as usize].few.find(key);
        let info = near.unwrap_or_else(|| self.info(key)).clone();
        if self.is_loose(request.app) && self.gate(request.app, now) != Gate::Open {
            self.apps[request.app.0 as usize].counters.loose += 1;
            self.counters.loose += 1;
        }
        // Who waited is none of many that come at once. (And the name may lead to another
        // app by now.)
        let again = match queued {
            true => Duration::ZERO,
            false => self.may_pass_on(request, key),
        };
        self.take(key);
        let passes = !again.is_zero();
        match passes {
            true => self.put_ahead(request.session, request.ask, Entry::Passed(key), key),
            false => self.put_lease(request.session, request.ask, key),
        }
        let app = &mut self.apps[request.app.0 as usize];
        for counters in [&mut app.counters, &mut self.counters] {
            // Of one that is passed on the router says how many had it.
            if !passes {
                counters.routed += 1;
            }
            // The app's others lie apart from what most requests need.
            if queued {
                counters.queued += 1;
            }
        }
        let app = &self.apps[request.app.0 as usize];
        let dyno = &self.dynos[key.0 as usize];
        let limited = dyno.limit(app.terms()).is_some();
        let route = Route {
            dyno: info,
            limited,
            others: self.others(key, request),
            counted: app.terms().max_requests.is_some(),
            gone: self.is_preferred_gone(request, key),
            again,
            edition: match limited {
                true => self.edition(request.session, request.app),
                false => None,
            },
        };
        self.answer(request, Ok(route), now);
    }

    pub(crate) fn put_lease(&mut self, session: SessionKey, ask: AskId, dyno: DynoKey) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.entries.insert(ask, Entry::Leased(dyno));
        }
    }

    /// Who could have the request instead of this dyno.
    fn others(&self, key: DynoKey, request: &Request) -> u32 {
        let candidates = self.apps[request.app.0 as usize].candidates();
        let own = self.own_dynos(request.app, &request.tried);
        let tried = own.iter().filter(|dyno| {
            let dyno = &self.dynos[dyno.0 as usize];
            dyno.is_running() || dyno.state == DynoState::Starting
        });
        let this = u32::from(self.dynos[key.0 as usize].is_running());
        candidates.saturating_sub(this + tried.count() as u32)
    }

    pub(crate) fn refuse(&mut self, request: &Request, reason: Refusal, now: Time) {
        self.apps[request.app.0 as usize].counters.refused += 1;
        self.counters.refused += 1;
        self.answer(request, Err(reason), now);
    }

    pub(crate) fn refuse_unknown(&mut self, session: SessionKey, ask: AskId, wait: Duration) {
        self.counters.refused += 1;
        self.outputs.push_back(Output::Answer(Answer {
            session,
            ask,
            app: None,
            wait,
            depth: 0,
            in_use: 0,
            queue_headers: false,
            result: Err(Refusal::UnknownName),
        }));
    }

    fn answer(&mut self, request: &Request, result: Result<Route, Refusal>, now: Time) {
        let app = &self.apps[request.app.0 as usize];
        self.outputs.push_back(Output::Answer(Answer {
            session: request.session,
            ask: request.ask,
            app: result.is_err().then(|| app.name.clone()),
            wait: request.wait(now),
            depth: app.queue.len(),
            in_use: app.in_use,
            queue_headers: app.terms().queue_headers,
            result,
        }));
    }
}

#[cfg(test)]
mod tests;
