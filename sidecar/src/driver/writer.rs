//! Changes: the one thread that makes them.
//!
//! They come through a bounded channel and are taken in batches: each is planned
//! and applied in memory at once, so that the next one builds on it, then the
//! whole batch becomes one transaction on disk, then everybody hears about it.
//! If the disk fails, the batch is undone in memory and nobody's change was made.
//! Who is there, workers and other members, has a channel of its own, which goes first.
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use mesh::{ChangeError, WorkerId};

use super::{
    Driver,
    log::{MOST_QUEUED, MOST_QUEUED_BYTES},
};
use crate::{
    panics,
    store::{Frozen, Store, StoreError, WorkerProcess, Write},
};
use batch::Batch;
pub use history::History;
use inbox::{ChangeJob, Jobs, PresenceJob};
pub use inbox::{Changes, Inbox, Pending};

mod batch;
mod entry;
mod history;
mod inbox;
mod queue;
mod report;

/// The disk, as the writer needs it.
pub trait Journal: Send + 'static {
    /// Makes all of it durable, or nothing.
    ///
    /// # Errors
    /// Why not.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// All apps as they are on disk now.
    ///
    /// # Errors
    /// Why they can't be read.
    fn freeze(&mut self) -> Result<Frozen, StoreError>;

    /// Keeps a copy of everything.
    ///
    /// # Errors
    /// Why not.
    fn backup(&mut self) -> Result<PathBuf, StoreError>;
}

impl Journal for Store {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        Self::commit(self, writes)
    }

    fn freeze(&mut self) -> Result<Frozen, StoreError> {
        Self::freeze(self)
    }

    fn backup(&mut self) -> Result<PathBuf, StoreError> {
        Self::backup(self)
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which app.
    pub app: Box<str>,
    /// Its version now; 0: it is deleted.
    pub version: u64,
    /// It is not made, but queued, and will have this id in the log.
    pub queued: Option<Box<str>>,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The core refused it.
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// The disk failed.
    #[error("nothing was changed: {0}")]
    Disk(Arc<str>),
    /// There is a log, and it takes no changes now.
    #[error(
        "nothing was changed: the route log takes no changes ({0}); known routes are still \
         served, try again when `meshctl status` says \"in sync\", or have it queued (`--queue`)"
    )]
    Away(Arc<str>),
    /// No more can be queued.
    #[error(
        "nothing was changed, and nothing queued: {MOST_QUEUED} changes may be, of {MOST_QUEUED_BYTES} \
         bytes together; try again when `meshctl status` says \"in sync\""
    )]
    QueueFull,
    /// It was published, maybe, and its echo did not come.
    #[error(
        "whether the change was made is not known: the broker did not confirm it in time; look at \
         the app before you try again"
    )]
    InDoubt,
    /// This process ends.
    #[error("meshd is stopping; whether the change was made is not known")]
    Stopping,
}

/// What became of a change.
pub type Outcome = Result<Applied, ApplyError>;

/// Which process each worker is.
pub type Workers = HashMap<WorkerId, WorkerProcess>;

/// The writer; [`Writer::run`] is its thread.
pub struct Writer<J> {
    driver: Arc<Driver>,
    journal: J,
    inbox: Inbox,
    /// The workers on disk: most that say hello are there already.
    known: Workers,
    /// How far the table is along the log, if one makes it.
    history: History,
    /// What the disk has to be told first, because a transaction failed and it
    /// is not known how far it got.
    owed: Vec<Write>,
}

impl<J: Journal> Writer<J> {
    /// Takes what comes out of `inbox` to `driver` and `journal`, which has
    /// `workers` already.
    pub fn new(driver: Arc<Driver>, journal: J, inbox: Inbox, workers: Workers) -> Self {
        Self {
            history: History::default(),
            driver,
            journal,
            inbox,
            known: workers,
            owed: Vec::new(),
        }
    }

    /// The same for a table that a log makes, and that is this far.
    #[must_use]
    pub fn following(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// Works until stopped. Returns the journal, so that it can be closed.
    pub fn run(self) -> J {
        panics::in_writer(|| self.work())
    }

    fn work(mut self) -> J {
        let mut jobs = Jobs::default();
        while self.inbox.take(&mut jobs) {
            // A transaction each: a hello is answered without the changes.
            self.do_presence(&mut jobs.presence);
            if self.do_changes(&mut jobs.changes) {
                break;
            }
        }
        // A last try; what is owed is what was undone, and everybody knows that
        // it was not made.
        if !self.owed.is_empty()
            && let Err(error) = self.journal.commit(&self.owed)
        {
            tracing::error!("{error}");
        }
        self.journal
    }

    fn do_presence(&mut self, jobs: &mut Vec<PresenceJob>) {
        if jobs.is_empty() {
            return;
        }
        let mut batch = Batch::new(self.driver.clone());
        for job in jobs.drain(..) {
            match job {
                PresenceJob::Remember(worker, process, reply) => {
                    batch.remember(worker, process, reply, &self.known);
                }
                PresenceJob::Forget(worker) => batch.forget(worker),
                PresenceJob::Members(known) => batch.members = Some(known),
            }
        }
        self.write(batch);
    }

    /// Says whether it is time to stop.
    fn do_changes(&mut self, jobs: &mut Vec<ChangeJob>) -> bool {
        if jobs.is_empty() {
            return false;
        }
        let mut batch = Batch::new(self.driver.clone());
        let mut stop = false;
        let mut freezes = Vec::new();
        let mut queue = Vec::new();
        let mut unqueue = Vec::new();
        for job in jobs.drain(..) {
            match job {
                ChangeJob::Freeze(reply) => freezes.push(reply),
                ChangeJob::Queue(job) => queue.push(job),
                ChangeJob::Unqueue(job) => unqueue.push(job),
                ChangeJob::Change(change, reply) => batch.change(change, reply),
                ChangeJob::Entry(entry) => {
                    if entry.loses(&self.driver) {
                        self.write(std::mem::replace(
                            &mut batch,
                            Batch::new(self.driver.clone()),
                        ));
                        self.back_up();
                    }
                    batch.entry(entry, &mut self.history);
                }
                ChangeJob::Stop => stop = true,
            }
        }
        self.write(batch);
        self.unqueue(unqueue);
        self.queue(queue);
        for reply in freezes {
            let frozen = self.journal.freeze();
            // An error means that nobody waits for it any more.
            let _ = reply.send(frozen.map_err(|error| error.to_string().into()));
        }
        stop
    }

    /// Another table takes the place of this one.
    fn back_up(&mut self) {
        match self.journal.backup() {
            Ok(path) => tracing::warn!(
                "the log's table takes the place of this sidecar's; a copy of it is {}",
                path.display()
            ),
            Err(error) => tracing::error!("no copy of the table was made: {error}"),
        }
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let committed = self.journal.commit(writes);
        self.driver.count_commit(committed.is_ok());
        committed
    }

    fn write(&mut self, batch: Batch) {
        let mut writes = std::mem::take(&mut self.owed);
        writes.extend(batch.writes());
        if writes.is_empty() {
            return batch.made();
        }
        match self.commit(&writes) {
            Ok(()) => {
                batch.note(&mut self.known);
                batch.made();
            }
            Err(error) if batch.is_of_log() => {
                // Only the disk is behind, and it is so as a whole: at an
                // earlier place of the log with the table of that place.
                tracing::error!("{error}; the table goes on in memory");
                self.owed = latest(writes);
                batch.made();
            }
            Err(error) => {
                tracing::error!("{error}");
                batch.unnote(&mut self.known);
                // The disk may have the batch all the same, so it is told
                // what was undone as soon as it works again.
                writes.extend(batch.undo(&error.to_string()));
                self.owed = latest(writes);
            }
        }
    }
}

/// Of several writes to one place only the last counts.
fn latest(writes: Vec<Write>) -> Vec<Write> {
    let mut seen = HashSet::new();
    let mut kept: Vec<_> = writes
        .into_iter()
        .rev()
        .filter(|write| seen.insert(write.place()))
        .collect();
    kept.reverse();
    kept
}
