//! What the core chose between, until the request has ended.

use std::collections::VecDeque;

use mesh::{AskId, Choice, SessionKey};
use rustc_hash::FxHashMap;

/// Choices that are kept; with more the oldest is forgotten.
const MOST: usize = 16_384;

type Key = (SessionKey, AskId);

#[derive(Debug, Default)]
pub(super) struct Choices {
    all: FxHashMap<Key, Choice>,
    /// Also of those that were taken.
    order: VecDeque<Key>,
}

impl Choices {
    pub(super) fn put(&mut self, key: Key, choice: Choice) {
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        self.order.push_back(key);
        self.all.insert(key, choice);
    }

    pub(super) fn take(&mut self, key: Key) -> Option<Choice> {
        self.all.remove(&key)
    }
}
