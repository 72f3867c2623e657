//! What the lock protects: the core, and who its outputs are for.

use std::{collections::HashMap, sync::Arc};

use mesh::{Mesh, SessionKey, Time, WorkerId};

use super::{outbox::Outbox, peers::Lines, recalls::Recalls};
use crate::store::WorkerProcess;

/// A worker's latest session.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    pub(super) key: SessionKey,
    /// Which of the worker's links it came over.
    pub(super) link: u64,
    /// The last tally that was counted.
    pub(super) tally: u64,
    pub(super) name: WorkerName,
    pub(super) process: WorkerProcess,
}

/// A session that broke, whose worker may come again.
#[derive(Debug)]
pub(super) struct Lost {
    /// Until then it is waited for, ...
    pub(super) until: Time,
    /// ... and until then if it is seen to live.
    pub(super) at_last: Time,
    pub(super) worker: WorkerId,
    pub(super) key: SessionKey,
}

/// What a worker says of itself, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerName {
    /// Its host.
    pub node: Arc<str>,
    /// Its process there.
    pub pid: u32,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) mesh: Mesh,
    pub(super) sessions: HashMap<SessionKey, Arc<Outbox>>,
    /// The latest session of each worker, also one that is lost and in its grace.
    pub(super) workers: HashMap<WorkerId, Latest>,
    /// To other sidecars.
    pub(super) lines: Lines,
    pub(super) lost: Vec<Lost>,
    pub(super) recalls: Recalls,
    /// What the timer task sleeps until.
    pub(super) armed: Option<Time>,
    pub(super) stopping: bool,
    /// Who tells others of the load here knows that there is something to tell.
    pub(super) roused: bool,
}

impl State {
    pub(super) fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            sessions: HashMap::new(),
            workers: HashMap::new(),
            lines: Lines::default(),
            lost: Vec::new(),
            recalls: Recalls::default(),
            armed: None,
            stopping: false,
            roused: false,
        }
    }

    /// Is there something to tell others, for the first time since they were told?
    pub(super) fn rouse(&mut self) -> bool {
        let first = !self.roused && self.mesh.has_untold();
        self.roused |= first;
        first
    }

    /// Is there something to do earlier than the timer task sleeps until?
    pub(super) fn rearm(&mut self) -> bool {
        let next = self.mesh.poll_timeout();
        let earlier = match (next, self.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if earlier {
            self.armed = next;
        }
        earlier
    }
}
