//! A backend for tests: one process, one dyno.
//!
//! It keeps its own books ([`stats`]), so that what it was given can be compared
//! with what the mesh believes, and each path is a way to behave: [`behave`] for
//! the proper ones, [`misbehave`] for the others.

pub mod admin;
pub mod behave;
pub mod exchange;
pub mod grpc;
pub mod misbehave;
pub mod serve;
pub mod socket;
pub mod stats;

use tokio::sync::watch;

use stats::Stats;

/// Who this process is, and what it has seen.
#[derive(Debug)]
pub struct Dyno {
    /// The dyno's name, e.g. "web.1".
    pub name: String,
    /// The app that it says it belongs to.
    pub app: String,
    /// What it was given.
    pub stats: Stats,
    /// Counts the releases of `/hold`.
    releases: watch::Sender<u64>,
    /// It takes no more connections.
    left: watch::Sender<bool>,
}

impl Dyno {
    /// A dyno that has seen nothing. `limit`: how many requests at once it takes
    /// to be fair.
    #[must_use]
    pub fn new(name: String, app: String, limit: u32) -> Self {
        Self {
            name,
            app,
            stats: Stats::new(limit),
            releases: watch::Sender::new(0),
            left: watch::Sender::new(false),
        }
    }

    /// Waits until somebody says [`Dyno::release`].
    async fn held(&self) {
        let mut releases = self.releases.subscribe();
        // Fails only when the sender, which is ours, is gone.
        let _ = releases.changed().await;
    }

    /// Returns when somebody has said [`Dyno::leave`].
    async fn has_left(&self) {
        // Fails only when the sender, which is ours, is gone.
        let _ = self.left.subscribe().wait_for(|left| *left).await;
    }

    /// Gives its address free, for another process, and goes on to serve the
    /// connections that it has.
    pub fn leave(&self) {
        self.left.send_replace(true);
    }

    /// Lets every request that is held right now go on.
    pub fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }
}
