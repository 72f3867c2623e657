//! Starts a mesh, lets a test do what it wants with it, and ends it.
//!
//! ```ignore
//! let mesh = Mesh::start().await;
//! let shop = mesh.app("shop").await;          // answers to shop.test
//! let dyno = shop.dyno("web.1").await;        // a process, registered as up
//! // The same: let (mesh, shop, dyno) = Mesh::with_dyno().await;
//! let answer = mesh.get("shop.test", "/").await;
//! mesh.finish().await;                        // nothing left over, clean logs
//! ```
//!
//! Each mesh has its own directory, sockets and ports, so tests run side by side.

mod access;
mod app;
pub mod broker;
mod browser;
mod config;
mod control;
mod ctl;
mod dyno;
mod example;
mod hand;
mod manager;
mod mesh;
mod metrics;
mod nginx;
pub mod paths;
mod process;
mod proxy;
mod raw;
mod refuse;
mod run;
mod sidecar;
mod spawner;
pub mod wait;

pub use access::Entry;
pub use app::App;
pub use broker::Broker;
pub use browser::Browser;
pub use config::Config;
pub use control::{Control, Events};
pub use ctl::Outcome;
pub use dyno::{Dyno, Program};
pub use hand::{Hand, Letter};
pub use manager::Manager;
pub use mesh::{Builder, Mesh};
pub use metrics::{Labels, Metrics};
pub use nginx::{Nginx, test_config};
pub use process::Process;
pub use proxy::Proxy;
pub use raw::publish_unreadable;
pub use refuse::{BlackHole, ClosedPort, black_hole, closed_port};
pub use run::{run, run_within};
pub use rustix::process::Signal;
pub use sidecar::{BACK_WITHIN, Sidecar};
