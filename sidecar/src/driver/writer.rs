//! Changes: the one thread that makes them.
//!
//! They come through a bounded channel and are taken in batches: each is planned
//! and applied in memory at once, so that the next one builds on it, then the
//! whole batch becomes one transaction on disk, then everybody hears about it.
//! If the disk fails, the batch is undone in memory and nobody's change was made.
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mesh::{Change, ChangeError, WorkerId};
use tokio::sync::{
    mpsc::{self, Receiver, Sender, error::TrySendError},
    oneshot,
};

use super::Driver;
use crate::{
    panics,
    store::{Store, StoreError, WorkerProcess, Write},
};
use batch::Batch;

mod batch;

/// Changes that wait for the writer; whoever comes then waits to be let in.
const BACKLOG: usize = 1_024;
/// Most changes in one transaction.
const BATCH: usize = 512;

/// The disk, as the writer needs it.
pub trait Journal: Send + 'static {
    /// Makes all of it durable, or nothing.
    ///
    /// # Errors
    /// Why not.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;
}

impl Journal for Store {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        Self::commit(self, writes)
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which app.
    pub app: Box<str>,
    /// Its version now; 0: it is deleted.
    pub version: u64,
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
    /// This process ends.
    #[error("meshd is stopping; whether the change was made is not known")]
    Stopping,
}

type Outcome = Result<Applied, ApplyError>;

enum Job {
    Change(Change, oneshot::Sender<Outcome>),
    Remember(
        WorkerId,
        WorkerProcess,
        oneshot::Sender<Result<(), Arc<str>>>,
    ),
    Forget(WorkerId),
    Stop,
}

/// Which process each worker is.
pub type Workers = HashMap<WorkerId, WorkerProcess>;

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Changes(Sender<Job>);

/// A change that was handed in.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Outcome>);

impl Pending {
    /// What became of it.
    ///
    /// # Errors
    /// Why it was not made.
    pub async fn outcome(self) -> Outcome {
        self.0.await.unwrap_or(Err(ApplyError::Stopping))
    }
}

impl Changes {
    /// A way to a writer, and the end of it that [`Writer::new`] takes.
    pub fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        (Self(sender), Inbox(receiver))
    }

    /// Hands a change in, after those handed in before.
    ///
    /// # Errors
    /// The writer is gone.
    pub async fn submit(&self, change: Change) -> Result<Pending, ApplyError> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.0.send(Job::Change(change, reply)).await;
        sent.map(|()| Pending(outcome))
            .map_err(|_| ApplyError::Stopping)
    }

    /// Writes down which process a worker is; returns when it is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn remember(&self, worker: WorkerId, process: WorkerProcess) -> Result<(), Arc<str>> {
        let (reply, done) = oneshot::channel();
        let stopping = || "meshd is stopping".into();
        let sent = self.0.send(Job::Remember(worker, process, reply)).await;
        sent.map_err(|_| stopping())?;
        done.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// A worker is gone. Nobody waits for this, and nobody depends on it: its
    /// process is looked for at the next start anyway.
    pub fn forget(&self, worker: WorkerId) {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Job::Forget(worker)) {
            tracing::debug!("busy with changes: a worker that is gone stays on disk");
        }
    }

    /// The writer ends after what was handed in before.
    pub async fn stop(&self) {
        // An error means that it has ended.
        let _ = self.0.send(Job::Stop).await;
    }
}

/// What the writer takes from.
#[derive(Debug)]
pub struct Inbox(Receiver<Job>);

/// The writer; [`Writer::run`] is its thread.
pub struct Writer<J> {
    driver: Arc<Driver>,
    journal: J,
    inbox: Inbox,
    /// The workers on disk: most that say hello are there already.
    known: Workers,
    /// What the disk has to be told first, because a transaction failed and it
    /// is not known how far it got.
    owed: Vec<Write>,
}

impl<J: Journal> Writer<J> {
    /// Takes what comes out of `inbox` to `driver` and `journal`, which has
    /// `workers` already.
    pub fn new(driver: Arc<Driver>, journal: J, inbox: Inbox, workers: Workers) -> Self {
        Self {
            driver,
            journal,
            inbox,
            known: workers,
            owed: Vec::new(),
        }
    }

    /// Works until stopped. Returns the journal, so that it can be closed.
    pub fn run(self) -> J {
        panics::in_writer(|| self.work())
    }

    fn work(mut self) -> J {
        let mut jobs = Vec::with_capacity(BATCH);
        while self.inbox.0.blocking_recv_many(&mut jobs, BATCH) > 0 {
            let mut batch = Batch::new(self.driver.clone());
            let mut stop = false;
            for job in jobs.drain(..) {
                match job {
                    Job::Change(change, reply) => batch.change(change, reply),
                    Job::Remember(worker, process, reply) => {
                        batch.remember(worker, process, reply, &self.known);
                    }
                    Job::Forget(worker) => batch.forget(worker),
                    Job::Stop => stop = true,
                }
            }
            self.write(batch);
            if stop {
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

    fn write(&mut self, batch: Batch) {
        let mut writes = std::mem::take(&mut self.owed);
        writes.extend(batch.writes());
        if writes.is_empty() {
            return batch.made();
        }
        match self.journal.commit(&writes) {
            Ok(()) => {
                batch.note(&mut self.known);
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
