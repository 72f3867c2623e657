//! Changes that were made and wait until no router uses what was before.

use std::collections::HashMap;

use mesh::{Mesh, RecallId};
use tokio::sync::oneshot;

use super::{Driver, writer::Outcome};

/// The answer to whoever made a change.
#[derive(Debug)]
pub(super) struct Deferred {
    /// What has to be over first.
    recalls: Vec<RecallId>,
    to: oneshot::Sender<Outcome>,
    outcome: Outcome,
}

impl Deferred {
    pub(super) fn reply(self) {
        // An error means that the caller is gone, which changes nothing.
        let _ = self.to.send(self.outcome);
    }
}

/// By a recall that they wait for. No more than there are changes under way, and
/// none for longer than a router that does not answer counts as there. Dropped at the
/// stop, they are answered with [`ApplyError::Stopping`](super::ApplyError::Stopping).
#[derive(Debug, Default)]
pub(super) struct Recalls(HashMap<RecallId, Vec<Deferred>>);

impl Recalls {
    /// A recall is over: who waited for it and for no other.
    pub(super) fn over(&mut self, recall: RecallId, mesh: &Mesh) -> Vec<Deferred> {
        let waited = self.0.remove(&recall).unwrap_or_default().into_iter();
        waited.filter_map(|it| self.defer(it, mesh)).collect()
    }

    /// Keeps it if there is something to wait for.
    fn defer(&mut self, mut deferred: Deferred, mesh: &Mesh) -> Option<Deferred> {
        deferred.recalls.retain(|recall| mesh.is_recalling(*recall));
        let Some(next) = deferred.recalls.first() else {
            return Some(deferred);
        };
        self.0.entry(*next).or_default().push(deferred);
        None
    }
}

impl Driver {
    /// Answers when these recalls are over. (Most changes have none.)
    pub(super) fn reply_after(
        &self,
        recalls: Vec<RecallId>,
        to: oneshot::Sender<Outcome>,
        outcome: Outcome,
    ) {
        let deferred = Deferred {
            recalls,
            to,
            outcome,
        };
        let now = match deferred.recalls[..] {
            [] => Some(deferred),
            _ => self.act_on_state(None, |state, _| {
                let now = state.recalls.defer(deferred, &state.mesh);
                if state.stopping {
                    state.recalls = Recalls::default();
                }
                now
            }),
        };
        if let Some(deferred) = now {
            deferred.reply();
        }
    }
}
