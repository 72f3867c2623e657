//! Who is next: said of the first of a queue, and only of them; and recalled before
//! anything of their app is different.

use std::collections::{BTreeMap, BTreeSet};

use mesh::{AskId, Next, Output, SessionKey};

use super::Run;
use crate::reference::Reference;

/// What was said of those who wait.
#[derive(Default)]
pub(super) struct Said {
    /// In this step.
    new: Vec<(u64, Next)>,
    /// Of these, so many came before the first recall of the step.
    recalled: Option<usize>,
    /// Sessions that believe something, by app.
    believe: BTreeMap<u64, BTreeSet<SessionKey>>,
    /// All who were ever named.
    named: BTreeSet<(SessionKey, AskId)>,
}

impl Said {
    /// Keeps what is about them; the rest is handed back.
    pub(super) fn sift(&mut self, output: Output, model: &Reference) -> Option<Output> {
        match output {
            Output::Next(next) => {
                let app = model.app(&next.app).expect("there is no such app");
                self.new.push((app.id, next));
                return None;
            }
            Output::Recall(_) => _ = self.recalled.get_or_insert(self.new.len()),
            _ => {}
        }
        Some(output)
    }
}

impl Run {
    pub(super) fn hand_on(&mut self, worker: usize, which: usize, next: usize, fits: bool) {
        let pair = match fits {
            true => self.session(worker).and_then(|session| {
                let all = self.model.heirs(session);
                let (ask, next) = *all.get(which % all.len().max(1))?;
                Some((session, ask, next))
            }),
            false => self.pick(worker, which).and_then(|(session, ask)| {
                let (_, next) = self.pick(worker, next)?;
                Some((session, ask, next))
            }),
        };
        if let Some((session, ask, next)) = pair {
            self.mesh.hand_on(session, ask, next, self.model.now);
            self.hear();
            self.model.hand_on(session, ask, next);
        }
    }

    /// Who may believe that somebody is next for one of these apps, before the recall that
    /// has just begun or has not.
    pub(super) fn may_believe(&mut self, apps: &BTreeSet<u64>, begun: bool) -> Vec<SessionKey> {
        // If there was none, what was said in this step may have come later.
        let before = self.next.recalled.take().unwrap_or(0);
        let after = self.next.new.split_off(before);
        self.believe();
        let mut all = Vec::new();
        for app in apps.iter().filter(|app| self.model.has(**app)) {
            let told = match begun {
                true => self.next.believe.remove(app),
                false => self.next.believe.get(app).cloned(),
            };
            all.extend(told.unwrap_or_default());
        }
        self.next.new = after;
        all.retain(|session| self.model.sessions.iter().any(|s| s.key == *session));
        all
    }

    fn believe(&mut self) {
        for (app, next) in self.next.new.drain(..) {
            if let Some(ask) = next.ask {
                self.next.named.insert((next.session, ask));
            }
            let told = self.next.believe.entry(app).or_default();
            told.insert(next.session);
        }
    }

    pub(super) fn check_next(&mut self) {
        for (app, next) in &self.next.new {
            self.model.check_next(*app, next);
        }
        self.believe();
        self.next.recalled = None;
        for first in self.model.firsts() {
            assert!(self.next.named.contains(&first), "{first:?} is first");
        }
        let live = |key: &SessionKey| self.model.sessions.iter().any(|s| s.key == *key);
        for told in self.next.believe.values_mut() {
            told.retain(live);
        }
    }
}
