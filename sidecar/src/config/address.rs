//! Where other sidecars reach this one.

use std::net::IpAddr;

use url::Host;

use super::{ConfigError, Options, resolve::Said};

/// Longest one, in bytes: a host has 255.
const MAX_BYTES: usize = 300;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    host: Host,
    /// `None`: the one that `peer-tcp` really has.
    port: Option<u16>,
}

impl PeerAddress {
    /// As text, where `bound` is the port that `peer-tcp` really has.
    #[must_use]
    pub fn with(&self, bound: u16) -> String {
        format!("{}:{}", self.host, self.port.unwrap_or(bound))
    }

    fn new(host: Host, port: u16) -> Self {
        let port = (port != 0).then_some(port);
        Self { host, port }
    }

    /// It leads to no host in particular.
    fn is_wildcard(&self) -> bool {
        match self.host {
            Host::Ipv4(ip) => ip.is_unspecified(),
            Host::Ipv6(ip) => ip.is_unspecified(),
            Host::Domain(_) => false,
        }
    }
}

/// That of a sidecar that is a member, which one with a broker and `peer-tcp` is.
pub(super) fn peer_address(
    options: &Options,
    said: &Said<'_>,
) -> Result<Option<PeerAddress>, ConfigError> {
    const KEY: &str = "peer-address";
    let (Some(tcp), Some(_)) = (options.peer_tcp, &options.broker_url) else {
        return match &options.peer_address {
            None => Ok(None),
            Some(_) => Err(said.wrong(KEY, "is of no use without broker-url and peer-tcp")),
        };
    };
    let address = match &options.peer_address {
        Some(text) => {
            parse(text).ok_or_else(|| said.wrong(KEY, format!("\"{text}\" is not HOST:PORT")))?
        }
        None => {
            let host = match tcp.ip() {
                IpAddr::V4(ip) => Host::Ipv4(ip),
                IpAddr::V6(ip) => Host::Ipv6(ip),
            };
            PeerAddress::new(host, tcp.port())
        }
    };
    match (address.is_wildcard(), &options.peer_address) {
        (false, _) => Ok(Some(address)),
        (true, Some(_)) => Err(said.wrong(KEY, "leads to no host: give this one's name or IP")),
        (true, None) => {
            let problem = format!(
                "is needed, as peer-tcp is {tcp}: the HOST:PORT at which other sidecars reach this one"
            );
            Err(said.wrong(KEY, problem))
        }
    }
}

fn parse(text: &str) -> Option<PeerAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_plain)?;
    let host = Host::parse(host).ok()?;
    (text.len() <= MAX_BYTES).then(|| PeerAddress::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Option<String> {
        parse(text).map(|address| address.with(7443))
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, want) in [
            ("a.test:1", "a.test:1"),
            ("A.test:443", "a.test:443"),
            ("10.0.0.2:65535", "10.0.0.2:65535"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:0", "localhost:7443"),
        ] {
            assert_eq!(with(text).as_deref(), Some(want));
        }
        let long = format!("{}:1", "a".repeat(300));
        for bad in [
            "",
            "a.test",
            "a.test:",
            ":1",
            "a.test:+1",
            "a.test:65536",
            "::1:80",
            "a b:1",
            "https://a.test:1",
            "a.test:1/",
            "me@a.test:1",
            &long,
        ] {
            assert_eq!(with(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wildcard_is_no_address() {
        for (text, is) in [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("127.0.0.1:1", false),
        ] {
            assert_eq!(parse(text).map(|it| it.is_wildcard()), Some(is), "{text}");
        }
    }
}
