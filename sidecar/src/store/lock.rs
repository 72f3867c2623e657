//! One process at a time: redb locks its file too, but only one that exists.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use super::{Problem, StoreError};

/// Holds the directory until it is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let io = |error: std::io::Error| StoreError::open(dir, &error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    let mut file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who it is makes the message better and is nothing to fail over.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().parse().ok();
            return Err(StoreError {
                path: dir.into(),
                problem: Problem::InUse { holder },
            });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let pid = std::process::id();
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{pid}"))
        .map_err(io)?;
    Ok(file)
}
