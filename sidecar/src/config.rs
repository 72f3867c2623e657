//! The configuration: a file, the environment, the command line; the later one
//! wins. Every key has the same name in all three (`router-socket`,
//! `DYNOMESH_ROUTER_SOCKET`, `--router-socket`).
mod address;
mod authorizers;
mod bounds;
mod broker;
mod error;
mod mode;
mod options;
mod paths;
mod peers;
mod resolve;
mod tls;
mod traces;
mod web;

pub use address::PeerAddress;
pub use authorizers::Authorizers;
pub use broker::{Broker, BrokerPem, BrokerTls, Secret};
pub use error::ConfigError;
pub use options::{Cli, LogFormat, LogLevel, Options, TapFormat};
pub use peers::Peers;
pub use resolve::{Config, Effective};
pub use tls::{Tcp, TlsFiles};
pub use traces::Traces;
pub use web::Web;
