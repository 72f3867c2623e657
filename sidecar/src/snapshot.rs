//! A whole table, in pieces: for the broker's stream of snapshots, and for other
//! sidecars. Knows neither.
mod assemble;
mod pack;

pub use assemble::{Assembly, Whole};
pub use pack::{PIECE, pack, unpack};
