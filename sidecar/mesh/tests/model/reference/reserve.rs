//! Leases ahead, and who has to give them back.

use std::{collections::BTreeSet, time::Duration};

use mesh::{AskId, DynoSpec, DynoState, MAX_LOAD, Output, Policy, Reserved, SessionKey, Update};

use super::{App, Lease, Reference, Waiter};

impl Reference {
    /// Says whether it is taken, like the mesh. If so, `said` is what was said.
    pub(crate) fn reserve(
        &mut self,
        (session, first, count): (SessionKey, AskId, u32),
        name: &str,
        said: Option<&Output>,
    ) -> bool {
        let count = count.min(self.limits.reserved);
        let numbers = first.0..first.0 + u64::from(count);
        let used = self.asks_of(session);
        let open = self
            .sessions
            .iter()
            .any(|s| s.key == session && s.lost_until.is_none());
        if !open || used.iter().any(|ask| numbers.contains(&ask.0)) {
            assert_eq!(said, None);
            return false;
        }
        let Some(Output::Reserved(reserved)) = said else {
            panic!("{said:?} is no reservation");
        };
        assert_eq!((reserved.session, reserved.first), (session, first));
        let room = self.limits.asks_per_session - used.len();
        let most = (count as usize).min(room);
        assert!(reserved.dynos.len() <= most, "{reserved:?}");
        let app = self.by_domain(name);
        self.take_reserved(app, reserved, most);
        let app = app.and_then(|id| self.index(id)).map(|at| &self.apps[at]);
        let figures = (reserved.in_use, reserved.others, reserved.queue_headers);
        let expected = app.filter(|app| self.is_open(app)).map(|app| {
            let others = self.candidates(app).saturating_sub(1);
            (self.in_use(app), others, app.spec.settings.queue_headers)
        });
        assert_eq!(figures, expected.unwrap_or_default());
        true
    }

    /// For how long a lease that was asked for may be passed on.
    pub(super) fn again(&self, waiter: &Waiter, instance: &str) -> Duration {
        let app = &self.apps[self.index(waiter.app).unwrap()];
        let mut dynos = app.spec.dynos.iter();
        let dyno = dynos.find(|dyno| *dyno.instance == *instance).unwrap();
        let any = waiter.prefer.is_none() && waiter.tried.is_empty();
        let limited = Self::limit(app, dyno).is_some();
        let alone = app.spec.settings.policy == Policy::Random;
        match waiter.passes_on && any && self.is_open(app) && !limited && !alone {
            true => Duration::from_millis(250),
            false => Duration::ZERO,
        }
    }

    /// Each is of one of the best dynos, and there are fewer only for a reason.
    fn take_reserved(&mut self, app: Option<u64>, reserved: &Reserved, most: usize) {
        for (ask, dyno) in (reserved.first.0..).zip(&reserved.dynos) {
            let id = app.expect("nobody has the name");
            let app = &self.apps[self.index(id).unwrap()];
            assert!(self.is_open(app), "others wait, or are counted");
            let best = self.best(app);
            let found = best.iter().find(|(instance, _)| *instance == dyno.instance);
            assert_eq!(found.map(|(_, limited)| *limited), Some(false), "{best:?}");
            self.leases.push(Lease {
                session: reserved.session,
                ask: AskId(ask),
                instance: dyno.instance.clone(),
                app: id,
                reserved: true,
                ahead: true,
                goes_on: false,
            });
        }
        let app = app.map(|id| &self.apps[self.index(id).unwrap()]);
        if let Some(app) = app.filter(|app| self.is_open(app))
            && reserved.dynos.len() < most
        {
            let best = self.best(app);
            let stop = best.is_empty() || best.iter().any(|(_, limited)| *limited);
            assert!(stop, "{best:?} could be had, too");
        }
    }

    /// Whoever came would be served, as far as the app is concerned.
    fn is_open(&self, app: &App) -> bool {
        let settings = &app.spec.settings;
        let limited = settings.max_requests.is_some() || settings.max_rate.is_some();
        let waits = self.waiting(app) > 0;
        self.recovery.is_none() && !app.spec.maintenance && !limited && !waits
    }

    /// The instances that a request may get now, and whether they have a limit.
    fn best(&self, app: &App) -> Vec<(Box<str>, bool)> {
        let dynos = app.spec.dynos.iter().zip(&app.dynos);
        let up =
            dynos.filter(|(dyno, trust)| dyno.state == DynoState::Up && trust.quarantine.is_none());
        let sum = |dyno: &DynoSpec| self.load(&dyno.instance) + self.elsewhere(&dyno.instance);
        let all = up.map(|(dyno, _)| (dyno, sum(dyno), Self::limit(app, dyno)));
        let free: Vec<_> = all
            .filter(|(_, load, limit)| *load < limit.unwrap_or(MAX_LOAD))
            .collect();
        let least = free.iter().map(|(_, load, _)| *load).min();
        let any = app.spec.settings.policy == Policy::Random;
        let best = free.into_iter().filter(|it| any || Some(it.1) == least);
        best.map(|(dyno, _, limit)| (dyno.instance.clone(), limit.is_some()))
            .collect()
    }

    fn candidates(&self, app: &App) -> u32 {
        let dynos = app.spec.dynos.iter().zip(&app.dynos);
        let coming = dynos.filter(|(dyno, trust)| match dyno.state {
            DynoState::Up => trust.quarantine.is_none(),
            state => state == DynoState::Starting,
        });
        coming.count() as u32
    }

    /// A request has it now, and no other one will.
    pub(crate) fn taken(&mut self, session: SessionKey, ask: AskId) {
        let mut all = self.leases.iter_mut().filter(|l| l.ahead);
        if let Some(lease) = all.find(|l| (l.session, l.ask) == (session, ask)) {
            (lease.reserved, lease.ahead) = (false, false);
            let app = lease.app;
            self.note_lease(app, 1);
            self.settle();
        }
    }

    /// One request after the other has it.
    pub(crate) fn passed(&mut self, session: SessionKey, ask: AskId) {
        let mut all = self.leases.iter_mut().filter(|l| l.reserved);
        if let Some(lease) = all.find(|l| (l.session, l.ask) == (session, ask)) {
            lease.reserved = false;
            let app = lease.app;
            self.note_lease(app, 0);
            self.settle();
        }
    }

    /// What this session has ahead.
    pub(crate) fn ahead_of(&self, session: SessionKey) -> Vec<AskId> {
        let own = self.leases.iter().filter(|l| l.session == session);
        own.filter(|l| l.ahead).map(|l| l.ask).collect()
    }

    /// The apps for whose requests a change may mean another dyno, or none.
    pub(crate) fn affected(&self, update: &Update) -> BTreeSet<u64> {
        let own = self.app(update.app()).map(|app| app.id);
        let named = match update {
            Update::Put(spec) => &spec.domains[..],
            Update::Remove(_) => &[],
        };
        let named = named.iter().filter_map(|name| self.by_domain(name));
        own.into_iter().chain(named).collect()
    }

    /// The domains that lead to the app and will not any more.
    pub(crate) fn lost(&self, update: &Update) -> Vec<Box<str>> {
        let stay = match update {
            Update::Put(spec) => &spec.domains[..],
            Update::Remove(_) => &[],
        };
        let app = self.app(update.app());
        let had = app.iter().flat_map(|app| &app.spec.domains);
        had.filter(|domain| !stay.contains(domain))
            .cloned()
            .collect()
    }

    /// Who has something of these apps ahead.
    pub(crate) fn holders(&self, apps: &BTreeSet<u64>) -> BTreeSet<SessionKey> {
        let ahead = self.leases.iter().filter(|lease| lease.ahead);
        let theirs = ahead.filter(|lease| apps.contains(&lease.app));
        theirs.map(|lease| lease.session).collect()
    }
}
