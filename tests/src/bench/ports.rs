//! Ports for programs that can't choose a free one themselves.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// How often other ports are tried, when one was taken in the meantime.
pub(super) const TRIES: usize = 8;

/// So many addresses that are free at this moment.
pub(super) fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    // All at once, or two could be the same.
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(TcpListener::local_addr).collect()
}
