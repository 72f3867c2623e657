//! Clients: HTTP/1 to the byte ([`Conn`]), the same with comfort ([`Request`]),
//! and HTTP/2 ([`h2`]).

mod conn;
pub mod h2;
mod request;

pub use conn::{Conn, Response};
pub use request::Request;
