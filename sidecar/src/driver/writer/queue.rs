//! Changes that wait for the log, on disk.

use mesh::{Change, ChangeError};
use tokio::sync::oneshot;

use super::{Applied, ApplyError, Journal, Write, Writer, latest};
use crate::{
    driver::log::{OutcomeSender, key_of_id},
    store::Queued,
};

/// One to be kept.
pub(super) struct QueueJob {
    pub(super) change: Change,
    pub(super) size: usize,
    pub(super) reply: OutcomeSender,
}

/// One that can't even be published.
pub(super) struct UnqueueJob {
    pub(super) queued: Queued,
    pub(super) why: ChangeError,
    pub(super) done: oneshot::Sender<()>,
}

impl<J: Journal> Writer<J> {
    /// Keeps these. Whoever hears that his is queued can rely on it.
    pub(super) fn queue(&mut self, jobs: Vec<QueueJob>) {
        let driver = self.driver.clone();
        let Some(stand) = driver.changes().stand() else {
            return;
        };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for QueueJob {
            change,
            size,
            reply,
        } in jobs
        {
            let Some(number) = stand.queue.room(taken.len(), bytes + size) else {
                // An error means that the caller is gone.
                let _ = reply.send(Err(ApplyError::QueueFull));
                continue;
            };
            bytes += size;
            let id = format!("{:032x}", rand::random::<u128>()).into();
            let queued = Queued {
                number,
                id,
                size,
                change,
            };
            taken.push((queued, reply));
        }
        let kept = self.keep(taken.iter().map(|(queued, _)| queued));
        for (queued, reply) in taken {
            let outcome = kept.clone().map(|()| Applied {
                app: queued.change.app.clone(),
                version: 0,
                queued: Some(queued.id.clone()),
            });
            if kept.is_ok() {
                stand.queue.add([queued]);
            }
            let _ = reply.send(outcome);
        }
    }

    fn keep<'a>(
        &mut self,
        queued: impl Iterator<Item = &'a Queued> + Clone,
    ) -> Result<(), ApplyError> {
        let writes: Vec<_> = queued.clone().cloned().map(Write::Queue).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.commit(&writes).map_err(|error| {
            tracing::error!("{error}");
            // The disk may have them all the same.
            self.owed
                .extend(queued.map(|queued| Write::Unqueue(queued.number)));
            ApplyError::Disk(error.to_string().into())
        })
    }

    /// Drops these.
    pub(super) fn unqueue(&mut self, jobs: Vec<UnqueueJob>) {
        let driver = self.driver.clone();
        let Some(stand) = driver.changes().stand() else {
            return;
        };
        let mut writes = Vec::new();
        for UnqueueJob { queued, why, done } in jobs {
            if stand.queue.take(key_of_id(&queued.id)).is_some() {
                stand.queue.dropped(&queued, &why);
                writes.push(Write::Unqueue(queued.number));
            }
            let _ = done.send(());
        }
        if !writes.is_empty()
            && let Err(error) = self.commit(&writes)
        {
            tracing::error!("{error}");
            self.owed.extend(writes);
            self.owed = latest(std::mem::take(&mut self.owed));
        }
    }
}
