//! How far the table is along the log, and which changes it has seen to.
//!
//! It is a part of the table: the disk gets both in one transaction, and two
//! sidecars at one place of one log have the same.

use std::collections::HashSet;

use crate::store::{Position, SEEN, Seen, Write};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct History {
    pub(super) position: Option<Position>,
    /// The changes of the last [`SEEN`] entries; the next one's place is that of
    /// the oldest.
    ring: Vec<u128>,
    next: usize,
    set: HashSet<u128>,
}

impl History {
    /// As it was written.
    pub fn new(position: Option<Position>, seen: Seen) -> Self {
        Self {
            position,
            set: seen.ring.iter().copied().collect(),
            next: seen.next % SEEN,
            ring: seen.ring,
        }
    }

    /// The last entry that was seen to.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Another table has seen to these. Returns what to write.
    pub(super) fn reset(&mut self, seen: Seen) -> Vec<Write> {
        let mut ring = seen.ring;
        ring.truncate(SEEN);
        let next = seen.next % SEEN;
        let places = ring.iter().enumerate().map(|(slot, id)| Write::Seen {
            slot: slot as u64,
            id: *id,
            next: next as u64,
        });
        let writes = std::iter::once(Write::ForgetSeen).chain(places).collect();
        *self = Self::new(self.position, Seen { ring, next });
        writes
    }

    /// Returns what to write; `None` if this change was seen to before.
    pub(super) fn remember(&mut self, id: u128) -> Option<Write> {
        if !self.set.insert(id) {
            return None;
        }
        let slot = self.next;
        match self.ring.get_mut(slot) {
            Some(place) => {
                let oldest = std::mem::replace(place, id);
                self.set.remove(&oldest);
            }
            None => self.ring.push(id),
        }
        self.next = (slot + 1) % SEEN;
        Some(Write::Seen {
            slot: slot as u64,
            id,
            next: self.next as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_as_long_as_there_is_room() {
        let mut history = History::default();
        for id in 0..SEEN as u128 {
            assert!(history.remember(id).is_some());
        }
        assert!(history.remember(0).is_none(), "the oldest is known");
        assert!(history.remember(SEEN as u128).is_some());
        assert!(history.remember(1).is_none());
        assert!(history.remember(0).is_some(), "it made room");
    }

    #[test]
    fn it_is_the_same_after_a_restart() {
        let mut history = History::default();
        let mut disk = std::collections::BTreeMap::new();
        let mut at = 0;
        for id in 0..SEEN as u128 + 10 {
            if let Some(Write::Seen { slot, id, next }) = history.remember(id) {
                disk.insert(slot, id);
                at = next;
            }
        }
        let seen = Seen {
            ring: disk.into_values().collect(),
            next: usize::try_from(at).expect("a place"),
        };
        let mut again = History::new(None, seen);
        for id in [5, SEEN as u128 + 9, 10, 9, 11] {
            assert_eq!(history.remember(id), again.remember(id), "{id}");
        }
    }
}
