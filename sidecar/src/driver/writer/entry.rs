//! What the log says, made in memory like any other change.
//!
//! Every sidecar comes to the same: nothing here depends on more than the table
//! and the entry.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering::Relaxed,
};

use mesh::{AppSpec, Change, Update};
use sha2::{Digest as _, Sha256};

use super::{batch::Batch, history::History};
use crate::{
    driver::{
        Driver,
        log::{Counts, Entry, EntryKind, OutcomeSender, Position, Seen},
    },
    store::{Queued, Write},
};

impl Batch {
    /// Makes an entry in memory.
    pub(super) fn entry(&mut self, entry: Entry, history: &mut History) {
        let position = entry.position;
        match entry.kind {
            EntryKind::Change { id, change, reply } => {
                self.shared_change(position, id, change, reply, history);
            }
            EntryKind::Report(report, own) => self.report(position, report, own),
            EntryKind::Marker(to) => self.markers.push(to),
            EntryKind::Replace { apps, seen } => self.replace(apps, seen, history),
            EntryKind::Other => {}
            EntryKind::Skipped => self.count(|counts| &counts.skipped),
        }
        history.position = Some(position);
        self.position = Some(position);
        if let Some(stand) = self.driver().changes().stand() {
            stand.reached(position);
        }
    }

    /// The table is another one. What stays as it is keeps its requests.
    fn replace(&mut self, apps: Vec<AppSpec>, seen: Seen, history: &mut History) {
        let stays: HashSet<_> = apps.iter().map(|app| app.name.clone()).collect();
        let gone = names(self.driver()).into_iter();
        let gone = gone
            .filter(|name| !stays.contains(name))
            .map(Update::Remove);
        if let Some(stand) = self.driver().changes().stand() {
            stand.consensus.lock().clear();
        }
        // First: others may have their domains and addresses.
        let updates: Vec<_> = gone.chain(apps.into_iter().map(Update::Put)).collect();
        for update in updates {
            self.put(update);
        }
        self.seen = history.reset(seen);
    }

    fn shared_change(
        &mut self,
        position: Position,
        id: u128,
        change: Change,
        reply: Option<OutcomeSender>,
        history: &mut History,
    ) {
        let queued = self.unqueue(id);
        // One that was refused is not made later either: its caller was told.
        let Some(seen) = history.remember(id) else {
            return self.count(|counts| &counts.duplicates);
        };
        self.seen.push(seen);
        let app = change.app.clone();
        let made = self.make(change, reply, |mesh, change| {
            mesh.identify_shared(change, |number| instance(position, number));
            mesh.plan_shared(change)
        });
        self.note_dynos(&app);
        if let (Some(queued), Some(stand)) = (queued, self.driver().changes().stand()) {
            match self.refusal() {
                None => stand.queue.made(&queued),
                Some(why) => stand.queue.dropped(&queued, why),
            }
        }
        self.count(|counts| match made {
            true => &counts.applied,
            false => &counts.refused,
        });
    }

    /// It does not wait any more, if it is one that did.
    fn unqueue(&mut self, key: u128) -> Option<Queued> {
        let queued = self.driver().changes().stand()?.queue.take(key)?;
        self.seen.push(Write::Unqueue(queued.number));
        Some(queued)
    }

    fn count(&self, which: impl FnOnce(&Counts) -> &std::sync::atomic::AtomicU64) {
        if let Some(stand) = self.driver().changes().stand() {
            which(&stand.counts).fetch_add(1, Relaxed);
        }
    }
}

impl Entry {
    /// There are apps here that it takes away, or alters, as no change would.
    pub(super) fn loses(&self, driver: &Driver) -> bool {
        let EntryKind::Replace { apps, .. } = &self.kind else {
            return false;
        };
        let wanted: HashMap<_, _> = apps.iter().map(|app| (&*app.name, app)).collect();
        let same = |name: &str| {
            let spec = driver.act(None, |mesh, _| mesh.spec(name));
            spec.as_ref() == wanted.get(name).copied()
        };
        !names(driver).iter().all(|name| same(name))
    }
}

/// Of all apps.
fn names(driver: &Driver) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    let mut after: Option<Box<str>> = None;
    loop {
        let step = driver.scan("", after.as_deref(), usize::MAX, false);
        names.extend(step.apps.into_iter().map(|view| view.spec.name));
        after = step.next;
        if after.is_none() {
            return names;
        }
    }
}

/// The process that an operation puts without naming it: the same name
/// everywhere, and no other one's.
fn instance(position: Position, number: usize) -> Box<str> {
    let mut hash = Sha256::new();
    hash.update(position.log.to_be_bytes());
    hash.update(position.offset.to_be_bytes());
    hash.update((number as u64).to_be_bytes());
    let hash = hash.finalize();
    let half = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    half.collect::<String>().into()
}
