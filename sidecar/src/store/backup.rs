//! A copy of the file, before a log's table takes its place.

use std::{
    fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Store, StoreError};

/// Copies that are kept.
const KEPT: usize = 3;
/// What their names begin with.
const NAME: &str = "mesh.redb.before-";

impl Store {
    /// Copies the file beside itself. The oldest copies make room.
    ///
    /// # Errors
    /// What the disk says.
    pub fn backup(&mut self) -> Result<PathBuf, StoreError> {
        let path = self.path().to_owned();
        let dir = path.with_file_name("");
        let failed = |error: io::Error| StoreError::open(&dir, &error);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_millis());
        let copy = dir.join(format!("{NAME}{now:015}"));
        // Nothing is being written: this is the thread that does.
        fs::copy(&path, &copy).map_err(failed)?;
        let mut copies: Vec<_> = fs::read_dir(&dir)
            .map_err(failed)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(NAME))
            })
            .collect();
        copies.sort();
        for old in copies.iter().rev().skip(KEPT) {
            // It stays, then.
            let _ = fs::remove_file(old);
        }
        Ok(copy)
    }
}
