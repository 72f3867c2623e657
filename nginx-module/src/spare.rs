//! Memory that each request needs for a short time, kept for the next one: what
//! was given back last is still in the processor's caches.

use std::{cell::RefCell, mem::MaybeUninit, ptr};

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

    /// Drops a value, and gives its room back.
    pub(crate) fn give_used(&self, value: Box<T>) {
        let room = Box::into_raw(value);
        // SAFETY: it is a whole value, and what is left of it is room for another one.
        unsafe {
            ptr::drop_in_place(room);
            self.give(Box::from_raw(room.cast()));
        }
    }

    /// Gives room back. What is in there is forgotten, not dropped.
    pub(crate) fn give(&self, room: Box<MaybeUninit<T>>) {
        let mut all = self.0.borrow_mut();
        if all.len() < MOST {
            all.push(room);
        }
    }
}
