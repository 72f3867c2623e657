//! Snapshots: the whole table at some place of the log, so that nobody has to
//! start from the beginning, which may be gone.
//!
//! They have a stream of their own. A snapshot is a number of pieces and a
//! message that makes it whole; what has no such end is nothing.
mod due;
mod read;
mod write;

pub(super) use due::Due;
pub(super) use read::{Wanted, find};
pub(super) use write::{Written, write};

/// The AMQP type of a part.
const TYPE: &str = "snapshot.part.v1";
