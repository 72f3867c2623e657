//! Which workers there are: the disk knows each from its hello to the end of
//! its last session, so that after a restart it is known who may hold leases.

use mesh::{SessionKey, Time, WorkerId};

use super::{
    Changes, Driver,
    state::{State, WorkerName},
};

impl Driver {
    /// All that have a session, or had one just now, by host and process.
    pub fn workers(&self) -> Vec<WorkerName> {
        let mut all: Vec<_> = self.act_on_state(None, |state, _| {
            let workers = state.workers.values();
            workers.map(|latest| latest.process.clone()).collect()
        });
        all.sort_unstable_by(|a, b| (&a.node, a.pid).cmp(&(&b.node, b.pid)));
        all
    }

    pub(super) fn close_session(&self, worker: WorkerId, key: SessionKey) {
        self.act_on_state(None, |state, now| {
            state.mesh.close_session(key, now);
            state.sessions.remove(&key);
            self.traces.share(&state.sessions, None);
            state.end_worker(worker, key, &self.changes);
        });
        tracing::info!(worker = name(worker), "a worker closed its session");
    }

    pub(super) fn lose_session(&self, worker: WorkerId, key: SessionKey) {
        let grace = self.limits.session_grace;
        let lost = self.act_on_state(None, |state, now| {
            state.mesh.lose_session(key, now);
            state.lost.push_back((now + grace, worker, key));
            let lost = state.sessions.remove(&key).is_some();
            self.traces.share(&state.sessions, None);
            lost
        });
        // Otherwise somebody else ended it: a later session, or the stop.
        if lost {
            tracing::warn!(worker = name(worker), ?grace, "a worker's session broke");
        }
    }

    /// Does what is due. Returns when to come again.
    pub(super) fn pass_time(&self) -> Option<Time> {
        self.act_on_state(None, |state, now| {
            state.mesh.handle_timeout(now);
            state.end_lost(now, &self.changes);
            state.armed = state.mesh.poll_timeout();
            state.armed
        })
    }

    /// Nobody waits for this worker any more. Says whether it was still away.
    pub(super) fn give_up_worker(&self, worker: WorkerId) -> bool {
        self.act_on_state(None, |state, now| {
            let away = !state.workers.contains_key(&worker);
            if away {
                state.mesh.worker_gone(worker, now);
                self.changes.forget(worker);
            }
            away
        })
    }
}

/// A worker's number, as it is logged.
pub(super) fn name(worker: WorkerId) -> String {
    format!("{:016x}", worker.0)
}

impl State {
    /// If this was the worker's last session, it is forgotten, also on disk. Not
    /// while stopping: the next process shall know who was there.
    ///
    /// This happens under the lock, so that it is never told to the disk after
    /// that the worker is back.
    fn end_worker(&mut self, worker: WorkerId, key: SessionKey, changes: &Changes) {
        let latest = self.workers.get(&worker).map(|latest| latest.key);
        if !self.stopping && latest == Some(key) {
            self.workers.remove(&worker);
            changes.forget(worker);
        }
    }

    /// Ends the workers whose grace is over.
    fn end_lost(&mut self, now: Time, changes: &Changes) {
        while let Some((_, worker, key)) = self.lost.pop_front_if(|(until, ..)| *until <= now) {
            self.end_worker(worker, key, changes);
        }
    }
}
