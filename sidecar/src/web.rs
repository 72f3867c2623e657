//! What operators look at over HTTP: metrics.
//!
//! It only looks, and what it looks at is taken in steps, so no answer waits for it.
//! Whoever comes to a loopback address is let in, others have a [token](guard).
mod guard;
mod metrics;
mod server;

pub use guard::Guard;
pub use server::{Site, serve};
