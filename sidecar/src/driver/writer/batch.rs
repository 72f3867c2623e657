//! One batch of changes: made in memory, not yet on disk.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use members::Known;
use mesh::{AppSpec, Change, ChangeError, Event, Mesh, Operation, RecallId, Update, WorkerId};
use tokio::sync::oneshot;

use super::{Applied, ApplyError, Outcome, Workers, inbox::Remembered};
use crate::{
    driver::{Driver, Notice},
    store::{Position, WorkerProcess, Write},
};

/// See the module's documentation.
pub(super) struct Batch {
    driver: Arc<Driver>,
    /// What each app shall be, the last word on it.
    updates: HashMap<Box<str>, Update>,
    workers: HashMap<WorkerId, Option<WorkerProcess>>,
    pub(super) members: Option<Known>,
    /// What each app was before the batch, in the order in which they were
    /// changed first.
    undo: Vec<Update>,
    replies: Vec<Reply>,
    remembered: Vec<oneshot::Sender<Remembered>>,
    /// How far the table is along the log after this.
    pub(super) position: Option<Position>,
    /// Changes of the log that were seen to.
    pub(super) seen: Vec<Write>,
    /// What watchers are told of a table that takes the place of another one.
    told: Vec<Change>,
    /// What the log says of requests, and where it does if this sidecar said so.
    pub(super) events: Vec<(Event, Option<Position>)>,
    /// Who waits for a place in the log to be passed.
    pub(super) markers: Vec<oneshot::Sender<()>>,
}

struct Reply {
    /// `None`: whoever wanted it is elsewhere.
    to: Option<oneshot::Sender<Outcome>>,
    /// What was made of it, or why not.
    made: Result<Made, ChangeError>,
}

struct Made {
    applied: Applied,
    /// What watchers are told, in this order.
    changes: Vec<Change>,
    /// What has to come back from routers before the change is in effect.
    recalls: Vec<RecallId>,
}

impl Batch {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self {
            driver,
            updates: HashMap::new(),
            workers: HashMap::new(),
            members: None,
            undo: Vec::new(),
            replies: Vec::new(),
            remembered: Vec::new(),
            position: None,
            seen: Vec::new(),
            told: Vec::new(),
            events: Vec::new(),
            markers: Vec::new(),
        }
    }

    /// Makes a change in memory.
    pub(super) fn change(&mut self, change: Change, to: oneshot::Sender<Outcome>) {
        self.make(change, Some(to), |mesh, change| {
            mesh.identify(change, fresh_instance);
            mesh.plan(change)
        });
    }

    /// Makes what `plan` says in memory. Says whether that was possible.
    pub(super) fn make(
        &mut self,
        mut change: Change,
        to: Option<oneshot::Sender<Outcome>>,
        plan: impl FnOnce(&Mesh, &mut Change) -> Result<Vec<Update>, ChangeError>,
    ) -> bool {
        let made = self.driver.act(None, |mesh, now| {
            let updates = plan(mesh, &mut change)?;
            let losses = losses(mesh, &updates);
            // A specification may be large: one for each app is enough.
            let fresh = updates
                .iter()
                .filter(|update| !self.updates.contains_key(update.app()));
            self.undo
                .extend(fresh.map(|update| before(mesh, update.app())));
            let recalls = updates.iter().flat_map(|update| mesh.apply(update, now));
            let recalls = recalls.collect();
            Ok((updates, losses, recalls))
        });
        let made = made.map(|(updates, mut changes, recalls)| {
            let applied = applied(&change, &updates);
            for update in updates {
                self.updates.insert(update.app().into(), update);
            }
            // The last: who repeats them in this order gets the same versions.
            changes.push(change);
            Made {
                applied,
                changes,
                recalls,
            }
        });
        let is_made = made.is_ok();
        self.replies.push(Reply { to, made });
        is_made
    }

    /// Why the last change was not made.
    pub(super) fn refusal(&self) -> Option<&ChangeError> {
        let last = self.replies.last()?;
        last.made.as_ref().err()
    }

    /// An app shall be like this, whatever it was.
    pub(super) fn put(&mut self, update: Update) {
        let applied = self.driver.act(None, |mesh, now| {
            let same = match &update {
                Update::Put(spec) => mesh.spec(&spec.name).as_ref() == Some(spec),
                Update::Remove(_) => false,
            };
            if !same {
                mesh.apply(&update, now);
            }
            !same
        });
        if applied {
            if self.driver.is_watched() {
                self.told.push(recreation(&update));
            }
            self.updates.insert(update.app().into(), update);
        }
    }

    /// What the log says is not undone: the log goes on saying it.
    pub(super) fn is_of_log(&self) -> bool {
        self.position.is_some()
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.driver
    }

    pub(super) fn remember(
        &mut self,
        worker: WorkerId,
        process: WorkerProcess,
        to: oneshot::Sender<Remembered>,
        known: &Workers,
    ) {
        let on_disk = known.get(&worker) == Some(&process);
        if !on_disk || self.workers.contains_key(&worker) {
            self.workers.insert(worker, Some(process));
        }
        self.remembered.push(to);
    }

    /// The disk has these workers now.
    pub(super) fn note(&self, known: &mut Workers) {
        for (worker, process) in &self.workers {
            match process {
                Some(process) => known.insert(*worker, *process),
                None => known.remove(worker),
            };
        }
    }

    /// Nobody knows what the disk has.
    pub(super) fn unnote(&self, known: &mut Workers) {
        known.retain(|worker, _| !self.workers.contains_key(worker));
    }

    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.workers.insert(worker, None);
    }

    /// What the disk has to be told.
    pub(super) fn writes(&self) -> impl Iterator<Item = Write> {
        let apps = self.updates.values().cloned().map(Write::App);
        apps.chain(
            self.workers
                .iter()
                .map(|(worker, process)| Write::Worker(*worker, *process)),
        )
        .chain(self.members.iter().cloned().map(Write::Members))
        .chain(self.seen.iter().cloned())
        .chain(self.position.map(|position| Write::Log(Some(position))))
    }

    /// It is on disk.
    pub(super) fn made(self) {
        for change in self.told {
            self.driver.tell(Notice::Changed(Arc::new(change)));
        }
        for Reply { to, made } in self.replies {
            let (outcome, recalls) = match made {
                Ok(made) => {
                    for change in made.changes {
                        self.driver.tell(Notice::Changed(Arc::new(change)));
                    }
                    (Ok(made.applied), made.recalls)
                }
                Err(error) => (Err(ApplyError::Refused(error)), Vec::new()),
            };
            if let Some(to) = to {
                self.driver.reply_after(recalls, to, outcome);
            }
        }
        for (event, own) in self.events {
            self.driver.tell_if_so(event, own);
        }
        for marker in self.markers {
            let _ = marker.send(());
        }
        for to in self.remembered {
            let _ = to.send(Ok(()));
        }
    }

    /// The disk failed: memory is as before. Returns what the disk shall say then.
    pub(super) fn undo(self, why: &str) -> Vec<Write> {
        for update in self.undo.iter().rev() {
            // Whoever uses what was undone cannot know; nobody was told.
            self.driver
                .act(None, |mesh, now| _ = mesh.apply(update, now));
        }
        let why: Arc<str> = why.into();
        for to in self.replies.into_iter().filter_map(|reply| reply.to) {
            // A refusal may be due to another change of the batch, so it does
            // not hold either.
            let _ = to.send(Err(ApplyError::Disk(why.clone())));
        }
        for to in self.remembered {
            let _ = to.send(Err(why.clone()));
        }
        if self.members.is_some() {
            self.driver.keep_members_again();
        }
        self.undo.into_iter().map(Write::App).collect()
    }
}

/// A process that nobody has named.
fn fresh_instance() -> Box<str> {
    format!("{:032x}", rand::random::<u128>()).into()
}

/// What brings an app back to what it is now.
fn before(mesh: &Mesh, app: &str) -> Update {
    match mesh.spec(app) {
        Some(spec) => Update::Put(spec),
        None => Update::Remove(app.into()),
    }
}

/// The changes of the apps, other than the one that is changed, that lose dynos
/// because their addresses are taken over.
fn losses(mesh: &Mesh, updates: &[Update]) -> Vec<Change> {
    let loss = |update: &Update| match update {
        Update::Put(after) => mesh.spec(&after.name).map(|before| loss(&before, after)),
        Update::Remove(_) => None,
    };
    updates.iter().skip(1).filter_map(loss).collect()
}

fn loss(before: &AppSpec, after: &AppSpec) -> Change {
    let stays: HashSet<_> = after.dynos.iter().map(|dyno| &dyno.name).collect();
    let gone = before.dynos.iter().map(|dyno| &dyno.name);
    let gone = gone.filter(|name| !stays.contains(name));
    Change {
        app: after.name.clone(),
        base_version: Some(before.version),
        operations: gone.cloned().map(Operation::RemoveDyno).collect(),
    }
}

/// The change that makes an app what it shall be, whatever it was.
fn recreation(update: &Update) -> Change {
    let mut operations = vec![Operation::DeleteApp];
    if let Update::Put(spec) = update {
        operations = vec![Operation::CreateApp(spec.settings.clone())];
        if spec.maintenance {
            operations.push(Operation::SetMaintenance(true));
        }
        if !spec.rules.is_empty() {
            operations.push(Operation::PutRules(spec.rules.clone()));
        }
        let pages = spec.pages.all().iter().cloned();
        operations.extend(pages.map(Operation::PutPage));
        if !spec.auth.is_empty() {
            operations.push(Operation::PutAuth(spec.auth.clone()));
        }
        if !spec.sticky.is_empty() {
            operations.push(Operation::PutSticky(spec.sticky.clone()));
        }
        let domains = spec.domains.iter().cloned().map(Operation::AddDomain);
        operations.extend(domains);
        let dynos = spec.dynos.iter().cloned();
        operations.extend(dynos.map(|dyno| Operation::PutDyno {
            dyno,
            takeover: true,
        }));
    }
    Change {
        app: update.app().into(),
        base_version: None,
        operations,
    }
}

fn applied(change: &Change, updates: &[Update]) -> Applied {
    let version = match updates.first() {
        Some(Update::Put(spec)) => spec.version,
        _ => 0,
    };
    Applied {
        app: change.app.clone(),
        version,
        queued: None,
    }
}
