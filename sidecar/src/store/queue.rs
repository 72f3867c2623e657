//! Changes that wait for a log to be within reach.

use mesh::Change;

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// Its place: they are made by this.
    pub number: u64,
    /// What it is called in the log.
    pub id: Box<str>,
    /// How many bytes it takes, more or less.
    pub size: usize,
    /// What is to be changed.
    pub change: Change,
}
