//! A whole table as bytes, and in pieces.

use std::io::{self, Read as _};

use dynomesh_proto::v1::{self, snapshot_part::Kind};
use mesh::AppSpec;
use prost::{Message as _, bytes::Buf as _};

use super::{Malformed, app_from_spec, log, spec_from_app};
use crate::driver::{Position, Seen};

/// Largest table, in bytes: many times that of the most apps ever seen.
const MOST: u64 = 4 << 30;
/// zstd's own default: it is quick.
const LEVEL: i32 = 3;

/// A table as it was at some place of its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The changes that were seen to.
    pub seen: Seen,
    /// Every app.
    pub apps: Vec<AppSpec>,
}

/// Gathers a table.
#[derive(Debug, Default)]
pub struct TableWriter {
    apps: Vec<u8>,
    /// How many there are.
    pub count: u32,
}

impl TableWriter {
    /// One more app.
    pub fn push(&mut self, spec: &AppSpec) {
        // Appending to a vector does not fail.
        let _ = app_from_spec(spec).encode_length_delimited(&mut self.apps);
        self.count += 1;
    }

    /// All of it, compressed.
    ///
    /// # Errors
    /// What the compressor says.
    pub fn finish(self, seen: &Seen) -> io::Result<Vec<u8>> {
        let ids = seen.ring.iter().flat_map(|id| id.to_be_bytes());
        let start = v1::SnapshotStart {
            seen: ids.collect(),
            next: u32::try_from(seen.next).unwrap_or(0),
        };
        let mut bytes = start.encode_length_delimited_to_vec();
        bytes.extend(self.apps);
        zstd::encode_all(&*bytes, LEVEL)
    }
}

/// A table from what [`TableWriter::finish`] gave.
///
/// # Errors
/// What is wrong with it.
pub fn table_from_bytes(bytes: &[u8]) -> Result<Table, Malformed> {
    let wrong = |error: String| Malformed::new("snapshot", error);
    let mut plain = Vec::new();
    let decoder = zstd::Decoder::new(bytes).map_err(|error| wrong(error.to_string()))?;
    let read = decoder.take(MOST).read_to_end(&mut plain);
    read.map_err(|error| wrong(error.to_string()))?;
    let mut rest = &*plain;
    let start = v1::SnapshotStart::decode_length_delimited(&mut rest);
    let start = start.map_err(|error| wrong(error.to_string()))?;
    let (ids, []) = start.seen.as_chunks::<16>() else {
        return Err(wrong("an id is cut off".into()));
    };
    let seen = Seen {
        ring: ids.iter().map(|id| u128::from_be_bytes(*id)).collect(),
        next: start.next as usize,
    };
    let mut apps = Vec::new();
    while rest.has_remaining() {
        let app = v1::App::decode_length_delimited(&mut rest);
        let app = app.map_err(|error| wrong(error.to_string()))?;
        apps.push(spec_from_app(app)?);
    }
    Ok(Table { seen, apps })
}

/// A message of the stream of snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of which snapshot.
    pub snapshot: Box<str>,
    /// What it is.
    pub kind: PartKind,
}

/// What a [`Part`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The next piece.
    Piece(Vec<u8>),
    /// That was all.
    End(SnapshotEnd),
    /// Whoever sees this has seen what was before it.
    Sync(u64),
}

/// What makes a snapshot whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// Of which log it is.
    pub log: u128,
    /// How far along that; `None`: it begins with this table.
    pub at: Option<(u64, u128)>,
    /// How many pieces there are.
    pub pieces: u32,
    /// How many apps.
    pub apps: u32,
    /// Of all pieces.
    pub sha256: Vec<u8>,
}

impl SnapshotEnd {
    /// How far along which log the table is.
    pub fn position(&self) -> Option<Position> {
        self.at.map(|(offset, mark)| Position {
            log: self.log,
            offset,
            mark,
        })
    }
}

/// A part from its bytes.
///
/// # Errors
/// What is wrong with them.
pub fn part_from_bytes(bytes: &[u8]) -> Result<Part, Malformed> {
    let wrong = |error: String| Malformed::new("part", error);
    let part = v1::SnapshotPart::decode(bytes).map_err(|error| wrong(error.to_string()))?;
    part_from_proto(part)
}

/// A part.
///
/// # Errors
/// What is wrong with it.
pub fn part_from_proto(part: v1::SnapshotPart) -> Result<Part, Malformed> {
    let kind = part.kind;
    let kind = match kind.ok_or_else(|| Malformed::new("part", "is of no kind known here"))? {
        Kind::Piece(piece) => PartKind::Piece(piece),
        Kind::Sync(sync) => PartKind::Sync(sync.nonce),
        Kind::End(end) => {
            let at = match <[u8; 16]>::try_from(&*end.mark) {
                Ok(mark) => Some((end.offset, u128::from_be_bytes(mark))),
                Err(_) if end.mark.is_empty() => None,
                Err(_) => return Err(Malformed::new("end.mark", "has not 16 bytes")),
            };
            PartKind::End(SnapshotEnd {
                log: log::log_id("end.log_id", &end.log_id)?
                    .ok_or_else(|| Malformed::new("end.log_id", "is not set"))?,
                at,
                pieces: end.pieces,
                apps: end.apps,
                sha256: end.sha256,
            })
        }
    };
    Ok(Part {
        snapshot: part.snapshot_id.into(),
        kind,
    })
}

/// A part as protobuf.
pub fn part_to_bytes(part: Part) -> Vec<u8> {
    part_to_proto(part).encode_to_vec()
}

/// A part as a message.
pub fn part_to_proto(part: Part) -> v1::SnapshotPart {
    let kind = match part.kind {
        PartKind::Piece(piece) => Kind::Piece(piece),
        PartKind::Sync(nonce) => Kind::Sync(v1::Sync { nonce }),
        PartKind::End(end) => Kind::End(v1::SnapshotEnd {
            log_id: log::hex(end.log),
            offset: end.at.map_or(0, |(offset, _)| offset),
            mark: end
                .at
                .map(|(_, mark)| mark.to_be_bytes().to_vec())
                .unwrap_or_default(),
            pieces: end.pieces,
            apps: end.apps,
            sha256: end.sha256,
        }),
    };
    v1::SnapshotPart {
        snapshot_id: part.snapshot.into(),
        kind: Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_the_same_afterwards() {
        let mut writer = TableWriter::default();
        let apps: Vec<_> = (0..100)
            .map(|number| AppSpec {
                name: format!("app-{number}").into(),
                version: number,
                domains: vec![format!("app-{number}.test").into()],
                ..AppSpec::default()
            })
            .collect();
        for app in &apps {
            writer.push(app);
        }
        let seen = Seen {
            ring: vec![1, u128::MAX],
            next: 2,
        };
        let bytes = writer.finish(&seen).expect("compressed");
        let table = table_from_bytes(&bytes).expect("a table");
        assert_eq!(table, Table { seen, apps });
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(table_from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
