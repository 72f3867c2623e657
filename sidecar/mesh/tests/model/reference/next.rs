//! Who is next, and a lease that is handed on.

use mesh::{AskId, Next, Outcome, SessionKey};

use super::{App, Lease, Reference, Waiter};

impl Reference {
    /// Leases of a session, each with a request that waits for the same app there.
    pub(crate) fn heirs(&self, session: SessionKey) -> Vec<(AskId, AskId)> {
        let own = self.leases.iter().filter(|l| l.session == session);
        let leases = own.filter(|l| !l.ahead);
        let heirs = leases.flat_map(|lease| {
            let all = self.waiters.iter().filter(|w| w.session == session);
            let same = all.filter(|w| w.app == lease.app);
            same.map(|waiter| (lease.ask, waiter.ask))
        });
        heirs.collect()
    }

    /// The request that waits has the lease, which is not free in between. Of anything else
    /// it has what its router says: the dyno of a lease that is known.
    pub(crate) fn hand_on(&mut self, session: SessionKey, ask: AskId, next: AskId) {
        let lease = self.lease(session, ask);
        let waits = |w: &&Waiter| (w.session, w.ask) == (session, next);
        let waiter = self.waiters.iter().find(waits).cloned();
        let pair = lease.zip(waiter);
        if let Some((lease, waiter)) = pair.filter(|(lease, waiter)| lease.app == waiter.app) {
            self.leases.retain(|l| (l.session, l.ask) != (session, ask));
            self.waiters
                .retain(|w| (w.session, w.ask) != (session, next));
            self.give(&lease, next);
            self.trust(&lease);
            self.note_lease(lease.app, 1);
            self.end_episode(waiter.app);
            return;
        }
        self.cancel(session, next);
        if let Some(lease) = self.lease(session, ask) {
            self.give(&lease, next);
            self.note_lease(lease.app, 0);
        }
        self.checkin(session, ask, Outcome::Done);
    }

    fn lease(&self, session: SessionKey, ask: AskId) -> Option<Lease> {
        let of = |lease: &&Lease| (lease.session, lease.ask) == (session, ask);
        let lease = self.leases.iter().find(of);
        lease.filter(|lease| !lease.ahead).cloned()
    }

    fn give(&mut self, lease: &Lease, ask: AskId) {
        self.leases.push(Lease {
            ask,
            ..lease.clone()
        });
    }

    /// It served a request.
    fn trust(&mut self, lease: &Lease) {
        if let Some(index) = self.index(lease.app) {
            let app = &mut self.apps[index];
            let mut dynos = app.spec.dynos.iter().zip(&mut app.dynos);
            let dyno = dynos.find(|(dyno, _)| dyno.instance == lease.instance);
            if let Some((_, trust)) = dyno {
                trust.strikes = 0;
            }
        }
    }

    /// There is such an app, or there was and it has leases.
    pub(crate) fn has(&self, app: u64) -> bool {
        self.index(app).is_some() || self.leases.iter().any(|lease| lease.app == app)
    }

    /// Nobody is before it who is another session's, or would not take any dyno.
    pub(crate) fn check_next(&self, app: u64, next: &Next) {
        let queue = self.queue(app);
        let is_it = |w: &Waiter| (w.session, Some(w.ask)) == (next.session, next.ask);
        let Some(at) = queue.iter().position(is_it) else {
            return;
        };
        for waiter in &queue[..=at] {
            let any = waiter.tried.is_empty() && waiter.prefer.is_none();
            assert!(waiter.session == next.session && any, "{next:?}");
        }
        let settings = &self.apps[self.index(app).unwrap()].spec.settings;
        let said = (next.counted, next.queue_headers);
        let expected = (settings.max_requests.is_some(), settings.queue_headers);
        assert_eq!(said, expected);
    }

    /// The first of each queue that would take any dyno.
    pub(crate) fn firsts(&self) -> Vec<(SessionKey, AskId)> {
        let may_end = |app: &&App| {
            let mut leases = self.leases.iter();
            leases.any(|lease| lease.app == app.id && lease.goes_on)
        };
        let busy = self.apps.iter().filter(may_end);
        let queues = busy.map(|app| self.queue(app.id));
        let firsts = queues.filter_map(|queue| queue.into_iter().next());
        let any = firsts.filter(|w| w.tried.is_empty() && w.prefer.is_none());
        let any = any.filter(|_| self.recovery.is_none());
        any.map(|first| (first.session, first.ask)).collect()
    }
}
