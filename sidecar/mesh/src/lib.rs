//! The core of the mesh: who gets which dyno.
//!
//! **What.** [`Mesh`] holds the apps, their dynos and the load of each, one
//! first-in-first-out queue per app, and who holds which lease. It takes an
//! input and the time, and gives outputs: answers and events.
//!
//! **How.** It is sans-IO. It knows no socket, clock, thread or protocol, and
//! its randomness comes from a seed, so the same inputs always give the same
//! outputs. Whoever drives it reads the clock, calls it, then takes
//! [`Mesh::poll_output`] until empty and calls [`Mesh::handle_timeout`] at
//! [`Mesh::poll_timeout`].
//!
//! **What must hold**, whatever the inputs: a dyno under a limit is never given
//! more than that many leases; nobody waits while a dyno that may serve them is
//! free; requests of one app are served in the order of their arrival; checkout
//! and checkin take constant time in the number of apps and dynos (but for a request
//! that prefers a dyno by a number: there it is the number of its app's dynos).
//!
//! Backends are just addresses here: nothing assumes that they speak HTTP.
#![forbid(unsafe_code)]

mod address;
mod app;
mod auth;
mod away;
mod change;
mod checkout;
mod definitions;
mod dyno;
mod foreign;
mod handling;
mod idle;
mod invariants;
mod limits;
mod mesh;
mod name;
mod next;
mod numbers;
mod output;
mod owners;
mod pages;
mod peers;
mod pool;
mod queue;
mod rate;
mod refusal;
mod reserve;
mod rules;
mod scale;
mod session;
mod settings;
mod shard;
mod share;
mod shared;
mod spec;
mod sticky;
mod strange;
mod taps;
#[cfg(test)]
mod testing;
mod time;
mod timers;
mod view;

pub use address::{Address, BadAddress};
pub use auth::Auth;
pub use away::{FarAnswer, FarAsk, Held, ToPeer};
pub use change::{Change, ChangeError, Manage, Operation, Update};
pub use dyno::DynoInfo;
pub use foreign::{Extent, Heard, LoadReport, MAX_NODES, MAX_SHARED, NodeId, NodeView, WHOLE};
pub use handling::{Handling, MAX_TIMES};
pub use limits::Limits;
pub use mesh::{Mesh, TooManySessions};
pub use name::{canonical, parse_domain};
pub use next::Next;
pub use output::{Answer, Event, Outcome, Output, Recall, Reserved, Route, ScaleHint};
pub use owners::{Ownership, PeerId, Term};
pub use pages::{Page, Pages};
pub use pool::MAX_LOAD;
pub use rate::{RATE_SPANS, RATES, Rate};
pub use refusal::Refusal;
pub use reserve::RecallId;
pub use rules::{BY_NAME, Rules, Terms};
pub use scale::{CATCH_UP, HINT_EVERY, SCALE_WINDOW};
pub use session::{Ask, AskId, SessionKey, WorkerId};
pub use settings::{
    BOOT_TIMEOUT, Exact, IDLE_TIMEOUTS, MAX_QUEUE_DEPTH, MAX_TIMEOUT, Policy, QUEUE_PER_DYNO,
    QUEUE_TIMEOUT, SCALE_WAITS, Settings, TAP_RATES,
};
pub use shard::{SHARDS, Shard};
pub use spec::{AppSpec, DynoSpec, DynoSpecs, DynoState, check_app_name};
pub use sticky::{Prefer, mark};
pub use time::Time;
pub use view::{AppFigures, AppView, Candidate, Choice, Counters, DynoCounts, DynoView, Totals};

/// An app's place in the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AppKey(pub(crate) u32);

/// A dyno's place in the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DynoKey(pub(crate) u32);
