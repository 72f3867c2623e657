//! Opening the file, or making it.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rand::random;
use redb::{Database, DatabaseError, ReadableDatabase};

use super::{
    Problem, StoreError,
    lock::lock,
    schema::{ALONE, APPS, KEY_NODE, KEY_VERSION, META, VERSION, WORKERS},
};
use crate::panics;

/// Pages that redb keeps in memory. All apps are in the core, so the file is
/// read once and then only written.
const CACHE: usize = 16 << 20;
/// The file's name in the data directory.
const FILE: &str = "mesh.redb";

/// The open file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// `None` after an error, until it is needed again.
    database: Option<Database>,
    /// Held as long as the store.
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, and makes both if there is none.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o750).create(dir);
        made.map_err(|error| StoreError::open(dir, &error))?;
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.len() == 0 && found.is_file() => {
                return Err(StoreError::corrupt(&path, "it is empty"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(dir, &path)?,
            Err(error) => return Err(StoreError::open(&path, &error)),
        }
        let mut store = Self {
            path,
            database: None,
            _lock: lock,
        };
        store.examine()?;
        let path = store.path.clone();
        check_version(&path, store.database()?)?;
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go of the file; it is opened again when needed.
    pub(super) fn close(&mut self) {
        self.database = None;
    }

    pub(super) fn database(&mut self) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            let mut builder = Database::builder();
            // What was altered since it was written is found by its checksum.
            builder
                .set_cache_size(CACHE)
                .set_check_integrity_on_open(true);
            self.database = Some(self.guarded(|| builder.open(&self.path))?);
        }
        let missing = || StoreError::corrupt(&self.path, "it is closed");
        self.database.as_ref().ok_or_else(missing)
    }

    /// Looks at the file before it is opened for writing, which alters it: one
    /// that is not ours stays as it is.
    fn examine(&self) -> Result<(), StoreError> {
        let opened = self.guarded(|| match Database::builder().open_read_only(&self.path) {
            // It was not closed: only a repair shows what is in it.
            Err(DatabaseError::RepairAborted) => Ok(None),
            opened => opened.map(Some),
        })?;
        opened.map_or(Ok(()), |database| check_version(&self.path, &database))
    }

    /// With bad data redb should not panic, but says itself that it may.
    fn guarded<T>(&self, open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
        match panics::as_error(open) {
            Ok(opened) => opened.map_err(|error| StoreError::database(&self.path, error)),
            Err(panic) => Err(StoreError::corrupt(&self.path, panic)),
        }
    }
}

fn check_version(path: &Path, database: &impl ReadableDatabase) -> Result<(), StoreError> {
    let found = panics::as_error(|| read_version(database).map_err(|error| error.to_string()));
    match found
        .flatten()
        .map_err(|error| StoreError::corrupt(path, error))?
    {
        Some(found) if found > VERSION => {
            let problem = Problem::Newer {
                found,
                known: VERSION,
            };
            Err(StoreError {
                path: path.into(),
                problem,
            })
        }
        Some(ALONE..=VERSION) => Ok(()),
        _ => Err(StoreError::corrupt(path, "it is not a store of meshd")),
    }
}

fn read_version(database: &impl ReadableDatabase) -> Result<Option<u64>, redb::Error> {
    let meta = match database.begin_read()?.open_table(META) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        meta => meta?,
    };
    Ok(meta.get(KEY_VERSION)?.map(|version| version.value()))
}

/// Makes an empty store under another name and gives it its own when it is
/// complete and on disk.
fn make(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let new = dir.join(format!("{FILE}.new"));
    let io = |error: io::Error| StoreError::open(dir, &error);
    match fs::remove_file(&new) {
        // Left by one that was killed as it made it: nothing is in it.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let database = Database::builder().set_cache_size(CACHE).create(&new);
    let database = database.map_err(|error| StoreError::database(&new, error))?;
    fill(&database).map_err(|error| StoreError::write(&new, error))?;
    drop(database);
    fs::rename(&new, path).map_err(io)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

fn fill(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(KEY_VERSION, ALONE)?;
        meta.insert(KEY_NODE, random::<u64>())?;
        transaction.open_table(APPS)?;
        transaction.open_table(WORKERS)?;
    }
    transaction.commit()?;
    Ok(())
}
