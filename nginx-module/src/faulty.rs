//! The module with faults: the same as `lib.rs`, but for places where a test can
//! have it panic. Built for tests alone, as an example of this crate: no product
//! has this file, so nothing can turn it on there.
#![allow(
    clippy::missing_safety_doc,
    reason = "Nginx calls the callbacks; nobody else can"
)]

mod attempt;
mod bounds;
mod checkout;
mod conf;
mod executor;
#[path = "fault/armed.rs"]
mod fault;
mod filter;
mod guard;
mod headers;
mod linger;
mod link;
mod log;
mod module;
mod pages;
mod park;
mod peer;
mod phase;
mod posted;
mod refuse;
mod request;
mod rules;
mod socket;
mod spare;
mod sticky;
mod tally;
mod tap;
mod trace;
mod variables;
mod worker;
