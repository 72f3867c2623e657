//! What is in the log, and how a sidecar stands to it.

use std::fmt::Write as _;

use dynomesh_proto::v1::{self, log_entry::Kind};
use prost::Message as _;

use super::{
    Malformed, change_from_core, change_from_proto,
    report::{report_from_core, report_from_proto},
};
use crate::driver::{LogView, Said, Sync, What};

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Protobuf.
    Protobuf,
    /// Proto3's JSON mapping of the same message. Unlike protobuf it may have no
    /// fields that nobody knows: it is what people write.
    Json,
}

/// An entry from its bytes.
///
/// # Errors
/// What is wrong with them.
pub fn said_from_bytes(form: Form, bytes: &[u8]) -> Result<Said, Malformed> {
    let whole = |error: String| Malformed::new("entry", error);
    let entry = match form {
        Form::Protobuf => v1::LogEntry::decode(bytes).map_err(|error| whole(error.to_string()))?,
        Form::Json => serde_json::from_slice(bytes).map_err(|error| whole(error.to_string()))?,
    };
    let kind = entry.kind.ok_or_else(|| {
        Malformed::new(
            "entry",
            "has neither change, report, sync nor genesis known here",
        )
    })?;
    let what = match kind {
        Kind::Saved(saved) => What::Saved {
            snapshot: saved.snapshot_id.into(),
            offset: saved.offset,
        },
        Kind::Change(change) => {
            let change = change_from_proto(change);
            What::Change(change.map_err(|error| error.within("change"))?)
        }
        Kind::Report(report) => What::Report(report_from_proto(report)?),
        Kind::Sync(sync) => What::Sync(sync.nonce),
        Kind::Genesis(genesis) => What::Genesis {
            previous: log_id("genesis.previous_log_id", &genesis.previous_log_id)?,
            snapshot: genesis.snapshot_id.into(),
        },
    };
    Ok(Said {
        log: log_id("log_id", &entry.log_id)?,
        change_id: entry.change_id.into(),
        node: entry.node.into(),
        what,
    })
}

pub(super) fn log_id(field: &str, text: &str) -> Result<Option<u128>, Malformed> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Malformed::new(field, "is not 32 hexadecimal digits");
    match text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => u128::from_str_radix(text, 16)
            .map(Some)
            .map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// An entry as protobuf.
pub fn said_to_bytes(said: &Said) -> Vec<u8> {
    let kind = match &said.what {
        What::Change(change) => Kind::Change(change_from_core(change)),
        What::Saved { snapshot, offset } => Kind::Saved(v1::Saved {
            snapshot_id: (**snapshot).into(),
            offset: *offset,
        }),
        What::Report(report) => Kind::Report(report_from_core(report)),
        What::Sync(nonce) => Kind::Sync(v1::Sync { nonce: *nonce }),
        What::Genesis { snapshot, previous } => Kind::Genesis(v1::Genesis {
            snapshot_id: (**snapshot).into(),
            previous_log_id: previous.map(hex).unwrap_or_default(),
        }),
    };
    let entry = v1::LogEntry {
        log_id: said.log.map(hex).unwrap_or_default(),
        change_id: (*said.change_id).into(),
        node: (*said.node).into(),
        kind: Some(kind),
    };
    entry.encode_to_vec()
}

pub(super) fn hex(id: u128) -> String {
    let mut text = String::with_capacity(32);
    // Writing to a string does not fail.
    let _ = write!(text, "{id:032x}");
    text
}

/// How a sidecar stands to the log, as a message.
pub fn log_status(view: LogView) -> v1::LogStatus {
    let state = match view.standing.sync {
        Sync::Away => v1::LogState::Away,
        Sync::CatchingUp => v1::LogState::CatchingUp,
        Sync::InSync => v1::LogState::InSync,
    };
    let position = view.position;
    v1::LogStatus {
        state: state.into(),
        since_ms: u64::try_from(view.since.as_millis()).unwrap_or(u64::MAX),
        problem: (*view.standing.problem).into(),
        log_id: position
            .map(|position| hex(position.log))
            .unwrap_or_default(),
        offset: position.map_or(0, |position| position.offset),
        applied: view.applied,
        refused: view.refused,
        duplicates: view.duplicates,
        skipped: view.skipped,
        under_way: u32::try_from(view.under_way).unwrap_or(u32::MAX),
        queued: u32::try_from(view.queue.waiting).unwrap_or(u32::MAX),
        queued_made: view.queue.made,
        queued_dropped: view.queue.dropped,
    }
}
