//! What watchers are told.

use std::{collections::VecDeque, sync::Arc};

use mesh::{Change, Event, Mesh};
use tokio::sync::broadcast::{self, error::RecvError};

use super::Driver;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A change was made and is on disk.
    Changed(Arc<Change>),
    /// The core says so.
    Event(Event),
}

impl Notice {
    /// Which app it is about.
    pub fn app(&self) -> &str {
        match self {
            Self::Changed(change) => &change.app,
            Self::Event(Event::NeedDyno { app, .. } | Event::Idle { app }) => app,
            Self::Event(Event::Scale(hint)) => &hint.app,
            Self::Event(Event::Drained(dyno) | Event::Quarantined(dyno, _)) => &dyno.app,
        }
    }
}

/// Sees everything from its creation on, and first of all what was said before
/// and still holds: a manager that was away starts what is waited for.
#[derive(Debug)]
pub struct Watcher {
    driver: Arc<Driver>,
    notices: broadcast::Receiver<Notice>,
    /// What still holds.
    holds: VecDeque<Notice>,
}

impl Watcher {
    /// The next notice, or how many were left out because this watcher was too
    /// slow, after which comes again what still holds; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Notice, u64>> {
        if let Some(notice) = self.holds.pop_front() {
            return Some(Ok(notice));
        }
        match self.notices.recv().await {
            Ok(notice) => Some(Ok(notice)),
            Err(RecvError::Lagged(missed)) => {
                self.holds = self.driver.act(None, |mesh, _| holding(mesh));
                Some(Err(missed))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

impl Driver {
    /// What holds now, and everything from now on.
    pub fn watch(self: &Arc<Self>) -> Watcher {
        // Under the lock, so that an event is either in the one or in the other.
        let (notices, holds) = self.act(None, |mesh, _| (self.notices.subscribe(), holding(mesh)));
        Watcher {
            driver: self.clone(),
            notices,
            holds,
        }
    }

    /// Somebody would hear of it.
    pub(super) fn is_watched(&self) -> bool {
        self.notices.receiver_count() > 0
    }

    pub(super) fn tell(&self, notice: Notice) {
        // An error means that nobody watches.
        let _ = self.notices.send(notice);
    }
}

fn holding(mesh: &Mesh) -> VecDeque<Notice> {
    mesh.needs().map(Notice::Event).collect()
}
