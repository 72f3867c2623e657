//! What can be written.

use mesh::{Update, WorkerId};
use redb::WriteTransaction;

use super::{
    Store, StoreError, WorkerProcess, app,
    schema::{APPS, WORKERS},
};

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// An app is like this, or gone.
    App(Update),
    /// A worker is this process, or gone.
    Worker(WorkerId, Option<WorkerProcess>),
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The app of that name.
    App(Box<str>),
    /// That worker.
    Worker(WorkerId),
}

impl Write {
    /// Two writes to the same place: the last one counts.
    pub fn place(&self) -> Place {
        match self {
            Self::App(update) => Place::App(update.app().into()),
            Self::Worker(worker, _) => Place::Worker(*worker),
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
        }
    }
    Ok(())
}
