//! Who waits here for the echo of a change.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::driver::{ApplyError, OutcomeSender};

/// Whoever has waited this long is told that nobody knows: before callers give
/// up by themselves, which most do after ten seconds.
const LIMIT: Duration = Duration::from_secs(7);

/// By the change's key.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<u128, (OutcomeSender, Instant)>>);

impl Waiting {
    pub(super) fn insert(&self, key: u128, reply: OutcomeSender) {
        self.0.lock().insert(key, (reply, Instant::now()));
    }

    /// The echo is there.
    pub(super) fn take(&self, key: u128) -> Option<OutcomeSender> {
        self.0.lock().remove(&key).map(|(reply, _)| reply)
    }

    pub(super) fn contains(&self, key: u128) -> bool {
        self.0.lock().contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Tells those who have waited too long.
    pub(super) fn expire(&self) {
        let mut waiting = self.0.lock();
        let late = waiting.extract_if(|_, (_, since)| since.elapsed() > LIMIT);
        for (_, (reply, _)) in late {
            // An error means that the caller is gone.
            let _ = reply.send(Err(ApplyError::InDoubt));
        }
    }
}
