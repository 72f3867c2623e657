//! What there is, found the slow way.

use std::time::Duration;

use mesh::{AskId, DynoSpec, DynoState, Policy, SessionKey, Time};

use super::{App, Lease, Reference, Session, Waiter};

impl Reference {
    pub(crate) fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| *app.spec.name == *name)
    }

    pub(crate) fn index(&self, id: u64) -> Option<usize> {
        self.apps.iter().position(|app| app.id == id)
    }

    pub(crate) fn by_domain(&self, name: &str) -> Option<u64> {
        let name = name.split(':').next().unwrap().to_lowercase();
        let all = self
            .apps
            .iter()
            .flat_map(|app| app.spec.domains.iter().map(|d| (d, app.id)));
        // An exact name before a wildcard, a longer wildcard before a shorter one.
        all.filter(|(domain, _)| Self::fits(domain, &name))
            .max_by_key(|(domain, _)| (!domain.starts_with('*'), domain.len()))
            .map(|(_, id)| id)
    }

    /// A domain stands for a name, or for all that another domain does.
    pub(crate) fn fits(domain: &str, name: &str) -> bool {
        match domain.strip_prefix('*') {
            Some(end) => name.ends_with(end) && name.len() > end.len(),
            None => *domain == *name,
        }
    }

    /// What counts when dynos are chosen.
    pub(crate) fn load(&self, instance: &str) -> u32 {
        self.leases
            .iter()
            .filter(|lease| *lease.instance == *instance)
            .count() as u32
    }

    /// What people see of it: what is reserved is none, unless it can only come to
    /// an end any more.
    pub(crate) fn seen_load(&self, dyno: &DynoSpec) -> u32 {
        let seen = |lease: &&Lease| !lease.reserved || dyno.state != DynoState::Up;
        let all = self.leases.iter().filter(|l| l.instance == dyno.instance);
        all.filter(seen).count() as u32
    }

    /// The app for which this request waits, and no other does.
    pub(crate) fn waits_alone(&self, session: SessionKey, ask: AskId) -> Option<u64> {
        let this = |w: &&Waiter| (w.session, w.ask) == (session, ask);
        let app = self.waiters.iter().find(this)?.app;
        (self.queue(app).len() == 1).then_some(app)
    }

    pub(crate) fn in_flight(&self, app: &App) -> u32 {
        self.leases
            .iter()
            .filter(|lease| lease.app == app.id && !lease.reserved)
            .count() as u32
    }

    pub(super) fn in_use(&self, app: &App) -> u32 {
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

    /// What the first one spent in the queue.
    pub(crate) fn first_wait(&self, app: &App) -> Duration {
        let queue = self.queue(app.id);
        queue.first().map_or(Duration::ZERO, |w| {
            self.now.since(w.arrived).saturating_sub(w.served)
        })
    }

    pub(super) fn queue(&self, app: u64) -> Vec<Waiter> {
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
        let hints = self.apps.iter().flat_map(|app| self.next_hints(app));
        let patience = self.limits.node_patience;
        let nodes = self.nodes.values().map(|node| node.heard + patience);
        let all = waiters.chain(dynos).chain(sessions).chain(recovery);
        all.chain(hints).chain(nodes).min()
    }
}
