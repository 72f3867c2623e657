//! Routers come and go.

use mesh::{AskId, DynoState, SessionKey, Time};

use super::{Lease, Reference, Session};

impl Reference {
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
                    reserved: false,
                    ahead: false,
                    goes_on: false,
                });
                self.note_lease(app, 0);
            }
        }
        if let Some(old) = old {
            self.close(old);
        }
        self.sessions.push(Session {
            worker,
            key,
            lost_until: None,
            newest: Time::default(),
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

    pub(super) fn end_recovery(&mut self) {
        self.recovery = None;
        let mut all: Vec<_> = self
            .apps
            .iter()
            .map(|a| (a.spec.name.clone(), a.id))
            .collect();
        all.sort();
        for (_, id) in all {
            let dynos = self.apps[self.index(id).unwrap()].spec.dynos.clone();
            for dyno in &dynos {
                if dyno.state == DynoState::Draining && self.load(&dyno.instance) == 0 {
                    self.expect_drained(&dyno.instance);
                }
            }
            self.serve(id);
        }
    }
}
