//! The nouns of the planner: what happens, what is done, what a dyno is.

use std::time::Duration;

/// A moment: since the manager started.
pub(crate) type Time = Duration;

/// One start of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Start(pub(crate) u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Somebody waits, and there is no dyno.
    Need,
    /// So many dynos are wanted: because somebody waits, or would do.
    Scale { wanted: u32, waiting: bool },
    /// Nobody asks any more.
    Idle,
    /// The dyno has finished its last request.
    Drained(Start),
    /// The dyno takes requests.
    Healthy(Start),
    /// The process has ended, or could not be started.
    Exited(Start),
    /// The manager ends: so shall all.
    Shutdown,
}

/// What to do with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start(Start),
    /// Ask it to end.
    Term(Start),
    /// End it.
    Kill(Start),
}

/// Where a dyno is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Until when it has to be up.
    Starting {
        limit: Time,
    },
    Up {
        since: Time,
    },
    /// Finishes its requests, until then at the latest.
    Draining {
        limit: Time,
    },
    /// Was asked to end; is killed then. `crash`: it did not come up in time.
    Stopping {
        limit: Time,
        crash: bool,
    },
    /// Gone by itself: said so, until another try.
    Crashed,
}

/// A dyno as it shall be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dyno {
    pub(crate) start: Start,
    /// Its name is web.SLOT.
    pub(crate) slot: u32,
    pub(crate) phase: Phase,
}
