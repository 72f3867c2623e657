//! What became of requests, as the routers say it, added up since the start.
//!
//! An app has figures of its own if it has a [seat](seats); there are so many, whatever
//! the number of apps is. Nothing here is needed for an answer, so it has a lock of its
//! own.
mod counted;
mod seats;

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mesh::{Event, Time, WorkerId};
use parking_lot::{Mutex, MutexGuard};

pub use counted::{Answers, BUCKETS, Counted, Spread};
pub use seats::Seats;

use super::Driver;

/// What a router says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// One more each time; the same for what is said again.
    pub number: u64,
    /// Whose requests, and what became of them.
    pub rows: Vec<(Whose, Counted)>,
}

/// Whose requests these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of this app.
    App(Box<str>),
    /// Of apps that its router had no room for.
    Others,
    /// Of none that is known.
    Nobody,
}

/// How often something has happened.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Nobody looks unless it is set.
    seats: OnceLock<Mutex<Seats>>,
    events: [AtomicU64; EVENTS.len()],
    commits: [AtomicU64; 2],
}

/// What events are called.
pub const EVENTS: [&str; 5] = ["need_dyno", "idle", "scale", "drained", "quarantined"];

impl Board {
    pub(super) fn count_event(&self, event: &Event) {
        let at = match event {
            Event::NeedDyno { .. } => 0,
            Event::Idle { .. } => 1,
            Event::Scale(_) => 2,
            Event::Drained(_) => 3,
            Event::Quarantined(..) => 4,
        };
        self.events[at].fetch_add(1, Relaxed);
    }
}

impl Driver {
    /// From now on it is added up what becomes of requests, with figures of their own
    /// for so many apps.
    pub fn keep_tallies(&self, apps: usize) {
        // Said twice, the first word holds.
        let _ = self.board.seats.set(Mutex::new(Seats::new(apps)));
    }

    /// Somebody looks at them.
    pub fn wants_tallies(&self) -> bool {
        self.board.seats.get().is_some()
    }

    /// All that became of requests; `None`: nobody looks.
    pub fn seats(&self) -> Option<MutexGuard<'_, Seats>> {
        self.board.seats.get().map(Mutex::lock)
    }

    /// A router says what became of requests. What it says again counts once.
    pub(super) fn take_tally(&self, worker: WorkerId, tally: Tally) {
        let is_new = self.act_on_state(None, |state, _| {
            let latest = state.workers.get_mut(&worker);
            latest.is_some_and(|latest| {
                let is_new = latest.tally < tally.number;
                latest.tally = latest.tally.max(tally.number);
                is_new
            })
        });
        if let Some(mut seats) = self.seats().filter(|_| is_new) {
            seats.take(tally.rows, self.now());
        }
    }

    /// How often each of [`EVENTS`] has happened.
    pub fn events(&self) -> [u64; EVENTS.len()] {
        std::array::from_fn(|at| self.board.events[at].load(Relaxed))
    }

    /// Transactions on disk: made, and failed.
    pub fn commits(&self) -> [u64; 2] {
        std::array::from_fn(|at| self.board.commits[at].load(Relaxed))
    }

    pub(super) fn count_commit(&self, made: bool) {
        self.board.commits[usize::from(!made)].fetch_add(1, Relaxed);
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}
