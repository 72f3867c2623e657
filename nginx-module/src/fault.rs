//! Where tests provoke panics. In the module that is shipped nothing happens
//! here; `faulty.rs` is the one for tests.

/// The module comes by a place that has this name.
pub(crate) const fn at(_: &str) {}
