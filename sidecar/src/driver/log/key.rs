//! By what changes and messages are told apart.

use sha2::{Digest as _, Sha256};

/// The key of a change that has this id.
pub fn key_of_id(id: &str) -> u128 {
    digest(&[b"id", id.as_bytes()])
}

/// A number that other parts do not have.
pub fn digest(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let half = hash.iter().take(16);
    half.fold(0, |number, byte| number << 8 | u128::from(*byte))
}
