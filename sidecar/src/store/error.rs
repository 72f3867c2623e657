//! What can go wrong, and what to do then.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use redb::{DatabaseError, StorageError};

/// A problem with a place.
#[derive(Debug)]
pub struct StoreError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with the store.
#[derive(Debug)]
pub enum Problem {
    /// Another process has it.
    InUse {
        /// Its process id, if it could be read.
        holder: Option<u32>,
    },
    /// Written by a later meshd.
    Newer {
        /// Its form.
        found: u64,
        /// The latest form that is known here.
        known: u64,
    },
    /// Not what meshd wrote.
    Corrupt(String),
    /// The operating system says no.
    Open(String),
    /// A transaction failed.
    Write(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::InUse { holder: Some(pid) } => write!(
                f,
                "{path} is in use by another meshd (process {pid}): stop it, or choose another --data-dir"
            ),
            Problem::InUse { holder: None } => write!(
                f,
                "{path} is in use by another meshd: stop it, or choose another --data-dir"
            ),
            Problem::Newer { found, known } => write!(
                f,
                "{path} was written by a newer meshd (form {found}, this one knows up to {known}): \
                 run that version, or choose another --data-dir"
            ),
            Problem::Corrupt(why) => write!(
                f,
                "{path} cannot be read ({why}): put a backup in its place, or move the file away \
                 and start with no apps"
            ),
            Problem::Open(why) => write!(
                f,
                "cannot use {path} ({why}): make it writable for this user, or choose another --data-dir"
            ),
            Problem::Write(why) => write!(f, "cannot write to {path}: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    pub(super) fn open(path: &Path, error: &io::Error) -> Self {
        Self {
            path: path.into(),
            problem: Problem::Open(error.to_string()),
        }
    }

    pub(super) fn corrupt(path: &Path, why: impl ToString) -> Self {
        Self {
            path: path.into(),
            problem: Problem::Corrupt(why.to_string()),
        }
    }

    pub(super) fn write(path: &Path, error: redb::Error) -> Self {
        let why = match error {
            redb::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        Self {
            path: path.into(),
            problem: Problem::Write(why),
        }
    }

    pub(super) fn database(path: &Path, error: DatabaseError) -> Self {
        let problem = match error {
            DatabaseError::DatabaseAlreadyOpen => Problem::InUse { holder: None },
            DatabaseError::Storage(StorageError::Io(error))
                if !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Problem::Open(error.to_string())
            }
            error => Problem::Corrupt(error.to_string()),
        };
        Self {
            path: path.into(),
            problem,
        }
    }
}
