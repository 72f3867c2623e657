//! Ports for dynos.
//!
//! A dyno takes its port only when it has booted. The kernel's own choice (port 0)
//! could by then be some connection's: those come from the same range, and a busy
//! host makes thousands a second. So it is a port beside that range which nobody
//! has now.

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, TcpListener},
    ops::{Range, RangeInclusive},
};

use rand::RngExt as _;

/// How often another one is tried.
const TRIES: usize = 200;
/// Ports below the kernel's range that are used.
const BELOW: u16 = 16_384;
/// The kernel's range, unless it says otherwise.
const USUAL: RangeInclusive<u16> = 32_768..=60_999;

/// A port of this host that nobody has now, and none of `ours`, whose process may
/// not listen yet. Should somebody take it before the dyno does, then the dyno does
/// not come up, and the next one gets another.
pub(crate) fn free(address: IpAddr, ours: &HashSet<u16>) -> io::Result<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = beside(&text.ok().and_then(|text| parse(&text)).unwrap_or(USUAL));
    for _ in 0..TRIES {
        let port = rand::rng().random_range(range.clone());
        if !ours.contains(&port) && TcpListener::bind((address, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no port of {range:?} is free")))
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace();
    Some(words.next()?.parse().ok()?..=words.next()?.parse().ok()?)
}

/// Below the kernel's range if there is enough, or else any.
fn beside(kernels: &RangeInclusive<u16>) -> Range<u16> {
    let below = kernels.start().saturating_sub(BELOW).max(1_024)..*kernels.start();
    match below.len() >= 1_000 {
        true => below,
        false => 1_024..u16::MAX,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn none_is_given_twice() {
        let mut ours = HashSet::new();
        for _ in 0..200 {
            assert!(ours.insert(free(Ipv4Addr::LOCALHOST.into(), &ours).unwrap()));
        }
    }

    #[test]
    fn no_connection_comes_from_where_dynos_listen() {
        assert_eq!(beside(&parse("32768\t60999\n").unwrap()), 16_384..32_768);
        assert_eq!(beside(&(9_000..=65_000)), 1_024..9_000);
        assert_eq!(beside(&(1_024..=65_535)), 1_024..65_535);
    }
}
