//! How this sidecar stands to the log, for everybody to see.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    consensus::Consensus,
    queue::{Queue, QueueView},
};
use crate::store::Position;

/// How the table stands to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The log is out of reach.
    Away,
    /// Entries come.
    CatchingUp,
    /// Everything that was in the log when it was asked for has been seen to.
    InSync,
}

/// The same, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How.
    pub sync: Sync,
    /// Why it is not in sync; empty: nothing is wrong.
    pub problem: Arc<str>,
}

/// What operators see of it.
#[derive(Clone, Debug)]
pub struct LogView {
    /// How the table stands to the log.
    pub standing: Standing,
    /// For how long.
    pub since: Duration,
    /// The last entry that was seen to.
    pub position: Option<Position>,
    /// Changes made.
    pub applied: u64,
    /// Changes that could not be made.
    pub refused: u64,
    /// Changes that had been seen to before.
    pub duplicates: u64,
    /// What was no entry.
    pub skipped: u64,
    /// Own changes under way.
    pub under_way: u64,
    /// Changes that wait for the log.
    pub queue: QueueView,
}

/// What happened to entries.
#[derive(Debug, Default)]
pub(in crate::driver) struct Counts {
    pub(in crate::driver) applied: AtomicU64,
    pub(in crate::driver) refused: AtomicU64,
    pub(in crate::driver) duplicates: AtomicU64,
    pub(in crate::driver) skipped: AtomicU64,
    under_way: AtomicU64,
}

impl Counts {
    pub(super) fn set_under_way(&self, count: usize) {
        self.under_way.store(count as u64, Relaxed);
    }
}

#[derive(Debug)]
pub(in crate::driver) struct Stand {
    state: Mutex<State>,
    /// Whoever has the lock of this takes no other.
    pub(in crate::driver) consensus: Mutex<Consensus>,
    pub(in crate::driver) counts: Counts,
    pub(in crate::driver) queue: Queue,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    since: Instant,
    blocked: Option<Arc<str>>,
    position: Option<Position>,
    /// The table is one that the log made: now, or when it was last in reach.
    known: bool,
    /// The log was looked for, with some result.
    looked: bool,
    /// This process has been in step with it.
    followed: bool,
}

impl Default for Stand {
    fn default() -> Self {
        let standing = Standing {
            sync: Sync::Away,
            problem: "not connected yet".into(),
        };
        let state = State {
            standing,
            since: Instant::now(),
            blocked: None,
            position: None,
            known: false,
            looked: false,
            followed: false,
        };
        Self {
            state: Mutex::new(state),
            consensus: Mutex::default(),
            counts: Counts::default(),
            queue: Queue::default(),
        }
    }
}

impl Stand {
    pub(super) fn set(&self, standing: Standing) {
        let mut state = self.state.lock();
        match standing.sync {
            Sync::InSync => {
                (state.known, state.looked, state.followed) = (true, true, true);
            }
            Sync::Away => state.looked = true,
            Sync::CatchingUp => {}
        }
        if state.standing.sync != standing.sync {
            state.since = Instant::now();
        }
        if standing.sync != Sync::InSync {
            state.blocked = None;
        }
        state.standing = standing;
    }

    pub(super) fn set_blocked(&self, why: Option<Arc<str>>) {
        let mut state = self.state.lock();
        // The table may be as new as can be; nobody can tell before it takes
        // markers again.
        state.looked |= why.is_some();
        state.blocked = why;
    }

    /// The last entry that was seen to.
    pub(super) fn position(&self) -> Option<Position> {
        self.state.lock().position
    }

    /// Why a change can't be published now.
    pub(in crate::driver) fn refuses(&self) -> Option<Arc<str>> {
        let state = self.state.lock();
        match (&state.blocked, state.standing.sync) {
            (Some(why), _) => Some(why.clone()),
            (None, Sync::InSync) => None,
            (None, Sync::CatchingUp) => Some("it is catching up with the log".into()),
            (None, Sync::Away) => Some(state.standing.problem.clone()),
        }
    }

    /// The writer is here.
    pub(in crate::driver) fn reached(&self, position: Position) {
        let mut state = self.state.lock();
        state.position = Some(position);
    }

    /// The disk had this.
    pub(in crate::driver) fn loaded(&self, position: Option<Position>) {
        let mut state = self.state.lock();
        state.position = position;
        state.known = position.is_some();
    }

    /// The table can be used: it is in step with the log, or was when the log
    /// was last in reach, and it is out of reach now.
    pub(in crate::driver) fn is_ready(&self) -> bool {
        let state = self.state.lock();
        state.known && state.looked
    }

    /// This process has been in step with the log.
    pub(in crate::driver) fn has_followed(&self) -> bool {
        self.state.lock().followed
    }

    pub(in crate::driver) fn view(&self) -> LogView {
        let state = self.state.lock();
        let count = |count: &AtomicU64| count.load(Relaxed);
        let problem = state.blocked.as_ref().unwrap_or(&state.standing.problem);
        LogView {
            standing: Standing {
                sync: state.standing.sync,
                problem: problem.clone(),
            },
            since: state.since.elapsed(),
            position: state.position,
            applied: count(&self.counts.applied),
            refused: count(&self.counts.refused),
            duplicates: count(&self.counts.duplicates),
            skipped: count(&self.counts.skipped),
            under_way: count(&self.counts.under_way),
            queue: self.queue.view(),
        }
    }
}
