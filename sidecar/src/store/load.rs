//! Reading everything, once, at the start.

use std::path::Path;

use members::Known;
use mesh::{AppSpec, WorkerId};
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableError};

use super::{
    Position, Queued, Seen, Store, StoreError, WorkerProcess, app, known,
    schema::{APPS, KEY_LOG, KEY_NODE, LOG, META, QUEUE, SEEN, WORKERS},
};
use crate::{convert::queued_from_bytes, panics};

/// What was on disk, without the apps.
#[derive(Debug)]
pub struct Loaded {
    /// The node's identity.
    pub node: u64,
    /// How many apps there were.
    pub apps: usize,
    /// The workers that were connected.
    pub workers: Vec<(WorkerId, WorkerProcess)>,
    /// How far the apps are along the log that makes them.
    pub position: Option<Position>,
    /// The changes of it that were seen to.
    pub seen: Seen,
    /// Changes that it is to get, in their order.
    pub queued: Vec<Queued>,
    /// The other members, as they were known last.
    pub known: Known,
}

pub(super) enum Unreadable {
    Disk(redb::Error),
    App(String, String),
    Queued(u64, String),
}

impl<E: Into<redb::Error>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        Self::Disk(error.into())
    }
}

impl Unreadable {
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Disk(error) => StoreError::corrupt(path, error),
            Self::App(name, why) => StoreError::corrupt(path, format!("app \"{name}\": {why}")),
            Self::Queued(number, why) => {
                StoreError::corrupt(path, format!("queued change {number}: {why}"))
            }
        }
    }
}

impl Store {
    /// Hands every app to `each`, one at a time: there may be more of them than
    /// anybody wants to hold twice.
    ///
    /// # Errors
    /// What can't be read.
    pub fn load(&mut self, each: impl FnMut(AppSpec)) -> Result<Loaded, StoreError> {
        let path = self.path().to_owned();
        let database = self.database()?;
        let read = panics::as_error(|| read(database, each));
        let read = read.map_err(|panic| StoreError::corrupt(&path, panic))?;
        read.map_err(|unreadable| unreadable.of(&path))
    }
}

fn read(database: &Database, each: impl FnMut(AppSpec)) -> Result<Loaded, Unreadable> {
    let transaction = database.begin_read()?;
    let apps = read_apps(&transaction, each)?;
    let mut workers = Vec::new();
    for entry in transaction.open_table(WORKERS)?.iter()? {
        let (worker, process) = entry?;
        let (pid, started) = process.value();
        workers.push((WorkerId(worker.value()), WorkerProcess { pid, started }));
    }
    let node = transaction
        .open_table(META)?
        .get(KEY_NODE)?
        .map_or(0, |node| node.value());
    let (position, seen) = read_log(&transaction)?;
    let queued = read_queue(&transaction)?;
    Ok(Loaded {
        node,
        apps,
        workers,
        position,
        seen,
        queued,
        known: known::read(&transaction)?,
    })
}

fn read_queue(transaction: &ReadTransaction) -> Result<Vec<Queued>, Unreadable> {
    let queue = match transaction.open_table(QUEUE) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        queue => queue?,
    };
    let mut all = Vec::new();
    for entry in queue.iter()? {
        let (number, bytes) = entry?;
        let (number, bytes) = (number.value(), bytes.value());
        let read = queued_from_bytes(bytes);
        let (id, change) = read.map_err(|why| Unreadable::Queued(number, why.to_string()))?;
        all.push(Queued {
            number,
            id,
            size: bytes.len(),
            change,
        });
    }
    Ok(all)
}

/// The apps, and how far along a log they are.
pub(super) fn read_table(
    transaction: &ReadTransaction,
    each: impl FnMut(AppSpec),
) -> Result<(Option<Position>, Seen), Unreadable> {
    read_apps(transaction, each)?;
    Ok(read_log(transaction)?)
}

fn read_apps(
    transaction: &ReadTransaction,
    mut each: impl FnMut(AppSpec),
) -> Result<usize, Unreadable> {
    let mut apps = 0;
    for entry in transaction.open_table(APPS)?.iter()? {
        let (name, bytes) = entry?;
        let spec = app::decode(name.value(), bytes.value());
        each(spec.map_err(|why| Unreadable::App(name.value().into(), why))?);
        apps += 1;
    }
    Ok(apps)
}

fn read_log(transaction: &ReadTransaction) -> Result<(Option<Position>, Seen), redb::Error> {
    let log = match transaction.open_table(LOG) {
        Err(TableError::TableDoesNotExist(_)) => return Ok((None, Seen::default())),
        log => log?,
    };
    let Some(log) = log.get(KEY_LOG)? else {
        return Ok((None, Seen::default()));
    };
    let (log, offset, mark, next) = log.value();
    let mut ring = Vec::new();
    match transaction.open_table(SEEN) {
        Err(TableError::TableDoesNotExist(_)) => {}
        seen => {
            for entry in seen?.iter()? {
                ring.push(entry?.1.value());
            }
        }
    }
    let next = usize::try_from(next).unwrap_or(0);
    let position = Position { log, offset, mark };
    Ok((Some(position), Seen { ring, next }))
}
