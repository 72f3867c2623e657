//! The tables.

use redb::TableDefinition;

/// Counts incompatible forms of the file.
pub(super) const VERSION: u64 = 1;

/// [`KEY_VERSION`] and [`KEY_NODE`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// By name: the protobuf message `mesh.v1.App`.
pub(super) const APPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("apps");
/// By worker: its process id and when that process started.
pub(super) const WORKERS: TableDefinition<'_, u64, (u32, u64)> = TableDefinition::new("workers");

/// The form of this file.
pub(super) const KEY_VERSION: &str = "schema";
/// The node's identity: made once, at random.
pub(super) const KEY_NODE: &str = "node";
