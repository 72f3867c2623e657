//! What operators see.

mod documents;
mod guard;
mod metrics;
