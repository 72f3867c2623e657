//! What can be written.

use members::Known;
use mesh::{Update, WorkerId};
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    Position, Queued, Store, StoreError, WorkerProcess, app, known,
    schema::{ALONE, APPS, KEY_LOG, KEY_VERSION, LOG, META, QUEUE, SEEN, VERSION, WORKERS},
};
use crate::convert::queued_to_bytes;

/// One thing to write.
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// An app is like this, or gone.
    App(Update),
    /// A worker is this process, or gone.
    Worker(WorkerId, Option<WorkerProcess>),
    /// The table is this far along a log, or no log makes it.
    Log(Option<Position>),
    /// What changes were seen to is not known any more.
    ForgetSeen,
    /// A change was seen to.
    Seen {
        /// Its place.
        slot: u64,
        /// Which change.
        id: u128,
        /// The place of the next one.
        next: u64,
    },
    /// A change is queued.
    Queue(Queued),
    /// The one of this number is not, any more.
    Unqueue(u64),
    /// These are the other members, and those that were.
    Members(Known),
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The app of that name.
    App(Box<str>),
    /// That worker.
    Worker(WorkerId),
    /// The place in the log.
    Log,
    /// That place among the changes that were seen to.
    Seen(u64),
    /// All of these places.
    AllSeen,
    /// That place in the queue.
    Queue(u64),
    /// The members.
    Members,
}

impl Write {
    /// Two writes to the same place: the last one counts.
    pub fn place(&self) -> Place {
        match self {
            Self::App(update) => Place::App(update.app().into()),
            Self::Worker(worker, _) => Place::Worker(*worker),
            Self::Log(_) => Place::Log,
            Self::ForgetSeen => Place::AllSeen,
            Self::Seen { slot, .. } => Place::Seen(*slot),
            Self::Queue(Queued { number, .. }) | Self::Unqueue(number) => Place::Queue(*number),
            Self::Members(_) => Place::Members,
        }
    }
}

impl Store {
    /// Makes all of it durable, or nothing.
    ///
    /// # Errors
    /// What the disk said. It is tried again the next time.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let result = self.transaction(writes);
        if result.is_err() {
            // redb refuses everything after an error of the disk; a new handle
            // finds out whether the disk works again.
            self.close();
        }
        result
    }

    fn transaction(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        let failed = |error: redb::Error| StoreError::write(&path, error);
        let transaction = self
            .database()?
            .begin_write()
            .map_err(|error| failed(error.into()))?;
        fill(&transaction, writes).map_err(failed)?;
        fill_log(&transaction, writes).map_err(failed)?;
        fill_queue(&transaction, writes).map_err(failed)?;
        fill_members(&transaction, writes).map_err(failed)?;
        transaction.commit().map_err(|error| failed(error.into()))
    }
}

fn fill(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), redb::Error> {
    let mut apps = transaction.open_table(APPS)?;
    let mut workers = transaction.open_table(WORKERS)?;
    for write in writes {
        match write {
            Write::App(Update::Put(spec)) => {
                apps.insert(&*spec.name, app::encode(spec).as_slice())?;
            }
            Write::App(Update::Remove(name)) => {
                apps.remove(&**name)?;
            }
            Write::Worker(worker, Some(process)) => {
                workers.insert(worker.0, (process.pid, process.started))?;
            }
            Write::Worker(worker, None) => {
                workers.remove(worker.0)?;
            }
            Write::Queue(_)
            | Write::Unqueue(_)
            | Write::Log(_)
            | Write::ForgetSeen
            | Write::Seen { .. }
            | Write::Members(_) => {}
        }
    }
    Ok(())
}

fn fill_queue(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), redb::Error> {
    for write in writes {
        match write {
            Write::Queue(Queued {
                number, id, change, ..
            }) => {
                let bytes = queued_to_bytes(id, change);
                transaction
                    .open_table(QUEUE)?
                    .insert(*number, bytes.as_slice())?;
            }
            Write::Unqueue(number) => {
                transaction.open_table(QUEUE)?.remove(*number)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn fill_members(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), redb::Error> {
    let last = writes.iter().rev().find_map(|write| match write {
        Write::Members(known) => Some(known),
        _ => None,
    });
    last.map_or(Ok(()), |it| known::write(transaction, it))
}

fn fill_log(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), redb::Error> {
    let mut seen = None;
    let mut position = None;
    let mut next = None;
    for write in writes {
        match write {
            Write::Log(reached) => position = Some(*reached),
            Write::ForgetSeen => {
                seen = None;
                next = Some(0);
                transaction.delete_table(SEEN)?;
            }
            Write::Seen {
                slot,
                id,
                next: after,
            } => {
                let seen = match &mut seen {
                    Some(seen) => seen,
                    none => none.insert(transaction.open_table(SEEN)?),
                };
                seen.insert(*slot, *id)?;
                next = Some(*after);
            }
            Write::App(_)
            | Write::Worker(..)
            | Write::Queue(_)
            | Write::Unqueue(_)
            | Write::Members(_) => {}
        }
    }
    drop(seen);
    match position {
        None => Ok(()),
        Some(None) => leave(transaction),
        Some(Some(position)) => reach(transaction, position, next),
    }
}

fn reach(
    transaction: &WriteTransaction,
    position: Position,
    next: Option<u64>,
) -> Result<(), redb::Error> {
    let mut log = transaction.open_table(LOG)?;
    let before = log.get(KEY_LOG)?.map(|log| log.value().3);
    let next = next.or(before).unwrap_or(0);
    log.insert(
        KEY_LOG,
        (position.log, position.offset, position.mark, next),
    )?;
    if before.is_none() {
        transaction.open_table(META)?.insert(KEY_VERSION, VERSION)?;
    }
    Ok(())
}

/// No log makes the table any more.
fn leave(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.delete_table(LOG)?;
    transaction.delete_table(SEEN)?;
    transaction.open_table(META)?.insert(KEY_VERSION, ALONE)?;
    Ok(())
}
