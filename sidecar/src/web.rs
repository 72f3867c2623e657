//! What operators look at over HTTP: metrics, and a page.
//!
//! It only looks, and what it looks at is taken in steps, so no answer waits for it.
//! Whoever comes to a loopback address is let in, others have a [token](guard).
mod api;
mod charts;
mod failures;
mod guard;
mod history;
mod metrics;
mod page;
mod server;

pub use guard::Guard;
pub use server::{Site, serve};
