//! The broker: the route log, which is one stream that every sidecar applies.
//!
//! **What.** [`serve`] keeps two connections to the broker for as long as the
//! driver lives. What the log says goes to the driver's writer in its order;
//! what callers of this sidecar want is published, and answered when its own
//! echo has come through the log. How things stand is told to the driver.
//!
//! **How.** Whatever goes wrong ends a *session*: both connections are closed,
//! everybody is told, and after a while the next one begins where the last one
//! got to. Nothing is waited for without a limit, and nothing is taken for said
//! that may not have been: a change that was not confirmed is published again
//! under its own id, by which every sidecar makes it once. `meaning` and `place`
//! decide what an entry is; they know no broker.
//!
//! [`share_load`] does the same for what sidecars tell each other of their requests,
//! over a connection of its own: nothing of that is kept, or published twice.
//! [`keep_membership`] says that this one is there, in a stream of its own.
//! [`announce_events`] tells dyno managers what the log has come to, likewise, and
//! [`tell_requests`] whoever listens of requests.
//!
//! lapin's types do not leave this module.
mod backoff;
mod connect;
mod consume;
mod dead_letter;
mod events;
mod link;
mod load;
mod meaning;
mod members;
mod options;
mod place;
mod problem;
mod publish;
mod reader;
mod retry;
mod serve;
mod session;
mod snapshot;
mod stumble;
mod taps;
mod topology;
mod waiting;

pub use events::announce_events;
pub use load::share_load;
pub use members::keep_membership;
pub use options::{Options, Tls};
pub use serve::serve;
pub use taps::tell_requests;
