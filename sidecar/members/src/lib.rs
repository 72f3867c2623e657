//! Which sidecars there are, and which one decides for an app.
//!
//! Sidecars write *entries* into one ordered log and read them all, each its own
//! too. What an entry comes to depends on the entries before it and on nothing else,
//! so everybody who has read as far has the same list of members, and the same
//! [`Shard`]s belong to the same owners, without an election. Time decides only when
//! something is written, and when an owner may grant:
//!
//! - A member *ticks*. Its lease runs from the moment at which it wrote the last tick
//!   that came back to it. ([`Membership::may_grant`].)
//! - Whoever has seen several ticks of its own come back and none of another member
//!   *suspects* that one: it is out, unless it ticked after a place in the log that the
//!   entry names. So a log that stands still makes nobody suspicious.
//! - Who gets a shard grants when its former owner has said that it does not any more,
//!   or one lease after the entry that gave it the shard: an owner that has not read
//!   that entry has not got a tick back since, and is at its end by then.
//!
//! The place of the entry that last changed the list is the *epoch*.
//!
//! Who comes anew learns the list from the next tick of a member that has read its
//! *join*. If members are silent for long enough it *founds* a list: everybody is out
//! who has written nothing since.
#![forbid(unsafe_code)]

mod entry;
mod learner;
mod list;
mod membership;
mod shard;
mod tenure;

pub use entry::{Entry, Kind, Known, Listed, Listing, Node, Place};
pub use membership::{Membership, Output, Standing, Timing};
pub use mesh::{Ownership, PeerId, SHARDS, Shard, Term, Time};
