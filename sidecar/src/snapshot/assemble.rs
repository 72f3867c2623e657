//! From parts to whole snapshots. Pure.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::convert::{Part, PartKind, SnapshotEnd};

/// Snapshots that may be incomplete at once: as many nodes write one only by
/// accident.
const MOST: usize = 16;
/// Largest snapshot, compressed, in bytes.
const MOST_BYTES: usize = 1 << 30;

/// A whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its name.
    pub id: Box<str>,
    /// What made it whole.
    pub end: SnapshotEnd,
    /// The table, compressed.
    pub bytes: Vec<u8>,
}

/// Snapshots of which parts have come.
#[derive(Debug, Default)]
pub struct Assembly {
    pieces: HashMap<Box<str>, Begun>,
}

#[derive(Debug, Default)]
struct Begun {
    bytes: Vec<u8>,
    pieces: u32,
}

impl Assembly {
    /// A part comes. Returns the snapshot that is whole with it.
    pub fn add(&mut self, part: Part) -> Option<Whole> {
        match part.kind {
            PartKind::Sync(_) => None,
            PartKind::Piece(piece) => {
                if self.pieces.len() >= MOST && !self.pieces.contains_key(&part.snapshot) {
                    self.pieces.clear();
                }
                let begun = self.pieces.entry(part.snapshot).or_default();
                begun.pieces += 1;
                if begun.bytes.len() + piece.len() <= MOST_BYTES {
                    begun.bytes.extend(piece);
                }
                None
            }
            PartKind::End(end) => {
                let Begun { bytes, pieces } = self.pieces.remove(&part.snapshot)?;
                let is_whole = pieces == end.pieces && *Sha256::digest(&bytes) == *end.sha256;
                is_whole.then_some(Whole {
                    id: part.snapshot,
                    end,
                    bytes,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: &str, bytes: &[u8]) -> Part {
        Part {
            snapshot: id.into(),
            kind: PartKind::Piece(bytes.into()),
        }
    }

    fn end(id: &str, pieces: u32, bytes: &[u8]) -> Part {
        Part {
            snapshot: id.into(),
            kind: PartKind::End(SnapshotEnd {
                log: 1,
                at: None,
                pieces,
                apps: 0,
                sha256: Sha256::digest(bytes).to_vec(),
            }),
        }
    }

    #[test]
    fn only_what_is_whole_counts() {
        let mut assembly = Assembly::default();
        for part in [piece("a", b"1"), piece("b", b"3"), piece("a", b"2")] {
            assert_eq!(assembly.add(part), None);
        }
        let whole = assembly.add(end("a", 2, b"12")).expect("whole");
        assert_eq!((&*whole.id, &*whole.bytes), ("a", &b"12"[..]));
        assert_eq!(assembly.add(end("a", 2, b"12")), None, "once");
        assert_eq!(assembly.add(end("b", 2, b"3")), None, "a piece is missing");
        assembly.add(piece("c", b"4"));
        assert_eq!(assembly.add(end("c", 1, b"5")), None, "it is another one");
        assert_eq!(assembly.add(end("d", 0, b"")), None, "its pieces are gone");
    }
}
