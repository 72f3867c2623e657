//! The Nginx dynamic module of Dynomesh.
//!
//! An upstream block that says `mesh;` has no servers. For each request the
//! worker asks the sidecar for a dyno over one gRPC stream on Nginx's own event
//! loop, and tells it when the dyno is done. There is no thread, no lock and no
//! waiting in a worker.
//!
//! A request's way: `peer` (Nginx wants a server for it) → `park` (it waits for
//! the answer as if a connection took its time) → `peer` again (the answer, a
//! connection) → `attempt` (how it went) → `linger` (the client left, the dyno
//! still works) → checkin. `link` is the stream, `worker` the state of one
//! worker process.
//!
//! Everything that decides is in the crate `router`; here is what touches
//! Nginx. No panic crosses into Nginx: every callback goes through `guard`.
#![allow(
    clippy::missing_safety_doc,
    reason = "Nginx calls the callbacks; nobody else can"
)]

mod attempt;
mod bounds;
mod checkout;
mod conf;
mod executor;
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
