//! How far the table is along the log that it is made from.

/// A place in a log: that of the last entry that was seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log.
    pub log: u128,
    /// Where in it.
    pub offset: u64,
    /// Tells the entry there from any other one.
    pub mark: u128,
}

/// Changes that are known to have been seen to.
pub const SEEN: usize = 65_536;

/// Which they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// By place.
    pub ring: Vec<u128>,
    /// The place of the next one.
    pub next: usize,
}
