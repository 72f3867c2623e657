//! The tables.

use redb::TableDefinition;

/// Counts incompatible forms of the file. The second one is that of a table made
/// by a log: who does not know of it would change the one and not the other.
pub(super) const VERSION: u64 = 2;
/// The form of a table that no log makes.
pub(super) const ALONE: u64 = 1;

/// [`KEY_VERSION`], [`KEY_NODE`] and [`KEY_MEMBERS`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// By name: the protobuf message `mesh.v1.App`.
pub(super) const APPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("apps");
/// By worker: its process id and when that process started.
pub(super) const WORKERS: TableDefinition<'_, u64, (u32, u64)> = TableDefinition::new("workers");

/// By [`KEY_LOG`]: the log, the offset, the mark and the next place in [`SEEN`].
pub(super) const LOG: TableDefinition<'_, &str, (u128, u64, u128, u64)> =
    TableDefinition::new("log");
/// By place: changes that were seen to.
pub(super) const SEEN: TableDefinition<'_, u64, u128> = TableDefinition::new("seen");
/// By number: the protobuf message `mesh.v1.LogEntry` of a change that is queued.
pub(super) const QUEUE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue");
/// By name: other members, and who was one.
pub(super) const MEMBERS: TableDefinition<'_, &str, ()> = TableDefinition::new("members");

/// The form of this file.
pub(super) const KEY_VERSION: &str = "schema";
/// The node's identity: made once, at random.
pub(super) const KEY_NODE: &str = "node";
/// Which list [`MEMBERS`] is from.
pub(super) const KEY_MEMBERS: &str = "members";
/// How far the table is along the log.
pub(super) const KEY_LOG: &str = "position";
