//! Ports for programs that can't choose a free one themselves, or have to come back to
//! theirs.
//!
//! None that the kernel gives to whoever connects somewhere: it may give one to somebody
//! in the moment before it is listened to, or while its program is restarted, and even
//! to a connection that is meant for this very port, which then has itself at its other
//! end and looks as if somebody listened.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// How often other ports are tried, when one was taken in the meantime.
pub(crate) const TRIES: usize = 8;

/// The lowest one, if there is a choice.
const LOWEST: u16 = 10_000;
/// Where the kernel's own begin, unless it says otherwise.
const KERNELS: u16 = 32_768;

/// So many addresses that are free at this moment.
pub(crate) fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    let kernels = kernels().unwrap_or(KERNELS);
    let own = LOWEST..kernels;
    // All are held until the last one is found, or two could be the same.
    let mut held = Vec::new();
    let mut left = 100 * (count + 1);
    while held.len() < count {
        // Where all are the kernel's there is no choice.
        let port = match own.is_empty() {
            true => 0,
            false => rand::random_range(own.clone()),
        };
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => held.push(listener),
            Err(error) if left == 0 => return Err(error),
            Err(_) => left -= 1,
        }
    }
    held.iter().map(TcpListener::local_addr).collect()
}

fn kernels() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_none_of_the_kernels_and_all_different() {
        let mut ports: Vec<_> = free(50)
            .expect("ports are free")
            .iter()
            .map(SocketAddr::port)
            .collect();
        let kernels = kernels().expect("Linux says so");
        let others = kernels > LOWEST;
        assert!(
            !others || ports.iter().all(|port| *port < kernels),
            "{ports:?}"
        );
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
