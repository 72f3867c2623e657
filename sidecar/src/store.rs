//! The disk copy: what must survive the process, in one file.
//!
//! **What.** Apps as configured, by name; with a log that makes them, how far they
//! are along it, and the changes that it is to get; the workers that were connected; the
//! other members; the node's identity. Who holds which lease is not here: the workers
//! know it and say it when they come back.
//!
//! **How.** A redb file. Each commit is one transaction, durable when it
//! returns. The file is never overwritten, repaired by force or deleted: what
//! can't be read is an error that says what to do. A new file gets its name when
//! it is complete, so one with that name is never half made.
mod app;
mod backup;
mod error;
mod frozen;
mod known;
mod load;
mod lock;
mod open;
mod position;
mod queue;
mod schema;
mod worker;
mod write;

pub use error::{Problem, StoreError};
pub use frozen::Frozen;
pub use load::Loaded;
pub use open::Store;
pub use position::{Position, SEEN, Seen};
pub use queue::Queued;
pub use worker::WorkerProcess;
pub use write::Write;
