//! The model: what the mesh is supposed to do, written without a thought of speed.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use mesh::{
    Answer, AppSpec, Ask, AskId, BOOT_TIMEOUT, DynoSpec, DynoState, Event, Limits, MAX_LOAD,
    Outcome, Output, Policy, QUEUE_PER_DYNO, QUEUE_TIMEOUT, Refusal, SessionKey, Time, Update,
};

pub(crate) struct Reference {
    pub(crate) limits: Limits,
    pub(crate) now: Time,
    pub(crate) apps: Vec<App>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) recovery: Option<(BTreeSet<usize>, Time)>,
    /// What the mesh said and nobody has expected yet.
    pub(crate) outputs: VecDeque<Output>,
    serial: u64,
}

pub(crate) struct App {
    /// Another one when it is deleted and created again.
    id: u64,
    pub(crate) spec: AppSpec,
    dynos: Vec<Trust>,
    dyno_needed: bool,
    /// How long its queue grew by requests that nobody turns away.
    stretch: u32,
}

/// What is known of a dyno beside its specification; in the same order.
#[derive(Clone, Default)]
struct Trust {
    quarantine: Option<Time>,
    strikes: u32,
}

pub(crate) struct Session {
    pub(crate) worker: usize,
    pub(crate) key: SessionKey,
    pub(crate) lost_until: Option<Time>,
}

#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) session: SessionKey,
    pub(crate) ask: AskId,
    pub(crate) instance: Box<str>,
    app: u64,
}

#[derive(Clone)]
pub(crate) struct Waiter {
    pub(crate) session: SessionKey,
    pub(crate) ask: AskId,
    app: u64,
    arrived: Time,
    served: Duration,
    joined: u64,
    deadline: Time,
    tried: Vec<Box<str>>,
}

#[derive(Debug)]
enum Decision {
    /// Any of these instances.
    Route(Vec<Box<str>>),
    WaitBusy,
    WaitBoot,
    NeedDyno,
    Refuse(Refusal),
}

impl Reference {
    pub(crate) fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            now,
            apps: vec![],
            sessions: vec![],
            leases: vec![],
            waiters: vec![],
            recovery: None,
            outputs: VecDeque::new(),
            serial: 0,
        }
    }

    // What the mesh says.

    fn answer(&mut self, session: SessionKey, ask: AskId) -> Answer {
        match self.outputs.pop_front() {
            Some(Output::Answer(answer)) => {
                assert_eq!(
                    (answer.session, answer.ask),
                    (session, ask),
                    "the wrong one is answered"
                );
                answer
            }
            other => panic!("{ask:?} shall be answered, not {other:?}"),
        }
    }

    fn event(&mut self, wanted: impl Fn(&Event) -> bool, what: &str) {
        match self.outputs.pop_front() {
            Some(Output::Event(event)) if wanted(&event) => {}
            other => panic!("{what} is expected, not {other:?}"),
        }
    }

    // What there is.

    pub(crate) fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| *app.spec.name == *name)
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.apps.iter().position(|app| app.id == id)
    }

    fn by_domain(&self, name: &str) -> Option<u64> {
        let name = name.split(':').next().unwrap().to_lowercase();
        let fits = |domain: &str| match domain.strip_prefix('*') {
            Some(end) => name.ends_with(end) && name.len() > end.len(),
            None => *domain == *name,
        };
        let all = self
            .apps
            .iter()
            .flat_map(|app| app.spec.domains.iter().map(|d| (d, app.id)));
        // An exact name before a wildcard, a longer wildcard before a shorter one.
        all.filter(|(domain, _)| fits(domain))
            .max_by_key(|(domain, _)| (!domain.starts_with('*'), domain.len()))
            .map(|(_, id)| id)
    }

    pub(crate) fn load(&self, instance: &str) -> u32 {
        self.leases
            .iter()
            .filter(|lease| *lease.instance == *instance)
            .count() as u32
    }

    pub(crate) fn in_flight(&self, app: &App) -> u32 {
        self.leases
            .iter()
            .filter(|lease| lease.app == app.id)
            .count() as u32
    }

    fn in_use(&self, app: &App) -> u32 {
        app.spec
            .dynos
            .iter()
            .filter(|dyno| self.load(&dyno.instance) > 0)
            .count() as u32
    }

    pub(crate) fn waiting(&self, app: &App) -> u32 {
        self.queue(app.id).len() as u32
    }

    pub(crate) fn oldest_wait(&self, app: &App) -> Duration {
        self.queue(app.id)
            .first()
            .map_or(Duration::ZERO, |w| self.now.since(w.arrived))
    }

    fn queue(&self, app: u64) -> Vec<Waiter> {
        let mut queue: Vec<_> = self
            .waiters
            .iter()
            .filter(|w| w.app == app)
            .cloned()
            .collect();
        queue.sort_by_key(|w| (w.arrived, w.joined));
        queue
    }

    pub(crate) fn limit(app: &App, dyno: &DynoSpec) -> Option<u32> {
        let settings = &app.spec.settings;
        let usual = (settings.policy == Policy::IdleOnly).then_some(1);
        dyno.limit.or(settings.dyno_limit).or(usual)
    }

    pub(crate) fn held_by(&self, session: SessionKey) -> Vec<(AskId, Box<str>)> {
        let held = self.leases.iter().filter(|lease| lease.session == session);
        held.map(|lease| (lease.ask, lease.instance.clone()))
            .collect()
    }

    pub(crate) fn asks_of(&self, session: SessionKey) -> Vec<AskId> {
        let waiting = self
            .waiters
            .iter()
            .filter(|w| w.session == session)
            .map(|w| w.ask);
        let mut all: Vec<_> = self.held_by(session).iter().map(|(ask, _)| *ask).collect();
        all.extend(waiting);
        all.sort_by_key(|ask| ask.0);
        all
    }

    pub(crate) fn session_of(&self, worker: usize) -> Option<&Session> {
        self.sessions
            .iter()
            .find(|session| session.worker == worker)
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let waiters = self.waiters.iter().map(|w| w.deadline);
        let dynos = self
            .apps
            .iter()
            .flat_map(|app| &app.dynos)
            .filter_map(|d| d.quarantine);
        let sessions = self
            .sessions
            .iter()
            .filter_map(|session| session.lost_until);
        let recovery = self.recovery.iter().map(|(_, until)| *until);
        waiters.chain(dynos).chain(sessions).chain(recovery).min()
    }

    // Checkout.

    /// Says whether it is taken, like the mesh.
    pub(crate) fn ask(&mut self, session: SessionKey, ask: &Ask<'_>) -> bool {
        let open = self
            .sessions
            .iter()
            .any(|s| s.key == session && s.lost_until.is_none());
        let taken = open && !self.asks_of(session).contains(&ask.id);
        if taken {
            self.admit(session, ask);
        }
        taken
    }

    fn admit(&mut self, session: SessionKey, ask: &Ask<'_>) {
        let asks = self.asks_of(session);
        let Some(id) = self.by_domain(ask.name) else {
            let answer = self.answer(session, ask.id);
            assert_eq!(
                (answer.result, answer.app),
                (Err(Refusal::UnknownName), None)
            );
            return;
        };
        let arrived = self.now.before(ask.waited);
        self.serial += 1;
        let mut waiter = Waiter {
            session,
            ask: ask.id,
            app: id,
            arrived,
            served: ask.served,
            joined: self.serial,
            deadline: arrived,
            tried: ask.tried.clone(),
        };
        let crowd = ask.held || self.recovery.is_some();
        let newcomer = !crowd && ask.tried.is_empty();
        let app = &self.apps[self.index(id).unwrap()];
        let (settings, waiting) = (app.spec.settings.clone(), self.waiting(app));
        let max = settings.max_requests.unwrap_or(u32::MAX);
        let expected = app
            .spec
            .dynos
            .iter()
            .filter(|d| matches!(d.state, DynoState::Up | DynoState::Starting))
            .count() as u32;
        let depth = settings
            .queue_depth
            .unwrap_or(QUEUE_PER_DYNO * expected.max(1));
        let stretch = match waiting < depth {
            true => 0,
            false => app.stretch,
        };
        let full =
            asks.len() >= self.limits.asks_per_session || self.waiters.len() >= self.limits.waiting;
        let judged = !full && !app.spec.maintenance;
        let decision = self.decide(id, &waiter.tried);
        let refusal = if full {
            Some(Refusal::Overloaded)
        } else if app.spec.maintenance {
            Some(Refusal::Maintenance)
        } else if newcomer && self.in_flight(app) + waiting >= max.saturating_add(stretch) {
            Some(Refusal::TooManyRequests)
        } else {
            match &decision {
                Decision::Refuse(reason) => Some(*reason),
                Decision::Route(_) if self.recovery.is_none() => None,
                _ if newcomer && waiting >= depth + stretch => Some(Refusal::QueueFull),
                _ => None,
            }
        };
        let waits = refusal.is_none()
            && (self.recovery.is_some() || !matches!(decision, Decision::Route(_)));
        if judged {
            let index = self.index(id).unwrap();
            self.apps[index].stretch = match crowd && waits {
                true => stretch.max(waiting + 1),
                false => stretch,
            };
        }
        if let Some(reason) = refusal {
            return self.refuse(&waiter, reason);
        }
        waiter.deadline = match decision {
            Decision::Route(dynos) if self.recovery.is_none() => {
                return self.grant(&waiter, &dynos);
            }
            Decision::Route(_) | Decision::WaitBusy => {
                arrived + ask.served + settings.queue_timeout.unwrap_or(QUEUE_TIMEOUT)
            }
            _ => arrived + ask.served + settings.boot_timeout.unwrap_or(BOOT_TIMEOUT),
        };
        if waiter.deadline <= self.now {
            let reason = self.too_late(id);
            return self.refuse(&waiter, reason);
        }
        self.waiters.push(waiter);
        if matches!(decision, Decision::NeedDyno) {
            self.need_dyno(id);
        }
    }

    fn too_late(&self, app: u64) -> Refusal {
        let app = &self.apps[self.index(app).unwrap()];
        let dynos = app.spec.dynos.iter().zip(&app.dynos);
        let up: Vec<_> = dynos
            .filter(|(dyno, _)| dyno.state == DynoState::Up)
            .collect();
        if up.is_empty() {
            Refusal::BootTimeout
        } else if up.iter().all(|(_, trust)| trust.quarantine.is_some()) {
            Refusal::Quarantined
        } else {
            Refusal::QueueTimeout
        }
    }

    fn decide(&self, id: u64, tried: &[Box<str>]) -> Decision {
        let app = &self.apps[self.index(id).unwrap()];
        let dynos = || app.spec.dynos.iter().zip(&app.dynos);
        let up = dynos().filter(|(d, _)| d.state == DynoState::Up);
        let running = up.clone().filter(|(_, trust)| trust.quarantine.is_none());
        let fresh = running.filter(|(d, _)| !tried.contains(&d.instance));
        let free: Vec<_> = fresh
            .clone()
            .map(|(d, _)| (d, self.load(&d.instance)))
            .filter(|(d, load)| *load < Self::limit(app, d).unwrap_or(MAX_LOAD))
            .collect();
        if let Some(least) = free.iter().map(|(_, load)| *load).min() {
            let any = app.spec.settings.policy == Policy::Random;
            let best = free.into_iter().filter(|(_, load)| any || *load == least);
            return Decision::Route(best.map(|(d, _)| d.instance.clone()).collect());
        }
        let has = |state| app.spec.dynos.iter().any(|d| d.state == state);
        if fresh.count() > 0 {
            Decision::WaitBusy
        } else if has(DynoState::Starting) {
            Decision::WaitBoot
        } else if app.spec.dynos.iter().any(|d| tried.contains(&d.instance)) {
            Decision::Refuse(Refusal::NoOtherDyno)
        } else if up.count() > 0 {
            Decision::Refuse(Refusal::Quarantined)
        } else if has(DynoState::Crashed) {
            Decision::Refuse(Refusal::Crashed)
        } else if app.spec.settings.wake {
            Decision::NeedDyno
        } else if app.spec.released {
            Decision::Refuse(Refusal::NoDynos)
        } else {
            Decision::Refuse(Refusal::NeverReleased)
        }
    }

    fn need_dyno(&mut self, id: u64) {
        let index = self.index(id).unwrap();
        let waiting = self.queue(id).len() as u32;
        let app = &mut self.apps[index];
        if !std::mem::replace(&mut app.dyno_needed, true) {
            let name = app.spec.name.clone();
            let wanted = |event: &Event| match event {
                Event::NeedDyno { app, waiting: said } => **app == *name && *said == waiting,
                _ => false,
            };
            self.event(wanted, "NeedDyno");
        }
    }

    fn grant(&mut self, waiter: &Waiter, dynos: &[Box<str>]) {
        let answer = self.answer(waiter.session, waiter.ask);
        let route = answer
            .result
            .unwrap_or_else(|e| panic!("refused: {e:?}, free: {dynos:?}"));
        assert!(
            dynos.contains(&route.dyno.instance),
            "{route:?} is not among the best: {dynos:?}"
        );
        // Whoever came before could not have this dyno.
        for before in self.queue(waiter.app) {
            let place = |w: &Waiter| (w.arrived, w.joined);
            if before.ask != waiter.ask && place(&before) < place(waiter) {
                assert!(
                    before.tried.contains(&route.dyno.instance),
                    "{:?} overtakes",
                    waiter.ask
                );
            }
        }
        let instance = route.dyno.instance.clone();
        self.waiters
            .retain(|w| (w.session, w.ask) != (waiter.session, waiter.ask));
        let (session, ask, app) = (waiter.session, waiter.ask, waiter.app);
        self.leases.push(Lease {
            session,
            ask,
            instance: instance.clone(),
            app,
        });

        let app = &self.apps[self.index(app).unwrap()];
        let dyno = app
            .spec
            .dynos
            .iter()
            .find(|d| d.instance == instance)
            .unwrap();
        let limit = Self::limit(app, dyno);
        assert!(
            self.load(&instance) <= limit.unwrap_or(MAX_LOAD),
            "{route:?} beyond its limit"
        );
        assert_eq!(route.limited, limit.is_some());
        assert_eq!(
            (&*route.dyno.app, &*route.dyno.name, &route.dyno.address),
            (&*app.spec.name, &*dyno.name, &dyno.address)
        );
        let figures = (answer.depth, answer.in_use, answer.queue_headers);
        assert_eq!(
            figures,
            (
                self.waiting(app),
                self.in_use(app),
                app.spec.settings.queue_headers
            )
        );
        let waited = self.now.since(waiter.arrived);
        assert_eq!(answer.wait, waited.saturating_sub(waiter.served));
    }

    fn refuse(&mut self, waiter: &Waiter, reason: Refusal) {
        let answer = self.answer(waiter.session, waiter.ask);
        assert_eq!(answer.result, Err(reason));
        self.waiters
            .retain(|w| (w.session, w.ask) != (waiter.session, waiter.ask));
    }

    /// Decides anew for everybody who waits, one after the other.
    fn serve(&mut self, id: u64) {
        self.end_episode(id);
        if self.recovery.is_some() {
            return;
        }
        for waiter in self.queue(id) {
            if self.apps[self.index(id).unwrap()].spec.maintenance {
                self.refuse(&waiter, Refusal::Maintenance);
                continue;
            }
            match self.decide(id, &waiter.tried) {
                Decision::Route(dynos) => self.grant(&waiter, &dynos),
                Decision::Refuse(Refusal::Quarantined) => {}
                Decision::Refuse(reason) => self.refuse(&waiter, reason),
                Decision::NeedDyno => self.need_dyno(id),
                Decision::WaitBusy | Decision::WaitBoot => {}
            }
        }
        self.end_episode(id);
    }

    fn end_episode(&mut self, id: u64) {
        let Some(index) = self.index(id) else { return };
        let coming = |d: &DynoSpec| matches!(d.state, DynoState::Up | DynoState::Starting);
        let over = self.queue(id).is_empty() || self.apps[index].spec.dynos.iter().any(coming);
        self.apps[index].dyno_needed &= !over;
    }

    // Checkin.

    fn take_lease(&mut self, session: SessionKey, ask: AskId) -> Option<Lease> {
        let at = self
            .leases
            .iter()
            .position(|l| (l.session, l.ask) == (session, ask))?;
        Some(self.leases.remove(at))
    }

    pub(crate) fn cancel(&mut self, session: SessionKey, ask: AskId) {
        if let Some(lease) = self.take_lease(session, ask) {
            self.lease_ended(&lease);
        }
        self.waiters
            .retain(|w| (w.session, w.ask) != (session, ask));
        self.apps
            .iter()
            .map(|app| app.id)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|id| {
                self.end_episode(id);
            });
    }

    pub(crate) fn checkin(&mut self, session: SessionKey, ask: AskId, outcome: Outcome) {
        let lease = self
            .leases
            .iter()
            .find(|l| (l.session, l.ask) == (session, ask))
            .cloned();
        if let Some(lease) = lease
            && let Some(index) = self.index(lease.app)
        {
            let app = &mut self.apps[index];
            let dyno = app
                .spec
                .dynos
                .iter()
                .position(|d| d.instance == lease.instance);
            if let Some(dyno) = dyno {
                let up = app.spec.dynos[dyno].state == DynoState::Up;
                let trust = &mut app.dynos[dyno];
                match outcome {
                    Outcome::Done => trust.strikes = 0,
                    Outcome::Failed | Outcome::Unused => {}
                    Outcome::Refused | Outcome::ConnectTimeout => {
                        if up && trust.quarantine.is_none() {
                            let first = self.limits.quarantine_first * (1 << trust.strikes.min(10));
                            let span = first.min(self.limits.quarantine_longest);
                            trust.strikes += 1;
                            trust.quarantine = Some(self.now + span);
                            self.event(
                                |event| {
                                    matches!(event, Event::Quarantined(info, said)
                                    if info.instance == lease.instance && *said == span)
                                },
                                "Quarantined",
                            );
                        }
                    }
                }
            }
        }
        self.cancel(session, ask);
    }

    fn lease_ended(&mut self, lease: &Lease) {
        if let Some(index) = self.index(lease.app) {
            let dynos = &self.apps[index].spec.dynos;
            let drained = dynos.iter().any(|d| {
                d.instance == lease.instance
                    && d.state == DynoState::Draining
                    && self.load(&d.instance) == 0
            });
            if drained {
                self.expect_drained(&lease.instance);
            }
            self.serve(lease.app);
        }
    }

    /// Unless somebody may have a lease of it that is not known yet.
    fn expect_drained(&mut self, instance: &str) {
        if self.recovery.is_some() {
            return;
        }
        self.event(
            |event| matches!(event, Event::Drained(info) if *info.instance == *instance),
            "Drained",
        );
    }

    // Sessions.

    pub(crate) fn close(&mut self, session: SessionKey) {
        let Some(at) = self.sessions.iter().position(|s| s.key == session) else {
            return;
        };
        self.sessions.remove(at);
        self.leave_queues(session);
        let mut asks = self.asks_of(session);
        asks.sort_by_key(|ask| ask.0);
        for ask in asks {
            self.cancel(session, ask);
        }
    }

    fn leave_queues(&mut self, session: SessionKey) {
        self.waiters.retain(|w| w.session != session);
        for id in self.apps.iter().map(|app| app.id).collect::<Vec<_>>() {
            self.end_episode(id);
        }
    }

    pub(crate) fn lose(&mut self, session: SessionKey) {
        let until = self.now + self.limits.session_grace;
        let found = self
            .sessions
            .iter_mut()
            .find(|s| s.key == session && s.lost_until.is_none());
        if let Some(found) = found {
            found.lost_until = Some(until);
            self.leave_queues(session);
        }
    }

    /// `key` is what the mesh gave, `None` for an error.
    pub(crate) fn hello(
        &mut self,
        worker: usize,
        held: &[(AskId, Box<str>)],
        key: Option<SessionKey>,
    ) {
        let old = self.session_of(worker).map(|s| s.key);
        let full = old.is_none() && self.sessions.len() >= self.limits.sessions;
        assert_eq!(key.is_none(), full);
        let Some(key) = key else { return };
        for (ask, instance) in held.iter().take(self.limits.asks_per_session) {
            if self
                .leases
                .iter()
                .any(|l| (l.session, l.ask) == (key, *ask))
            {
                continue;
            }
            let known = self
                .apps
                .iter()
                .find(|a| a.spec.dynos.iter().any(|d| d.instance == *instance));
            let leased = self
                .leases
                .iter()
                .find(|l| l.instance == *instance)
                .map(|l| l.app);
            if let Some(app) = known.map(|a| a.id).or(leased) {
                let (ask, instance) = (*ask, instance.clone());
                self.leases.push(Lease {
                    session: key,
                    ask,
                    instance,
                    app,
                });
            }
        }
        if let Some(old) = old {
            self.close(old);
        }
        self.sessions.push(Session {
            worker,
            key,
            lost_until: None,
        });
        self.gone(worker);
    }

    pub(crate) fn gone(&mut self, worker: usize) {
        if let Some((missing, _)) = &mut self.recovery {
            missing.remove(&worker);
            if missing.is_empty() {
                self.end_recovery();
            }
        }
    }

    fn end_recovery(&mut self) {
        self.recovery = None;
        let mut all: Vec<_> = self
            .apps
            .iter()
            .map(|a| (a.spec.name.clone(), a.id))
            .collect();
        all.sort();
        for (_, id) in all {
            let dynos = self.apps[self.index(id).unwrap()].spec.dynos.clone();
            for dyno in dynos {
                if dyno.state == DynoState::Draining && self.load(&dyno.instance) == 0 {
                    self.expect_drained(&dyno.instance);
                }
            }
            self.serve(id);
        }
    }

    // Time.

    /// Everything due at this very moment.
    pub(crate) fn timeout(&mut self) {
        let now = self.now;
        loop {
            // Those with the same deadline give up in any order.
            let due: Vec<_> = self
                .waiters
                .iter()
                .filter(|w| w.deadline <= now)
                .cloned()
                .collect();
            if due.is_empty() {
                break;
            }
            let next = match self.outputs.front() {
                Some(Output::Answer(a)) => (a.session, a.ask),
                other => panic!("{} waited too long, and {other:?} is said", due.len()),
            };
            let waiter = due
                .iter()
                .find(|w| (w.session, w.ask) == next)
                .expect("it is due");
            let reason = self.too_late(waiter.app);
            self.refuse(waiter, reason);
            self.end_episode(waiter.app);
        }
        for id in self.apps.iter().map(|app| app.id).collect::<Vec<_>>() {
            let index = self.index(id).unwrap();
            for dyno in 0..self.apps[index].dynos.len() {
                if self.apps[index].dynos[dyno]
                    .quarantine
                    .is_some_and(|until| until <= now)
                {
                    self.apps[index].dynos[dyno].quarantine = None;
                    self.serve(id);
                }
            }
        }
        let over = |s: &&Session| s.lost_until.is_some_and(|until| until <= now);
        for session in self
            .sessions
            .iter()
            .filter(over)
            .map(|s| s.key)
            .collect::<Vec<_>>()
        {
            self.close(session);
        }
        if self
            .recovery
            .as_ref()
            .is_some_and(|(_, until)| *until <= now)
        {
            self.end_recovery();
        }
    }

    // Changes.

    pub(crate) fn apply(&mut self, update: &Update) {
        let name = update.app();
        let index = self.apps.iter().position(|app| *app.spec.name == *name);
        match update {
            Update::Put(spec) => self.put(index, spec),
            Update::Remove(_) => {
                if let Some(index) = index {
                    let id = self.apps[index].id;
                    for waiter in self.queue(id) {
                        self.refuse(&waiter, Refusal::UnknownName);
                    }
                    self.apps.remove(index);
                }
            }
        }
    }

    fn put(&mut self, index: Option<usize>, spec: &AppSpec) {
        let index = index.unwrap_or_else(|| {
            self.serial += 1;
            let (id, spec) = (self.serial, AppSpec::default());
            self.apps.push(App {
                id,
                spec,
                dynos: vec![],
                dyno_needed: false,
                stretch: 0,
            });
            self.apps.len() - 1
        });
        let id = self.apps[index].id;
        let mut trust = vec![];
        for dyno in &spec.dynos {
            let app = &self.apps[index];
            let known = app
                .spec
                .dynos
                .iter()
                .position(|d| d.instance == dyno.instance);
            match known {
                Some(at) if app.spec.dynos[at].state == dyno.state => {
                    trust.push(app.dynos[at].clone());
                    continue;
                }
                Some(_) if dyno.state == DynoState::Draining && self.load(&dyno.instance) == 0 => {
                    self.expect_drained(&dyno.instance);
                }
                Some(_) => {}
                // What an earlier life of it holds is its own again.
                None => {
                    let own = self
                        .leases
                        .iter_mut()
                        .filter(|l| l.instance == dyno.instance);
                    own.for_each(|lease| lease.app = id);
                }
            }
            trust.push(Trust::default());
        }
        self.apps[index].spec = spec.clone();
        self.apps[index].dynos = trust;
        self.serve(id);
    }
}
