//! The way to the writer: one queue for changes, one for who is there: workers and
//! other members. A hello waits until its worker is on disk, so it must not wait
//! behind everybody's changes, too.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use members::Known;
use mesh::{Change, ChangeError, WorkerId};
use tokio::sync::{
    mpsc::{self, Receiver, Sender, error::TrySendError},
    oneshot,
};

use super::{
    ApplyError, Outcome,
    queue::{QueueJob, UnqueueJob},
};
use crate::{
    driver::log::{
        Entry, Frozen, LogView, OutcomeSender, Position, Proposal, Proposals, Stand, Way,
    },
    store::{Queued, WorkerProcess},
};

/// Jobs of a kind that wait for the writer; whoever comes then waits to be let in.
const BACKLOG: usize = 1_024;
/// Most jobs in one transaction.
const BATCH: usize = 512;

/// Whether a worker is on disk now, or why not.
pub(super) type Remembered = Result<(), Arc<str>>;

pub(super) enum ChangeJob {
    Change(Change, oneshot::Sender<Outcome>),
    Entry(Entry),
    Queue(QueueJob),
    Unqueue(UnqueueJob),
    Freeze(oneshot::Sender<Result<Frozen, Arc<str>>>),
    Stop,
}

pub(super) enum PresenceJob {
    Remember(WorkerId, WorkerProcess, oneshot::Sender<Remembered>),
    Forget(WorkerId),
    Members(Known),
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Changes {
    changes: Sender<ChangeJob>,
    /// To the log, if there is one.
    way: Option<Way>,
    presence: Sender<PresenceJob>,
}

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
    ///
    /// [`Writer::new`]: super::Writer::new
    pub fn new() -> (Self, Inbox) {
        let (to_changes, changes) = mpsc::channel(BACKLOG);
        let (to_presence, presence) = mpsc::channel(BACKLOG);
        let way = Self {
            changes: to_changes,
            way: None,
            presence: to_presence,
        };
        (way, Inbox { changes, presence })
    }

    /// The same where a log makes the changes, which begins for this sidecar
    /// after `position`, and is to get those that are `queued`.
    pub fn by_log(position: Option<Position>, queued: Vec<Queued>) -> (Self, Inbox, Proposals) {
        let (mut changes, inbox) = Self::new();
        let (way, proposals) = Way::new();
        way.stand().loaded(position);
        way.stand().queue.add(queued);
        changes.way = Some(way);
        (changes, inbox, proposals)
    }

    /// How this sidecar stands to the log, if it shares one.
    pub fn log(&self) -> Option<LogView> {
        self.way.as_ref().map(|way| way.stand().view())
    }

    /// To the log.
    pub(in crate::driver) fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }

    pub(in crate::driver) fn stand(&self) -> Option<&Stand> {
        self.way.as_ref().map(Way::stand)
    }

    /// Hands in what the log says, after what was handed in before.
    ///
    /// # Errors
    /// The writer is gone.
    pub async fn follow(&self, entry: Entry) -> Result<(), ApplyError> {
        let sent = self.changes.send(ChangeJob::Entry(entry)).await;
        sent.map_err(|_| ApplyError::Stopping)
    }

    /// The table as it is on disk when everything that was handed in before has
    /// been seen to.
    ///
    /// # Errors
    /// Why it can't be read.
    pub async fn freeze(&self) -> Result<Frozen, Arc<str>> {
        let (reply, frozen) = oneshot::channel();
        let stopping = || "meshd is stopping".into();
        let sent = self.changes.send(ChangeJob::Freeze(reply)).await;
        sent.map_err(|_| stopping())?;
        frozen.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Hands a change in, after those handed in before: to the writer, or to the
    /// log.
    ///
    /// # Errors
    /// The writer is gone, or the log out of reach.
    pub async fn submit(&self, change: Change) -> Result<Pending, ApplyError> {
        let (reply, outcome) = oneshot::channel();
        if let Some(way) = &self.way {
            way.propose(change, reply).await?;
            return Ok(Pending(outcome));
        }
        let sent = self.changes.send(ChangeJob::Change(change, reply)).await;
        sent.map(|()| Pending(outcome))
            .map_err(|_| ApplyError::Stopping)
    }

    /// The same for a change of this size, which is queued while there is a log and
    /// takes no changes, or others that are queued go first.
    ///
    /// # Errors
    /// The writer is gone.
    pub async fn submit_or_queue(
        &self,
        change: Change,
        size: usize,
    ) -> Result<Pending, ApplyError> {
        let Some(way) = &self.way else {
            return self.submit(change).await;
        };
        let (reply, outcome) = oneshot::channel();
        match way.is_open() {
            true => {
                let proposal = Proposal {
                    change,
                    reply,
                    id: None,
                    queue: Some(size),
                };
                way.send(proposal).await?;
            }
            false => self.queue(change, size, reply).await,
        }
        Ok(Pending(outcome))
    }

    /// Queues a change.
    pub(in crate::driver) async fn queue(&self, change: Change, size: usize, reply: OutcomeSender) {
        let job = QueueJob {
            change,
            size,
            reply,
        };
        // An error means that the writer is gone, and with it the reply.
        let _ = self.changes.send(ChangeJob::Queue(job)).await;
    }

    /// Drops a queued change.
    pub(in crate::driver) async fn unqueue(&self, queued: Queued, why: ChangeError) {
        let (done, gone) = oneshot::channel();
        let job = UnqueueJob { queued, why, done };
        // Errors mean that the writer is gone.
        let _ = self.changes.send(ChangeJob::Unqueue(job)).await;
        let _ = gone.await;
    }

    /// Writes down which process a worker is, before the changes that wait;
    /// returns when it is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn remember(&self, worker: WorkerId, process: WorkerProcess) -> Result<(), Arc<str>> {
        let (reply, done) = oneshot::channel();
        let stopping = || "meshd is stopping".into();
        let job = PresenceJob::Remember(worker, process, reply);
        self.presence.send(job).await.map_err(|_| stopping())?;
        done.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// A worker is gone. Nobody waits for this, and nobody depends on it: its
    /// process is looked for at the next start anyway.
    pub fn forget(&self, worker: WorkerId) {
        if let Err(TrySendError::Full(_)) = self.presence.try_send(PresenceJob::Forget(worker)) {
            tracing::debug!("busy with workers: one that is gone stays on disk");
        }
    }

    /// Writes down who the other members are. `false`: not now, it is to be tried again.
    pub(in crate::driver) fn keep_members(&self, known: &Known) -> bool {
        let job = PresenceJob::Members(known.clone());
        !matches!(self.presence.try_send(job), Err(TrySendError::Full(_)))
    }

    /// The writer ends after the changes that were handed in before.
    pub async fn stop(&self) {
        // An error means that it has ended.
        let _ = self.changes.send(ChangeJob::Stop).await;
    }
}

/// What the writer takes from.
#[derive(Debug)]
pub struct Inbox {
    changes: Receiver<ChangeJob>,
    presence: Receiver<PresenceJob>,
}

/// What was taken at once.
#[derive(Default)]
pub(super) struct Jobs {
    pub(super) changes: Vec<ChangeJob>,
    pub(super) presence: Vec<PresenceJob>,
}

impl Inbox {
    /// Takes what there is of both kinds, each up to a transaction's worth; the
    /// thread sleeps while there is nothing. `false`: nothing will come any more.
    pub(super) fn take(&mut self, jobs: &mut Jobs) -> bool {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            // Presence after changes: what was handed in before a stop comes with it.
            let changes = self
                .changes
                .poll_recv_many(&mut cx, &mut jobs.changes, BATCH);
            let presence = self
                .presence
                .poll_recv_many(&mut cx, &mut jobs.presence, BATCH);
            match (changes, presence) {
                (Poll::Pending, Poll::Pending) => thread::park(),
                // Nobody is left who could hand something in.
                (Poll::Ready(0), Poll::Ready(0)) => return false,
                _ => return true,
            }
        }
    }
}

/// Wakes a thread that waits for two queues.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
