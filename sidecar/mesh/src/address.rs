//! Where a dyno listens.

use std::{fmt, net::SocketAddr, str::FromStr};

/// A socket address, or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `127.0.0.1:5001`, `[::1]:5001`.
    Ip(SocketAddr),
    /// `unix:/run/app.sock`.
    Unix(Box<str>),
}

/// Longest path that fits `sockaddr_un` on Linux with its terminating zero and,
/// behind it, the eight bytes by which a router tells one instance from another.
const MAX_UNIX_PATH: usize = 99;

/// An address that nobody can connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "address \"{0}\" is not IP:PORT, [IPV6]:PORT or unix:/ABSOLUTE/PATH (at most {MAX_UNIX_PATH} bytes)"
)]
pub struct BadAddress(String);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.chars().take(200).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            let usable = path.starts_with('/')
                && path.len() <= MAX_UNIX_PATH
                && !path.bytes().any(|b| b.is_ascii_control());
            return if usable {
                Ok(Self::Unix(path.into()))
            } else {
                Err(bad())
            };
        }
        let socket: SocketAddr = text.parse().map_err(|_| bad())?;
        if socket.port() == 0 || socket.ip().is_unspecified() || socket.ip().is_multicast() {
            return Err(bad());
        }
        Ok(Self::Ip(socket))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(socket) => socket.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["127.0.0.1:80", "[::1]:8080", "unix:/run/a.sock"] {
            assert_eq!(
                text.parse::<Address>().map(|a| a.to_string()),
                Ok(text.into())
            );
        }
    }

    #[test]
    fn refuses_what_cannot_be_connected_to() {
        for text in [
            "",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.1:0",
            "0.0.0.0:80",
            "127.0.0.1:65536",
            "unix:",
            "unix:relative",
            "unix:/a\nb",
            "224.0.0.1:80",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!(
            format!("unix:/{}", "a".repeat(99))
                .parse::<Address>()
                .is_err()
        );
    }
}
