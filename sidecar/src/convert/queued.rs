//! Changes that wait to be entries of a log, as such entries.

use mesh::Change;

use super::{Form, Malformed, said_from_bytes, said_to_bytes};
use crate::driver::{Said, What};

/// As it is kept.
pub fn queued_to_bytes(id: &str, change: &Change) -> Vec<u8> {
    said_to_bytes(&Said {
        log: None,
        change_id: id.into(),
        node: "".into(),
        what: What::Change(change.clone()),
    })
}

/// Its id and what it changes.
///
/// # Errors
/// What is wrong with the bytes.
pub fn queued_from_bytes(bytes: &[u8]) -> Result<(Box<str>, Change), Malformed> {
    let said = said_from_bytes(Form::Protobuf, bytes)?;
    match said.what {
        What::Change(change) => Ok((said.change_id, change)),
        _ => Err(Malformed::new("entry", "is no change")),
    }
}
