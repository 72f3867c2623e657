//! Memory that each request needs for a short time, kept for the next one: what
//! was given back last is still in the processor's caches.

use std::{cell::RefCell, mem::MaybeUninit};

/// Kept at the most.
const MOST: usize = 1_024;

/// Room for values of a kind.
pub(crate) struct Spare<T>(RefCell<Vec<Box<MaybeUninit<T>>>>);

impl<T> Spare<T> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Used before, or new. Its content is for the caller to write.
    pub(crate) fn take(&self) -> Box<MaybeUninit<T>> {
        self.0.borrow_mut().pop().unwrap_or_else(Box::new_uninit)
    }

    /// Gives room back. What is in there is forgotten, not dropped.
    pub(crate) fn give(&self, room: Box<MaybeUninit<T>>) {
        let mut all = self.0.borrow_mut();
        if all.len() < MOST {
            all.push(room);
        }
    }
}
