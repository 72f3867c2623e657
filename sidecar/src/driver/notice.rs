//! What watchers are told.

use std::sync::Arc;

use mesh::{Change, Event};
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
            Self::Event(Event::NeedDyno { app, .. }) => app,
            Self::Event(Event::Drained(dyno) | Event::Quarantined(dyno, _)) => &dyno.app,
        }
    }
}

/// Sees everything from its creation on.
#[derive(Debug)]
pub struct Watcher(broadcast::Receiver<Notice>);

impl Watcher {
    /// The next notice, or how many were left out because this watcher was too
    /// slow; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Notice, u64>> {
        match self.0.recv().await {
            Ok(notice) => Some(Ok(notice)),
            Err(RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Driver {
    /// Everything from now on.
    pub fn watch(&self) -> Watcher {
        Watcher(self.notices.subscribe())
    }

    pub(super) fn tell(&self, notice: Notice) {
        // An error means that nobody watches.
        let _ = self.notices.send(notice);
    }
}
