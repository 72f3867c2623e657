//! A request comes: route, wait or refuse.

use std::time::Duration;

use mesh::{
    Ask, BOOT_TIMEOUT, DynoSpec, DynoState, Event, MAX_LOAD, Policy, Prefer, QUEUE_PER_DYNO,
    QUEUE_TIMEOUT, Refusal, SessionKey, mark,
};

use super::{App, Decision, Lease, Reference, Waiter};

fn is_preferred(prefer: Option<Prefer>, dyno: &DynoSpec) -> bool {
    prefer == Some(Prefer::Dyno(mark(&dyno.instance)))
}

impl Reference {
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
        let mut arrived = self.now.before(ask.waited);
        if !ask.held && ask.tried.is_empty() {
            let mut sessions = self.sessions.iter_mut();
            let asking = sessions.find(|it| it.key == session).unwrap();
            arrived = arrived.max(asking.newest);
            asking.newest = arrived;
        }
        let Some(id) = self.by_domain(ask.name) else {
            let answer = self.answer(session, ask.id);
            assert_eq!(
                (answer.result, answer.app),
                (Err(Refusal::UnknownName), None)
            );
            return;
        };
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
            prefer: ask.prefer,
            passes_on: ask.passes_on,
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
        let first = judged && newcomer && ask.served.is_zero();
        let seconds = if first { self.too_soon(id) } else { None };
        let app = &self.apps[self.index(id).unwrap()];
        let decision = self.decide(id, &waiter.tried, waiter.prefer);
        let refusal = if full {
            Some(Refusal::Overloaded)
        } else if app.spec.maintenance {
            Some(Refusal::Maintenance)
        } else if let Some(seconds) = seconds {
            Some(Refusal::RateLimited(seconds))
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
        self.watch_wait(id);
    }

    pub(super) fn too_late(&self, app: u64) -> Refusal {
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

    fn decide(&self, id: u64, tried: &[Box<str>], prefer: Option<Prefer>) -> Decision {
        let app = &self.apps[self.index(id).unwrap()];
        let dynos = || app.spec.dynos.iter().zip(&app.dynos);
        let up = dynos().filter(|(d, _)| d.state == DynoState::Up);
        let running = up.clone().filter(|(_, trust)| trust.quarantine.is_none());
        let fresh = running.filter(|(d, _)| !tried.contains(&d.instance));
        let free: Vec<_> = fresh
            .clone()
            .map(|(d, _)| (d, self.load(&d.instance) + self.elsewhere(&d.instance)))
            .filter(|(d, load)| *load < Self::limit(app, d).unwrap_or(MAX_LOAD))
            .collect();
        let preferred = free.iter().find(|(d, _)| is_preferred(prefer, d));
        if let Some((dyno, _)) = preferred {
            return Decision::Route(vec![dyno.instance.clone()]);
        }
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
        let before = self.waiters.len();
        self.waiters
            .retain(|w| (w.session, w.ask) != (waiter.session, waiter.ask));
        let waited = self.waiters.len() < before;
        let (session, ask, app) = (waiter.session, waiter.ask, waiter.app);
        // Who waited is none of many.
        let again = match waited {
            true => Duration::ZERO,
            false => self.again(waiter, &instance),
        };
        assert_eq!(route.again, again);
        let passes = !again.is_zero();
        self.leases.push(Lease {
            session,
            ask,
            instance: instance.clone(),
            app,
            reserved: false,
            ahead: passes,
            goes_on: route.edition.is_some(),
        });
        self.note_lease(app, u64::from(!passes));

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
        assert_eq!(route.edition.is_some(), limit.is_some());
        let most = app.spec.settings.max_requests;
        assert_eq!(route.counted, most.is_some());
        assert_eq!(route.gone, Self::is_gone(app, waiter, &instance));
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

    /// A preferred dyno is said to be gone: not because it is busy.
    fn is_gone(app: &App, waiter: &Waiter, given: &str) -> bool {
        let mut dynos = app.spec.dynos.iter().zip(&app.dynos);
        let preferred = dynos.find(|(dyno, _)| is_preferred(waiter.prefer, dyno));
        waiter.prefer.is_some()
            && preferred.is_none_or(|(dyno, trust)| {
                let failed = trust.quarantine.is_some() || waiter.tried.contains(&dyno.instance);
                *dyno.instance != *given && (dyno.state != DynoState::Up || failed)
            })
    }

    pub(super) fn refuse(&mut self, waiter: &Waiter, reason: Refusal) {
        let answer = self.answer(waiter.session, waiter.ask);
        assert_eq!(answer.result, Err(reason));
        self.waiters
            .retain(|w| (w.session, w.ask) != (waiter.session, waiter.ask));
    }

    /// Decides anew for everybody who waits, one after the other.
    pub(super) fn serve(&mut self, id: u64) {
        self.end_episode(id);
        if self.recovery.is_some() {
            return;
        }
        for waiter in self.queue(id) {
            if self.apps[self.index(id).unwrap()].spec.maintenance {
                self.refuse(&waiter, Refusal::Maintenance);
                continue;
            }
            match self.decide(id, &waiter.tried, waiter.prefer) {
                Decision::Route(dynos) => self.grant(&waiter, &dynos),
                Decision::Refuse(Refusal::Quarantined) => {}
                Decision::Refuse(reason) => self.refuse(&waiter, reason),
                Decision::NeedDyno => self.need_dyno(id),
                Decision::WaitBusy | Decision::WaitBoot => {}
            }
        }
        self.end_episode(id);
    }

    pub(super) fn end_episode(&mut self, id: u64) {
        let Some(index) = self.index(id) else { return };
        let coming = |d: &DynoSpec| matches!(d.state, DynoState::Up | DynoState::Starting);
        let over = self.queue(id).is_empty() || self.apps[index].spec.dynos.iter().any(coming);
        self.apps[index].dyno_needed &= !over;
    }
}
