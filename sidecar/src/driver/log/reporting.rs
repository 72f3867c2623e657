//! What this sidecar tells the others of its requests.
//!
//! Where there is a log, what the core says of an app's requests is true of one
//! sidecar only. So it is told in the log, and watchers hear what comes of that
//! there: a need and a hint at once, that something is over when no other sidecar
//! has said no. While the log is out of reach, needs are told to those who watch
//! here, and the rest waits.

use std::time::Instant;

use mesh::Event;

use super::{Matter, Report, Way, Word};
use crate::driver::{Driver, Notice};

impl Way {
    /// Takes what others shall know. Gives back what is to be told here.
    pub(in crate::driver) fn tell(&self, event: Event) -> Option<Event> {
        let over = |matter| {
            let mut consensus = self.stand().consensus.lock();
            consensus.over(matter, Instant::now());
        };
        match event {
            Event::Idle { app } => over(Matter::app(&app)),
            Event::Drained(dyno) => over(Matter::dyno(&dyno)),
            // Fewer would do for the requests of this sidecar.
            Event::Scale(hint) if hint.waiting == 0 => {}
            Event::Scale(hint) => self.report(Word::More(hint)),
            Event::NeedDyno { .. } if self.stand().refuses().is_some() => return Some(event),
            Event::NeedDyno { app, waiting } => {
                let app = (*app).into();
                self.report(Word::Need { app, waiting });
            }
            Event::Quarantined(..) => return Some(event),
        }
        None
    }
}

impl Driver {
    /// A word as it is to be published now, if it still is.
    pub fn report(&self, word: Word) -> Option<Report> {
        let stand = self.changes().stand()?;
        // First: whatever counts after this is not known to whoever says this.
        let mut seen = stand.position()?.offset;
        let word = match word {
            Word::Need { app, .. } => {
                let Event::NeedDyno { waiting, .. } =
                    self.act(None, |mesh, _| mesh.need_of(&app))?
                else {
                    return None;
                };
                let mut consensus = stand.consensus.lock();
                consensus.claims(&app, Instant::now()).then_some(())?;
                Word::Need { app, waiting }
            }
            Word::Settled(matter) => {
                seen = stand.consensus.lock().asked(&matter)?;
                Word::Settled(matter)
            }
            word @ (Word::More(_) | Word::Quiet(_) | Word::Busy(_)) => word,
        };
        Some(Report { seen, word })
    }

    /// What is to be told now that nobody has told yet, or that was lost.
    pub fn words_due(&self) -> Vec<Word> {
        let Some(stand) = self.changes().stand() else {
            return Vec::new();
        };
        let needy = self.act(None, |mesh, _| mesh.needy().cloned().collect::<Vec<_>>());
        let needs = needy.iter().map(|app| Word::Need {
            app: (**app).into(),
            waiting: 0,
        });
        let mut words: Vec<_> = needs.collect();
        let now = Instant::now();
        let asked = stand.consensus.lock().questions_due(now);
        for matter in asked {
            match self.is_over(&matter) {
                true => words.push(Word::Quiet(matter)),
                false => stand.consensus.lock().not_over(&matter),
            }
        }
        let objections = stand.consensus.lock().objections_due();
        words.extend(objections.into_iter().map(Word::Busy));
        let settled = stand.consensus.lock().settled_by_now(now);
        words.extend(settled.into_iter().map(Word::Settled));
        words
    }

    /// The log is within reach (again): what was said may be lost.
    pub fn tell_all(&self) {
        if let Some(stand) = self.changes().stand() {
            stand.consensus.lock().over_again(Instant::now());
        }
    }

    /// The log is out of reach: what is needed here is told here.
    pub fn tell_here(&self) {
        for event in self.needs_here() {
            self.tell(Notice::Event(event));
        }
    }

    pub(in crate::driver) fn needs_here(&self) -> Vec<Event> {
        self.act(None, |mesh, _| {
            let needs = mesh.needy().map(|app| mesh.need_of(app));
            needs.flatten().collect()
        })
    }

    fn is_over(&self, matter: &Matter) -> bool {
        self.act(None, |mesh, _| match &*matter.instance {
            "" => mesh.is_idle(&matter.app),
            instance => mesh.draining(instance).is_some() && !mesh.may_hold(instance),
        })
    }
}
