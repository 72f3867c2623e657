//! Load that sidecars tell each other: what the driver has to do with it. Who
//! carries it is the module `amqp`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use mesh::{Heard, LoadReport, NodeView};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Driver;

/// Dynos whose load is taken under one lock.
const AT_ONCE: usize = 1_024;

/// What operators see of it.
#[derive(Clone, Debug)]
pub struct LoadView {
    /// Why no load is shared.
    pub problem: Option<Arc<str>>,
    /// Others.
    pub nodes: Vec<NodeView>,
    /// Shortest time between two messages.
    pub interval: Duration,
    /// Messages sent.
    pub sent: u64,
    /// Messages that counted.
    pub taken: u64,
    /// Messages after one that is missing.
    pub out_of_step: u64,
    /// Messages that were too old, or of one node too many.
    pub ignored: u64,
    /// What was no message.
    pub skipped: u64,
}

/// How it goes.
#[derive(Debug, Default)]
pub(super) struct Board {
    untold: Notify,
    standing: Mutex<Option<Standing>>,
    sent: AtomicU64,
    taken: AtomicU64,
    out_of_step: AtomicU64,
    ignored: AtomicU64,
    skipped: AtomicU64,
}

#[derive(Clone, Debug)]
struct Standing {
    problem: Option<Arc<str>>,
    interval: Duration,
}

impl Board {
    pub(super) fn rouse(&self) {
        self.untold.notify_one();
    }
}

impl Driver {
    /// Returns when there is something to tell others that was not there when they
    /// were last told.
    pub async fn untold(&self) {
        self.load.untold.notified().await;
    }

    /// What others are to be told: all dynos whose load has changed since this was
    /// last called, with what it is.
    pub fn take_untold(&self) -> Vec<(Box<str>, u32)> {
        let mut all = Vec::new();
        loop {
            let (mut some, more) = self.act_on_state(None, |state, _| {
                let some = state.mesh.poll_untold(AT_ONCE);
                let more = state.mesh.has_untold();
                state.roused = more;
                (some, more)
            });
            all.append(&mut some);
            // What changes meanwhile may wait for the next time.
            if !more || all.len() >= mesh::MAX_SHARED {
                return all;
            }
        }
    }

    /// Another sidecar says what it does. Says how many others there are.
    pub fn hear_load(&self, report: LoadReport) -> usize {
        let (heard, nodes) = self.act(None, |mesh, now| {
            (mesh.hear_load(report, now), mesh.node_count())
        });
        let count = match heard {
            Heard::Taken => &self.load.taken,
            Heard::Gap | Heard::Waits => &self.load.out_of_step,
            Heard::Stale | Heard::TooMany => &self.load.ignored,
        };
        count.fetch_add(1, Relaxed);
        nodes
    }

    /// How many others there are.
    pub fn node_count(&self) -> usize {
        self.act(None, |mesh, _| mesh.node_count())
    }

    /// Messages were sent.
    pub fn count_load_sent(&self, count: usize) {
        self.load.sent.fetch_add(count as u64, Relaxed);
    }

    /// What came is no message.
    pub fn count_load_skipped(&self) {
        self.load.skipped.fetch_add(1, Relaxed);
    }

    /// Load is shared, at most so often, or why it is not.
    pub fn set_load_standing(&self, interval: Duration, problem: Option<Arc<str>>) {
        *self.load.standing.lock() = Some(Standing { problem, interval });
    }

    /// How it goes; `None` without a broker.
    pub fn load_view(&self) -> Option<LoadView> {
        let Standing { problem, interval } = self.load.standing.lock().clone()?;
        let count = |count: &AtomicU64| count.load(Relaxed);
        Some(LoadView {
            problem,
            interval,
            nodes: self.act(None, |mesh, now| mesh.nodes(now)),
            sent: count(&self.load.sent),
            taken: count(&self.load.taken),
            out_of_step: count(&self.load.out_of_step),
            ignored: count(&self.load.ignored),
            skipped: count(&self.load.skipped),
        })
    }
}
