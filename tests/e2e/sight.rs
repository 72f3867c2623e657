//! What operators see.

mod documents;
mod guard;
mod metrics;
mod page;
mod tap;
