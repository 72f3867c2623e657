//! From whoever wants a change to whoever publishes it.

use std::sync::Arc;

use mesh::Change;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{Counts, Standing, Sync, Word, standing::Stand};
use crate::driver::writer::{ApplyError, Changes, Outcome};

/// Proposals that wait to be published; whoever comes then waits to be let in.
const BACKLOG: usize = 1_024;

/// Where the outcome of a change goes.
pub type OutcomeSender = oneshot::Sender<Outcome>;

/// A change that somebody here wants in the log.
#[derive(Debug)]
pub struct Proposal {
    /// The change.
    pub change: Change,
    /// Who waits for what becomes of it.
    pub reply: OutcomeSender,
    /// What it is to be called in the log, if that is not new.
    pub id: Option<Box<str>>,
    /// It has this size, and may be queued.
    pub queue: Option<usize>,
}

/// What is wanted in the log.
#[derive(Debug)]
pub enum Wanted {
    /// A change.
    Change(Proposal),
    /// A report.
    Report(Word),
}

/// Proposals as they come, and where to say how things stand.
#[derive(Debug)]
pub struct Proposals {
    incoming: mpsc::Receiver<Proposal>,
    words: mpsc::Receiver<Word>,
    stand: Arc<Stand>,
}

/// The way to whoever publishes.
#[derive(Clone, Debug)]
pub(in crate::driver) struct Way {
    outgoing: mpsc::Sender<Proposal>,
    words: mpsc::Sender<Word>,
    stand: Arc<Stand>,
}

impl Way {
    pub(in crate::driver) fn new() -> (Self, Proposals) {
        let (outgoing, incoming) = mpsc::channel(BACKLOG);
        let (to_words, words) = mpsc::channel(BACKLOG);
        let stand = Arc::new(Stand::default());
        let way = Self {
            outgoing,
            words: to_words,
            stand: stand.clone(),
        };
        let proposals = Proposals {
            incoming,
            words,
            stand,
        };
        (way, proposals)
    }

    /// Hands a change in, unless it can't be published now.
    pub(in crate::driver) async fn propose(
        &self,
        change: Change,
        reply: OutcomeSender,
    ) -> Result<(), ApplyError> {
        if let Some(why) = self.stand.refuses() {
            return Err(ApplyError::Away(why));
        }
        let proposal = Proposal {
            change,
            reply,
            id: None,
            queue: None,
        };
        self.send(proposal).await
    }

    pub(in crate::driver) async fn send(&self, proposal: Proposal) -> Result<(), ApplyError> {
        let sent = self.outgoing.send(proposal).await;
        sent.map_err(|_| ApplyError::Stopping)
    }

    /// Whoever may be queued would be published now, after those before it.
    pub(in crate::driver) fn is_open(&self) -> bool {
        self.stand.refuses().is_none() && self.stand.queue.is_empty()
    }

    /// Hands in what others shall know. What does not fit waits, or is said again
    /// anyway.
    pub(in crate::driver) fn report(&self, word: Word) {
        if let Err(TrySendError::Full(Word::Busy(matter))) = self.words.try_send(word) {
            self.stand.consensus.lock().objects(matter);
        }
    }

    pub(in crate::driver) fn stand(&self) -> &Stand {
        &self.stand
    }
}

impl Proposals {
    /// The next one; `None`: there will be none.
    pub async fn next(&mut self) -> Option<Wanted> {
        tokio::select! {
            proposal = self.incoming.recv() => proposal.map(Wanted::Change),
            Some(word) = self.words.recv() => Some(Wanted::Report(word)),
        }
    }

    /// Those that wait are queued, or told that the log is away.
    pub async fn turn_away(&mut self, changes: &Changes) {
        while let Ok(proposal) = self.incoming.try_recv() {
            if let Some(size) = proposal.queue {
                changes.queue(proposal.change, size, proposal.reply).await;
                continue;
            }
            let why = self.stand.refuses().unwrap_or_default();
            // An error means that the caller is gone.
            let _ = proposal.reply.send(Err(ApplyError::Away(why)));
        }
    }

    /// Says how things stand from now on.
    pub fn set(&self, standing: Standing) {
        self.stand.set(standing);
    }

    /// Says that changes can't be published now, or can again.
    pub fn blocking(&self) -> impl Fn(Option<Arc<str>>) + use<> {
        let stand = self.stand.clone();
        move |why| stand.set_blocked(why)
    }

    /// Says that the table is in step with the log.
    pub fn syncing(&self) -> impl Fn() + use<> {
        let stand = self.stand.clone();
        move || {
            stand.set(Standing {
                sync: Sync::InSync,
                problem: "".into(),
            });
        }
    }

    /// Says how many changes of this sidecar's own callers are under way.
    pub fn set_under_way(&self, count: usize) {
        self.stand.counts().set_under_way(count);
    }
}

impl Stand {
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}
