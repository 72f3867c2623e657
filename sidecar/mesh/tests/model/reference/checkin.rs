//! A lease ends, a request is given up.

use mesh::{AskId, DynoState, Event, Outcome, SessionKey};

use super::{Lease, Reference};

impl Reference {
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

    /// Returns the app of a dyno that is in quarantine now.
    pub(crate) fn checkin(
        &mut self,
        session: SessionKey,
        ask: AskId,
        outcome: Outcome,
    ) -> Option<u64> {
        // A request had it, if only now one hears of that.
        self.taken(session, ask);
        let mut struck = None;
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
                            struck = Some(lease.app);
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
        struck
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
    pub(super) fn expect_drained(&mut self, instance: &str) {
        if self.recovery.is_some() {
            return;
        }
        self.event(
            |event| matches!(event, Event::Drained(info) if *info.instance == *instance),
            "Drained",
        );
    }
}
