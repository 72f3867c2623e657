//! What sidecars tell each other in the log. It changes no table.

use std::sync::Arc;

use mesh::{Event, ScaleHint};
use parking_lot::Mutex;

use super::batch::Batch;
use crate::driver::log::{Consensus, Matter, Position, Report, Word};

impl Batch {
    /// `own`: this sidecar has said so.
    pub(super) fn report(&mut self, position: Position, report: Report, own: bool) {
        let offset = position.offset;
        let driver = self.driver();
        let Some(way) = driver.changes().way() else {
            return;
        };
        let (seen, consensus) = (report.seen, &way.stand().consensus);
        let event = match report.word {
            Word::Need { app, waiting } => {
                let wakes = driver.act(None, |mesh, _| mesh.would_wake(&app));
                let counts = wakes && consensus.lock().need(&app, waiting, seen, offset);
                let app = (*app).into();
                counts.then_some(Event::NeedDyno { app, waiting })
            }
            Word::More(hint) => {
                let has_dyno = driver.act(None, |mesh, _| mesh.has_dyno(&hint.app));
                more(consensus, hint, has_dyno, seen, offset)
            }
            Word::Quiet(matter) => {
                let (may, busy) = driver.asked(&matter);
                let counts = may && consensus.lock().ask(&matter, seen, offset, own);
                if counts && busy {
                    way.report(Word::Busy(matter));
                }
                None
            }
            Word::Busy(matter) => {
                consensus.lock().object(&matter);
                None
            }
            Word::Settled(matter) => match consensus.lock().settle(&matter, seen) {
                true => driver.settled(matter),
                false => None,
            },
        };
        let event = event.map(|event| (event, own.then_some(position)));
        self.events.extend(event);
    }

    /// A change of this app was made.
    pub(super) fn note_dynos(&self, app: &str) {
        let Some(stand) = self.driver().changes().stand() else {
            return;
        };
        let (is_there, has_dyno) = self
            .driver()
            .act(None, |mesh, _| (mesh.has_app(app), mesh.has_dyno(app)));
        let mut consensus = stand.consensus.lock();
        if !is_there {
            consensus.forget(app);
        } else if has_dyno {
            consensus.has_dyno(app);
        }
    }
}

fn more(
    consensus: &Mutex<Consensus>,
    hint: ScaleHint,
    has_dyno: bool,
    seen: u64,
    offset: u64,
) -> Option<Event> {
    let counts = has_dyno && consensus.lock().more(&hint.app, seen, offset);
    counts.then_some(Event::Scale(hint))
}

impl crate::driver::Driver {
    /// Whether this may be over, by the table, and whether it is not over here.
    fn asked(&self, matter: &Matter) -> (bool, bool) {
        self.act(None, |mesh, _| match &*matter.instance {
            "" => (mesh.may_idle(&matter.app), !mesh.is_idle(&matter.app)),
            instance => (mesh.draining(instance).is_some(), mesh.may_hold(instance)),
        })
    }

    /// It is over everywhere.
    fn settled(&self, matter: Matter) -> Option<Event> {
        self.act(None, |mesh, _| match &*matter.instance {
            "" => {
                let app: Arc<str> = (*matter.app).into();
                mesh.may_idle(&app).then_some(Event::Idle { app })
            }
            instance => mesh.draining(instance).cloned().map(Event::Drained),
        })
    }
}
