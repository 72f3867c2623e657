//! The apps as they were at one moment, read while the file is written to.

use mesh::AppSpec;
use redb::{ReadTransaction, ReadableDatabase as _};

use super::{Position, Seen, Store, StoreError, load};
use crate::panics;

/// What was on disk when it was frozen.
pub struct Frozen {
    path: std::path::PathBuf,
    transaction: ReadTransaction,
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at a moment", self.path.display())
    }
}

impl Store {
    /// What is on disk now.
    ///
    /// # Errors
    /// What can't be read.
    pub fn freeze(&mut self) -> Result<Frozen, StoreError> {
        let path = self.path().to_owned();
        let begun = self.database()?.begin_read();
        let transaction = begun.map_err(|error| StoreError::corrupt(&path, error))?;
        Ok(Frozen { path, transaction })
    }
}

impl Frozen {
    /// Hands every app to `each`. Returns how far along a log they are.
    ///
    /// # Errors
    /// What can't be read.
    pub fn read(&self, each: impl FnMut(AppSpec)) -> Result<(Option<Position>, Seen), StoreError> {
        let read = panics::as_error(|| load::read_table(&self.transaction, each));
        let read = read.map_err(|panic| StoreError::corrupt(&self.path, panic))?;
        read.map_err(|unreadable| unreadable.of(&self.path))
    }
}
