//! The services.
//!
//! `router` is the way of every request: nothing on it waits for a channel, a
//! task or a disk. `control` is for operators and runs on another thread, with
//! `peer`, for other sidecars; `fetch` is its client.
mod control;
mod ending;
mod fetch;
mod introductions;
mod list;
mod many;
mod peer;
mod router;
mod server;
mod session;
mod status;
mod watch;

pub use control::ControlService;
pub use fetch::fetch_table;
pub use peer::PeerService;
pub use router::{Identity, RouterService};
pub use server::{serve_control, serve_peers, serve_router};
