//! What an app sets for its own requests beside rules.

mod bounds;
mod pages;
pub(crate) mod rates;
mod sticky;
