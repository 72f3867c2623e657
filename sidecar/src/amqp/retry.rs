//! Changes that this sidecar tied to a version of their app, which their callers
//! did not: when it is another version, they are published again.

use mesh::ChangeError;
use tokio::sync::{mpsc, oneshot};

use crate::driver::{ApplyError, OutcomeSender, Proposal};

/// How often, at most.
const MOST: u32 = 5;
/// Those that wait to be published again; more are told of the conflict.
const BACKLOG: usize = 256;

/// A change that comes again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) proposal: Proposal,
    /// How often it was published.
    pub(super) tries: u32,
}

/// Where they go, and where they come from.
pub(super) struct Retries {
    to: mpsc::Sender<Again>,
    from: mpsc::Receiver<Again>,
}

impl Retries {
    pub(super) fn new() -> Self {
        let (to, from) = mpsc::channel(BACKLOG);
        Self { to, from }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Option<Again> {
        self.from.recv().await
    }

    /// Who is to be told of the outcome, so that `again` can come again.
    pub(super) fn guard(&self, again: Again) -> OutcomeSender {
        let (reply, outcome) = oneshot::channel();
        let to = self.to.clone();
        tokio::spawn(async move {
            // An error: this sidecar ends, and so does whoever waits.
            let Ok(outcome) = outcome.await else { return };
            let is_conflict = matches!(
                outcome,
                Err(ApplyError::Refused(ChangeError::Conflict { .. }))
            );
            let Again { proposal, tries } = again;
            if !is_conflict || tries >= MOST {
                // An error means that the caller is gone.
                let _ = proposal.reply.send(outcome);
                return;
            }
            if let Err(full) = to.try_send(Again { proposal, tries }) {
                let _ = full.into_inner().proposal.reply.send(outcome);
            }
        });
        reply
    }
}
