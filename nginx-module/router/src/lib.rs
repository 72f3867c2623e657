//! A router's half of the mesh, without Nginx: which requests ask, which leases
//! are held, what a name in a request means, what a client is told.
//!
//! Everything here is plain functions and values, so that it is tested without
//! linking Nginx, and a simulated router is the same code as the real one.
#![forbid(unsafe_code)]

pub mod answer;
pub mod authority;
mod chunks;
pub mod client;
pub mod code;
pub mod ending;
pub mod failure;
pub mod names;
mod pace;
pub mod page;
pub mod pagebook;
mod reserve;
pub mod rulebook;
pub mod session;
pub mod sticky;
pub mod tally;
pub mod tap;
pub mod trace;
pub mod verdicts;
