//! Changes that wait for the log to be within reach. The disk has the same.
//!
//! One after the other is published, under its own id however often: so they are
//! made in their order, and once. One is out of the queue when the log has said
//! what becomes of it.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use mesh::ChangeError;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

use super::{Proposal, key_of_id};
use crate::{
    driver::{ApplyError, Driver},
    store::Queued,
};

/// Changes that are kept, at most, ...
pub(in crate::driver) const MOST: usize = 1_000;
/// ... and bytes of all of them.
pub(in crate::driver) const MOST_BYTES: usize = 16 << 20;
/// How often it is looked whether the log takes changes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What operators see of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueView {
    /// Changes that wait.
    pub waiting: usize,
    /// Those that have waited and were made ...
    pub made: u64,
    /// ... and could not be made.
    pub dropped: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(in crate::driver) struct Queue {
    state: Mutex<State>,
    made: AtomicU64,
    dropped: AtomicU64,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// With the keys that they have in the log.
    waiting: VecDeque<(u128, Queued)>,
    bytes: usize,
    /// The next one's number.
    next: u64,
}

impl Queue {
    /// These are on disk.
    pub(in crate::driver) fn add(&self, queued: impl IntoIterator<Item = Queued>) {
        let mut state = self.state.lock();
        for queued in queued {
            state.next = queued.number + 1;
            state.bytes += queued.size;
            let key = key_of_id(&queued.id);
            state.waiting.push_back((key, queued));
        }
        drop(state);
        self.came.notify_one();
    }

    /// The number of the next one; `None`: no more than `count` others of `bytes`
    /// have room.
    pub(in crate::driver) fn room(&self, count: usize, bytes: usize) -> Option<u64> {
        let state = self.state.lock();
        let fits = state.waiting.len() + count < MOST && state.bytes + bytes <= MOST_BYTES;
        fits.then_some(state.next + count as u64)
    }

    /// The log says what becomes of the change with this key.
    pub(in crate::driver) fn take(&self, key: u128) -> Option<Queued> {
        let mut state = self.state.lock();
        let at = state.waiting.iter().position(|(has, _)| *has == key)?;
        let (_, queued) = state.waiting.remove(at)?;
        state.bytes -= queued.size;
        Some(queued)
    }

    pub(in crate::driver) fn made(&self, queued: &Queued) {
        self.made.fetch_add(1, Relaxed);
        let (app, change_id) = (&*queued.change.app, &*queued.id);
        tracing::info!(app, change_id, "a queued change is made");
    }

    pub(in crate::driver) fn dropped(&self, queued: &Queued, why: &ChangeError) {
        self.dropped.fetch_add(1, Relaxed);
        let (app, change_id) = (&*queued.change.app, &*queued.id);
        tracing::warn!(app, change_id, "a queued change is dropped: {why}");
    }

    pub(in crate::driver) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    pub(in crate::driver) fn view(&self) -> QueueView {
        QueueView {
            waiting: self.state.lock().waiting.len(),
            made: self.made.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }

    fn first(&self) -> Option<Queued> {
        let state = self.state.lock();
        state.waiting.front().map(|(_, queued)| queued.clone())
    }

    /// Waits until there is one.
    async fn next(&self) -> Queued {
        loop {
            if let Some(first) = self.first() {
                return first;
            }
            self.came.notified().await;
        }
    }

    fn has(&self, queued: &Queued) -> bool {
        let first = self.first();
        first.is_some_and(|first| first.number == queued.number)
    }
}

impl Driver {
    /// Proposes what is queued whenever the log takes it, until the driver stops.
    pub async fn send_queued(&self) {
        tokio::select! {
            () = self.send_all_queued() => {}
            () = self.stopped() => {}
        }
    }

    async fn send_all_queued(&self) {
        let Some(way) = self.changes().way() else {
            return;
        };
        let queue = &way.stand().queue;
        loop {
            let queued = queue.next().await;
            if way.stand().refuses().is_some() {
                sleep(LOOK_EVERY).await;
                continue;
            }
            let (reply, outcome) = oneshot::channel();
            let proposal = Proposal {
                change: queued.change.clone(),
                reply,
                id: Some(queued.id.clone()),
                queue: None,
            };
            if way.send(proposal).await.is_err() {
                return;
            }
            // An error: it came through the log before, and nobody waited.
            let outcome = outcome.await.unwrap_or(Err(ApplyError::InDoubt));
            if !queue.has(&queued) {
                continue;
            }
            match outcome {
                // It was not even published.
                Err(ApplyError::Refused(why)) => self.changes().unqueue(queued, why).await,
                _ => sleep(LOOK_EVERY).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh::Change;

    use super::*;

    fn queued(number: u64, size: usize) -> Queued {
        Queued {
            number,
            id: format!("id-{number}").into(),
            size,
            change: Change {
                app: "a".into(),
                base_version: None,
                operations: Vec::new(),
            },
        }
    }

    #[test]
    fn there_is_room_for_so_many_and_so_much() {
        let queue = Queue::default();
        assert_eq!(queue.room(0, MOST_BYTES), Some(0));
        assert_eq!(queue.room(0, MOST_BYTES + 1), None);
        queue.add((0..999).map(|number| queued(number, 1)));
        assert_eq!(queue.room(0, 1), Some(999));
        assert_eq!(queue.room(1, 1), None, "with one that is on its way");
        assert_eq!(queue.room(0, MOST_BYTES), None);
        queue.add([queued(999, 1)]);
        assert_eq!(queue.room(0, 0), None);
        assert!(queue.take(key_of_id("id-7")).is_some());
        assert_eq!(queue.take(key_of_id("id-7")), None);
        assert_eq!(queue.room(0, 1), Some(1_000), "no number comes again");
        assert!(queue.has(&queued(0, 1)) && !queue.has(&queued(1, 1)));
        assert_eq!(queue.view().waiting, 999);
    }
}
