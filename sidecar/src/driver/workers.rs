//! Which workers there are: the disk knows each from its hello to the end of
//! its last session, so that after a restart it is known who may hold leases.

use std::time::Duration;

use mesh::{SessionKey, Time, WorkerId};

use super::{
    Changes, Driver,
    state::{Lost, State, WorkerName},
};
use crate::store::WorkerProcess;

/// How often it is looked whether a worker lives whose session broke.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_AT_ONCE: Duration = Duration::from_millis(1);

impl Driver {
    /// All that have a session, or had one just now, by host and process.
    pub fn workers(&self) -> Vec<WorkerName> {
        let mut all: Vec<_> = self.act_on_state(None, |state, _| {
            let workers = state.workers.values();
            workers.map(|latest| latest.name.clone()).collect()
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
            state.lost.push(Lost {
                until: now + grace,
                at_last: now + self.limits.recovery.max(grace),
                worker,
                key,
            });
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
        let looked_at = self.look_for_lost();
        self.act_on_state(None, |state, now| {
            state.keep_lost(&looked_at, now);
            state.mesh.handle_timeout(now);
            state.end_lost(now, &self.changes);
            state.armed = state.mesh.poll_timeout();
            state.armed
        })
    }

    /// Which of those whose grace is over live. That is asked of the kernel, not under the
    /// lock.
    fn look_for_lost(&self) -> Vec<(SessionKey, bool)> {
        let due: Vec<_> = {
            let state = self.state.lock();
            let now = self.clock.now();
            state.waits_for(now).collect()
        };
        due.into_iter()
            .map(|(key, process)| (key, process.may_live()))
            .collect()
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

    /// Lost sessions whose grace is over, and whose worker can be seen from here and has
    /// not come again.
    fn waits_for(&self, now: Time) -> impl Iterator<Item = (SessionKey, WorkerProcess)> {
        let due = move |lost: &&Lost| lost.until <= now && now < lost.at_last;
        self.lost.iter().filter(due).filter_map(|lost| {
            let latest = self.workers.get(&lost.worker)?;
            let is_known = latest.key == lost.key && latest.process != WorkerProcess::UNKNOWN;
            is_known.then_some((lost.key, latest.process))
        })
    }

    /// A worker that lives still works on what it holds, and so do its dynos: it is out of
    /// breath, and its leases are nobody else's yet.
    fn keep_lost(&mut self, looked_at: &[(SessionKey, bool)], now: Time) {
        let due: Vec<_> = self.waits_for(now).map(|(key, _)| key).collect();
        for key in due {
            let lives = looked_at.iter().find(|(at, _)| *at == key);
            let until = match lives {
                Some((_, false)) => continue,
                Some((_, true)) => now + LOOK_EVERY,
                // It was not due a moment ago.
                None => now + LOOK_AT_ONCE,
            };
            self.mesh.keep_lost(key, until);
            let mut lost = self.lost.iter_mut();
            if let Some(lost) = lost.find(|lost| lost.key == key) {
                lost.until = until;
            }
        }
    }

    /// Ends the workers that are not waited for any more.
    fn end_lost(&mut self, now: Time, changes: &Changes) {
        let over = self.lost.extract_if(.., |lost| lost.until <= now);
        for lost in over.collect::<Vec<_>>() {
            self.end_worker(lost.worker, lost.key, changes);
        }
    }
}
