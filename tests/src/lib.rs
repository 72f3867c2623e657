//! Tests of the whole mesh: real `meshd`, stock Nginx with the module, real dynos.
//!
//! - [`authorizer`]: what an operator's authorizer does.
//! - [`harness`]: starts a mesh in a directory of its own, and ends it whatever happens.
//! - [`client`]: HTTP/1 to the byte, and HTTP/2.
//! - [`collector`]: what a collector of traces does.
//! - [`load`]: many connections at once; also the program `mesh-load`.
//! - [`dyno`]: the program `sample-dyno`, a backend that counts what it is given
//!   and misbehaves on demand.
//! - [`bench`]: what the mesh costs, measured; also the program `mesh-bench`.
//! - [`token`]: what an identity provider does.
//! - [`wire`]: HTTP/1 framing, which both ends share.
//!
//! Nothing here waits for a fixed time: see [`harness::wait`].

pub mod authorizer;
pub mod bench;
pub mod client;
pub mod collector;
pub mod dyno;
pub mod harness;
pub mod load;
mod ports;
mod readable;
mod timer;
pub mod token;
pub mod wire;

pub use harness::{App, Dyno, Mesh, run};
