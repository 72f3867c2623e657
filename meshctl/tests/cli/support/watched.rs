//! Waiting for an event, not for a time to pass.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// What a busy machine may take: a good run never gets near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A value whose changes can be waited for.
#[derive(Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// To look, or to set what nobody waits for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock()
    }

    /// Changes it, and wakes who waits.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock());
        self.changed.notify_all();
    }

    /// Waits until it is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut so: impl FnMut(&T) -> bool) {
        let patience = Instant::now() + PATIENCE;
        let mut value = self.value.lock();
        while !so(&value) {
            let late = self.changed.wait_until(&mut value, patience).timed_out();
            assert!(!late || so(&value), "never: {what}");
        }
    }
}
