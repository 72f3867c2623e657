//! What the log says, made in memory like any other change.
//!
//! Every sidecar comes to the same: nothing here depends on more than the table
//! and the entry.

use std::sync::atomic::Ordering::Relaxed;

use mesh::Change;
use sha2::{Digest as _, Sha256};

use super::{batch::Batch, history::History};
use crate::driver::log::{Counts, Entry, EntryKind, Position, Reply};

impl Batch {
    /// Makes an entry in memory.
    pub(super) fn entry(&mut self, entry: Entry, history: &mut History) {
        let position = entry.position;
        match entry.kind {
            EntryKind::Change { id, change, reply } => {
                self.shared_change(position, id, change, reply, history);
            }
            EntryKind::Marker(to) => self.markers.push(to),
            EntryKind::Other => {}
            EntryKind::Skipped => self.count(|counts| &counts.skipped),
        }
        history.position = Some(position);
        self.position = Some(position);
        if let Some(stand) = self.driver().changes().stand() {
            stand.reached(position);
        }
    }

    fn shared_change(
        &mut self,
        position: Position,
        id: u128,
        change: Change,
        reply: Option<Reply>,
        history: &mut History,
    ) {
        // One that was refused is not made later either: its caller was told.
        let Some(seen) = history.remember(id) else {
            return self.count(|counts| &counts.duplicates);
        };
        self.seen.push(seen);
        let made = self.make(change, reply, |mesh, change| {
            mesh.identify_shared(change, |number| instance(position, number));
            mesh.plan_shared(change)
        });
        self.count(|counts| match made {
            true => &counts.applied,
            false => &counts.refused,
        });
    }

    fn count(&self, which: impl FnOnce(&Counts) -> &std::sync::atomic::AtomicU64) {
        if let Some(stand) = self.driver().changes().stand() {
            which(&stand.counts).fetch_add(1, Relaxed);
        }
    }
}

/// The process that an operation puts without naming it: the same name
/// everywhere, and no other one's.
fn instance(position: Position, number: usize) -> Box<str> {
    let mut hash = Sha256::new();
    hash.update(position.log.to_be_bytes());
    hash.update(position.offset.to_be_bytes());
    hash.update((number as u64).to_be_bytes());
    let hash = hash.finalize();
    let half = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    half.collect::<String>().into()
}
