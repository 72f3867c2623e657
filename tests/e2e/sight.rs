//! What operators see.

mod broker;
mod browser;
mod documents;
mod guard;
mod metrics;
mod page;
mod tap;
