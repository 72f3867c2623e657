//! The services.
//!
//! `router` is the way of every request: nothing on it waits for a channel, a
//! task or a disk. `control` is for operators and runs on another thread, with
//! `peer`, for other sidecars; `fetch` is its client.
//! `traces` is the client of a collector of OpenTelemetry's.
//! `owner` is what other sidecars ask this one about requests, and `links` its client:
//! on a thread of their own, with nothing between, too.
mod authorizers;
mod control;
mod ending;
mod fetch;
mod introductions;
mod links;
mod list;
mod many;
mod owner;
mod peer;
mod router;
mod server;
mod session;
mod status;
mod tap;
mod traces;
mod watch;

pub use authorizers::AuthorizerClients;
pub use control::ControlService;
pub use fetch::fetch_table;
pub use links::{Asking, keep_links};
pub use owner::OwnerService;
pub use peer::PeerService;
pub use router::{Identity, RouterService};
pub use server::{serve_control, serve_peers, serve_router};
pub use traces::Collector;
