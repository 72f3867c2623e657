//! The two services.
//!
//! `router` is the way of every request: nothing on it waits for a channel, a
//! task or a disk. `control` is for operators and runs on another thread.
mod control;
mod ending;
mod introductions;
mod list;
mod many;
mod router;
mod server;
mod session;
mod status;
mod watch;

pub use control::ControlService;
pub use router::{Identity, RouterService};
pub use server::{serve_control, serve_router};
