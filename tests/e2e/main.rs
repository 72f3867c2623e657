//! The whole mesh, end to end: real `meshd`, stock Nginx with the module, real dynos.
#![allow(clippy::unwrap_used, reason = "in a test a panic is how it fails")]

mod auth;
mod caching;
mod cli;
mod config;
mod echo;
mod events;
mod exact;
mod example;
mod faults;
mod framing;
mod gateways;
mod hosts;
mod http2;
mod instruments;
mod leaving;
mod limits;
mod log;
mod manager;
mod members;
mod mix;
mod panics;
mod protocols;
mod queue;
mod refusals;
mod responses;
mod retry;
mod routing;
mod rules;
mod run_script;
mod sight;
mod subrequests;
mod tls;
mod traces;
mod upstream_errors;
mod wake;
