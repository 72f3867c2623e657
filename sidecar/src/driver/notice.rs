//! What watchers are told.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use mesh::{Change, Event};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Driver, Position};

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
                self.holds = self.driver.holding();
                Some(Err(missed))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

impl Driver {
    /// What holds now, and everything from now on.
    pub fn watch(self: &Arc<Self>) -> Watcher {
        // In this order, so that no event is in neither.
        let notices = self.notices.subscribe();
        Watcher {
            driver: self.clone(),
            notices,
            holds: self.holding(),
        }
    }

    /// What was said and still holds. With a log, what is needed anywhere; what
    /// may be over is asked again.
    fn holding(&self) -> VecDeque<Notice> {
        let Some(stand) = self.changes.stand() else {
            return self.act(None, |mesh, _| mesh.needs().map(Notice::Event).collect());
        };
        let mut consensus = stand.consensus.lock();
        let open = consensus.open();
        consensus.over_again(Instant::now());
        drop(consensus);
        if stand.refuses().is_some() {
            return self.needs_here().into_iter().map(Notice::Event).collect();
        }
        let need = |(app, waiting): (Box<str>, u32)| Event::NeedDyno {
            app: (*app).into(),
            waiting,
        };
        open.into_iter().map(need).map(Notice::Event).collect()
    }

    /// Tells an event of the log, unless it does not hold any more; managers at the
    /// broker, too, if it came of what this sidecar said at `own`.
    pub(super) fn tell_if_so(&self, event: Event, own: Option<Position>) {
        let is_so = match (&event, self.changes.stand()) {
            (Event::NeedDyno { app, .. }, Some(stand)) => stand.consensus.lock().is_open(app),
            _ => true,
        };
        if is_so {
            if let Some(position) = own {
                self.announce(position, event.clone());
            }
            self.tell(Notice::Event(event));
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
