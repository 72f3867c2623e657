//! One who looks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::{Driver, TapNews};
use crate::convert::TappedRequest;

/// How often it is said that something was left out.
const LOSSES_EVERY: Duration = Duration::from_secs(1);

/// Requests that a watcher did not get.
#[derive(Debug, Default)]
pub(super) struct Losses {
    untold: AtomicU64,
    ever: AtomicU64,
    more: Notify,
}

impl Losses {
    pub(super) fn add(&self, count: u64) {
        self.untold.fetch_add(count, Relaxed);
        self.ever.fetch_add(count, Relaxed);
        self.more.notify_one();
    }

    /// Those that nobody was told of.
    pub(super) fn take(&self) -> u64 {
        self.untold.swap(0, Relaxed)
    }

    pub(super) fn ever(&self) -> u64 {
        self.ever.load(Relaxed)
    }
}

/// A tap. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Tap {
    driver: Arc<Driver>,
    number: u64,
}

impl Tap {
    pub(super) fn new(driver: Arc<Driver>, number: u64) -> Self {
        Self { driver, number }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.driver.end_tap(self.number);
    }
}

/// What somebody sees who opened a tap. It ends when this is dropped.
#[derive(Debug)]
pub struct TapWatch {
    _tap: Tap,
    routers: Option<usize>,
    from: mpsc::Receiver<Arc<TappedRequest>>,
    losses: Arc<Losses>,
    /// When it may be said that something was lost.
    say_at: Instant,
}

impl TapWatch {
    pub(super) fn new(
        tap: Tap,
        routers: usize,
        from: mpsc::Receiver<Arc<TappedRequest>>,
        losses: Arc<Losses>,
    ) -> Self {
        Self {
            _tap: tap,
            routers: Some(routers),
            from,
            losses,
            say_at: Instant::now(),
        }
    }

    /// What comes next.
    pub async fn next(&mut self) -> Option<TapNews> {
        if let Some(routers) = self.routers.take() {
            return Some(TapNews::Set(routers));
        }
        loop {
            let has_lost = self.losses.untold.load(Relaxed) > 0;
            if has_lost && Instant::now() >= self.say_at {
                self.say_at = Instant::now() + LOSSES_EVERY;
                return Some(TapNews::Lost(self.losses.take()));
            }
            tokio::select! {
                request = self.from.recv() => return request.map(TapNews::Request),
                () = self.losses.more.notified(), if !has_lost => {}
                () = sleep_until(self.say_at), if has_lost => {}
            }
        }
    }
}
