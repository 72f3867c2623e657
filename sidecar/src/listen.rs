//! Where peers connect: sockets in the file system, and TCP.
mod group;
mod incoming;
mod pings;
mod unix;

pub use group::group_id;
pub use incoming::{tcp, unix};
pub use pings::Pings;
pub use unix::{ListenError, SocketFile, SocketOptions};
