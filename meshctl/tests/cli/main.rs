//! The built command against a sidecar in memory, over a real socket.

mod app;
mod apply;
mod auth;
mod connection;
mod dyno;
mod events;
mod pages;
mod rules;
mod status;
mod support;
mod terminal;
mod top;
