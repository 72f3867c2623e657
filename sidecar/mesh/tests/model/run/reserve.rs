//! Leases ahead: what the mesh says about them is no answer to anything that the
//! model does, so it is taken aside and compared here.

use std::collections::{BTreeMap, BTreeSet};

use mesh::{AskId, Output, RecallId, SessionKey, Time, Update};

use super::Run;
use crate::{reference::Reference, steps::NAMES};

/// What was said of leases ahead, and who has to answer which recall.
#[derive(Default)]
pub(super) struct Ahead {
    said: Vec<Output>,
    open: BTreeMap<RecallId, Open>,
}

#[derive(Default)]
struct Open {
    until: Time,
    waiting: BTreeSet<SessionKey>,
    /// Names of apps, and domains that led to one.
    apps: BTreeSet<Box<str>>,
    lost: Vec<Box<str>>,
}

impl Ahead {
    /// When recalls are over, whoever answers.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Time> {
        self.open.values().map(|open| open.until)
    }

    /// Keeps what is about leases ahead; the rest is handed back.
    pub(super) fn sift(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Reserved(_) | Output::Recall(_) | Output::Recalled(_) => {
                self.said.push(output);
                None
            }
            other => Some(other),
        }
    }
}

impl Run {
    pub(super) fn reserve(&mut self, worker: usize, name: usize, count: u32, again: Option<usize>) {
        let Some(session) = self.session(worker) else {
            return;
        };
        let used = again.and_then(|which| self.pick(worker, which));
        let first = used.map_or(AskId(self.asks + 1), |(_, ask)| ask);
        self.asks += u64::from(count);
        let taken = self.mesh.reserve(session, first, count, NAMES[name]);
        self.hear();
        let said = std::mem::take(&mut self.ahead.said);
        assert!(said.len() <= 1, "{said:?}");
        let order = (session, first, count);
        assert_eq!(taken, self.model.reserve(order, NAMES[name], said.first()));
    }

    pub(super) fn taken(&mut self, worker: usize, which: usize) {
        if let Some((session, ask)) = self.pick(worker, which) {
            self.mesh.taken(session, ask, self.model.now);
            self.hear();
            self.model.taken(session, ask);
        }
    }

    pub(super) fn passed(&mut self, worker: usize, which: usize) {
        if let Some((session, ask)) = self.pick(worker, which) {
            self.mesh.passed(session, ask);
            self.hear();
            self.model.passed(session, ask);
        }
    }

    /// In any order; sometimes one that is over, or is somebody else's.
    pub(super) fn recalled(&mut self, worker: usize, which: usize, back: bool) {
        let Some(session) = self.session(worker) else {
            return;
        };
        let open: Vec<_> = self.ahead.open.keys().copied().collect();
        let recall = open.get(which % (open.len() + 1)).copied();
        let recall = recall.unwrap_or(RecallId(which as u64));
        for ask in self.model.ahead_of(session).into_iter().filter(|_| back) {
            self.mesh.cancel(session, ask, self.model.now);
            self.hear();
            self.model.cancel(session, ask);
        }
        self.mesh.recalled(session, recall);
        self.hear();
        if let Some(open) = self.ahead.open.get_mut(&recall) {
            open.waiting.remove(&session);
        }
    }

    /// Something about these apps has changed: whoever has something reserved of
    /// them, and nobody else, is told to give it back.
    pub(super) fn begins_recall(
        &mut self,
        apps: &BTreeSet<u64>,
        lost: Vec<Box<str>>,
    ) -> Option<RecallId> {
        let mut told = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut begun = BTreeSet::new();
        self.ahead.said.retain(|output| match output {
            Output::Recall(recall) => {
                assert!(told.insert(recall.session), "{recall:?} is said twice");
                begun.insert(recall.recall);
                names.extend(recall.apps.iter().map(|name| (**name).into()));
                false
            }
            _ => true,
        });
        let mut holders = self.model.holders(apps);
        holders.extend(self.may_believe(apps, !begun.is_empty()));
        assert_eq!(told, holders);
        assert!(begun.len() <= 1, "{begun:?}");
        let begun = begun.pop_first();
        if let Some(recall) = begun {
            let open = Open {
                until: self.model.now + self.model.limits.recall_patience,
                waiting: told,
                apps: names,
                lost,
            };
            assert!(self.ahead.open.insert(recall, open).is_none());
        }
        begun
    }

    /// An update is in effect when nobody may use what was reserved before it, or
    /// before another one that it builds on.
    pub(super) fn waits_for(&self, update: &Update, own: Option<RecallId>) -> Vec<RecallId> {
        let domains = match update {
            Update::Put(spec) => &spec.domains[..],
            Update::Remove(_) => &[],
        };
        let taken_over = |lost: &str| {
            let mut domains = domains.iter();
            domains.any(|it| Reference::fits(lost, it) || Reference::fits(it, lost))
        };
        let concerns = |(recall, open): &(&RecallId, &Open)| {
            own == Some(**recall)
                || open.apps.contains(update.app())
                || open.lost.iter().any(|lost| taken_over(lost))
        };
        let all = self.ahead.open.iter().filter(concerns);
        all.map(|(recall, _)| *recall).collect()
    }

    /// A recall is over when the last session has answered or is closed, or has hung for
    /// too long.
    pub(super) fn check_recalls(&mut self) {
        let live = |key: &SessionKey| self.model.sessions.iter().any(|s| s.key == *key);
        let mut over = BTreeSet::new();
        self.ahead.open.retain(|recall, open| {
            open.waiting.retain(live);
            let goes_on = !open.waiting.is_empty() && self.model.now < open.until;
            assert_eq!(self.mesh.is_recalling(*recall), goes_on);
            if !goes_on {
                over.insert(*recall);
            }
            goes_on
        });
        for output in self.ahead.said.drain(..) {
            match output {
                Output::Recalled(recall) => assert!(over.remove(&recall), "{recall:?} is not over"),
                other => panic!("nobody expects {other:?}"),
            }
        }
        assert!(over.is_empty(), "{over:?} are over");
    }
}
