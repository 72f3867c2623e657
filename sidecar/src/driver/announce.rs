//! What dyno managers are told through the broker. Each event is told once for all
//! sidecars: by the one whose word in the log counted. Who carries it is the module
//! `amqp`.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mesh::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Driver, Position};

/// Events that wait to be published. With more the oldest are left out: what
/// somebody still waits for is said again.
const MOST: usize = 1_024;
/// A hint says how it is now.
const HINT: Duration = Duration::from_secs(5);

/// An event for the broker.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Where in the log it came to be: no other event did there.
    pub position: Position,
    /// What happened.
    pub event: Event,
    since: Instant,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<VecDeque<Announcement>>,
    more: Notify,
}

impl Driver {
    /// The word of this sidecar at `position` has come to this. What an earlier
    /// process of it has said may be a week old.
    pub(super) fn announce(&self, position: Position, event: Event) {
        let stand = self.changes.stand();
        if !stand.is_some_and(super::log::Stand::has_followed) {
            return;
        }
        let mut waiting = self.desk.waiting.lock();
        if waiting.len() >= MOST {
            waiting.pop_front();
            tracing::debug!("the broker takes no events: the oldest is left out");
        }
        waiting.push_back(Announcement {
            position,
            event,
            since: Instant::now(),
        });
        drop(waiting);
        self.desk.more.notify_one();
    }

    /// The next event to be published that still holds.
    pub async fn next_announcement(&self) -> Announcement {
        loop {
            let next = self.desk.waiting.lock().pop_front();
            match next {
                Some(next) if self.holds(&next) => return next,
                Some(_) => {}
                None => self.desk.more.notified().await,
            }
        }
    }

    /// It is as the event says.
    pub fn holds(&self, announcement: &Announcement) -> bool {
        match &announcement.event {
            Event::NeedDyno { app, .. } => {
                let stand = self.changes.stand();
                stand.is_some_and(|stand| stand.consensus.lock().is_open(app))
            }
            Event::Idle { app } => {
                self.act(None, |mesh, _| mesh.may_idle(app) && mesh.is_idle(app))
            }
            Event::Drained(dyno) => {
                self.act(None, |mesh, _| mesh.draining(&dyno.instance).is_some())
            }
            Event::Scale(_) => announcement.since.elapsed() < HINT,
            Event::Quarantined(..) => false,
        }
    }
}
