//! The log that several sidecars share: what the driver knows of it.
//!
//! Without one, changes go straight to the writer. With one they are *proposed*:
//! whoever serves the log (the module `amqp`) publishes them, and hands all that
//! the log says, in its order, to the writer as an [`Entry`]. A proposal is
//! answered when its own entry has been seen to. While that is not possible it may be
//! [queued](queue).
mod admission;
mod consensus;
mod key;
mod proposal;
mod queue;
mod report;
mod reporting;
mod standing;

pub use crate::store::{Frozen, Position, Seen};
pub use key::{digest, key_of_id};
pub use proposal::{OutcomeSender, Proposal, Proposals, Wanted};
pub use queue::QueueView;
pub use report::{Matter, Report, Word};
pub use standing::{LogView, Standing, Sync};

pub(super) use consensus::Consensus;
pub(super) use proposal::Way;
pub(super) use queue::{MOST as MOST_QUEUED, MOST_BYTES as MOST_QUEUED_BYTES};
pub(super) use standing::{Counts, Stand};

use mesh::{AppSpec, Change};
use tokio::sync::oneshot;

/// What somebody said in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// For which log; `None`: for whichever it is.
    pub log: Option<u128>,
    /// The same for the same change; empty: not given.
    pub change_id: Box<str>,
    /// Which node.
    pub node: Box<str>,
    /// What.
    pub what: What,
}

/// What can be said.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A change is wanted.
    Change(Change),
    /// Whoever sees this has seen what was before it.
    Sync(u64),
    /// A log begins.
    Genesis {
        /// What it begins with; empty: with no apps.
        snapshot: Box<str>,
        /// The log that its founder was in before.
        previous: Option<u128>,
    },
    /// There is a snapshot.
    Saved {
        /// Which one.
        snapshot: Box<str>,
        /// Where in the log it was taken.
        offset: u64,
    },
    /// What sidecars tell each other of requests.
    Report(Report),
}

/// An entry of the log, for the writer.
#[derive(Debug)]
pub struct Entry {
    /// Where it is.
    pub position: Position,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug)]
pub enum EntryKind {
    /// A change, and who waits for it here.
    Change {
        /// Tells it from others.
        id: u128,
        /// What is to be changed.
        change: Change,
        /// Who proposed it, if that was here.
        reply: Option<OutcomeSender>,
    },
    /// What a sidecar tells, and whether that is this one.
    Report(Report, bool),
    /// Somebody here wants to know when everything before it has been seen to.
    Marker(oneshot::Sender<()>),
    /// The whole table is this from now on.
    Replace {
        /// Every app.
        apps: Vec<AppSpec>,
        /// The changes that were seen to.
        seen: Seen,
    },
    /// Nothing changes, but the place in the log.
    Other,
    /// It is no entry: it counts as skipped.
    Skipped,
}
