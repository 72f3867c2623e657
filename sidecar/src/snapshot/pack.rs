//! From the disk to bytes, and from those to a table.

use sha2::{Digest as _, Sha256};

use crate::{
    convert::{SnapshotEnd, Table, TableWriter, table_from_bytes},
    driver::{Frozen, Seen},
};

/// Bytes of a piece.
pub const PIECE: usize = 64 << 10;

/// The table as it is on disk, compressed, and what makes it whole: where it is in
/// its log, or as that which the log `begins` with.
///
/// # Errors
/// Why there is none, in words.
pub fn pack(frozen: &Frozen, begins: Option<u128>) -> Result<(Vec<u8>, SnapshotEnd), String> {
    let failed = |error: String| format!("making a snapshot: {error}");
    let mut writer = TableWriter::default();
    let read = frozen.read(|spec| writer.push(&spec));
    let (position, seen) = read.map_err(|error| failed(error.to_string()))?;
    let (log, at) = match (begins, position) {
        (Some(log), _) => (log, None),
        (None, Some(position)) => (position.log, Some((position.offset, position.mark))),
        (None, None) => return Err(failed("no log makes this table".into())),
    };
    // A log that begins has seen to nothing.
    let seen = begins.map_or(seen, |_| Seen::default());
    let apps = writer.count;
    let bytes = writer
        .finish(&seen)
        .map_err(|error| failed(error.to_string()))?;
    let end = SnapshotEnd {
        log,
        at,
        pieces: u32::try_from(bytes.len().div_ceil(PIECE)).unwrap_or(u32::MAX),
        apps,
        sha256: Sha256::digest(&bytes).to_vec(),
    };
    Ok((bytes, end))
}

/// The table of a snapshot that says that it has so many apps.
///
/// # Errors
/// What is wrong with it, in words.
pub fn unpack(bytes: &[u8], apps: u32) -> Result<Table, String> {
    let table = table_from_bytes(bytes);
    let table = table.map_err(|error| format!("a snapshot can't be read: {error}"))?;
    match table.apps.len() == apps as usize {
        true => Ok(table),
        false => Err("a snapshot has not the apps that it says".into()),
    }
}
