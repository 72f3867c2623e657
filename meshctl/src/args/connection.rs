//! Which sidecar, and how to reach it.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use dynomesh_proto::place;
use rustix::process::geteuid;
use tonic::transport::Uri;

use super::values;

/// The flags that every command has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The sidecar's control socket, or https://HOST:PORT (mutual TLS)
    #[arg(
        long,
        global = true,
        env = "DYNOMESH_CONTROL_SOCKET",
        value_name = "PATH",
        default_value_t = Address::of_user(),
        value_hint = clap::ValueHint::FilePath
    )]
    pub(crate) socket: Address,

    /// With https: the authority that signed the sidecar's certificate (PEM)
    #[arg(long, global = true, env = "DYNOMESH_TLS_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// With https: your certificate (PEM)
    #[arg(long, global = true, env = "DYNOMESH_TLS_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,

    /// With https: the private key of your certificate (PEM)
    #[arg(long, global = true, env = "DYNOMESH_TLS_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,

    /// Longest wait for an answer
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = values::some_time
    )]
    pub(crate) timeout: Duration,
}

/// Where a sidecar listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Https(Uri),
}

impl Address {
    /// Where a sidecar of this user is unless set. Who has no place for one can
    /// only mean the system's.
    fn of_user() -> Self {
        let directory = place::socket_directory(geteuid().is_root());
        let directory = directory.unwrap_or_else(|| place::SYSTEM.into());
        Self::Unix(directory.join(place::CONTROL_SOCKET))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Https(uri) => uri.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if !text.contains("://") {
            return Ok(Self::Unix(
                text.strip_prefix("unix:").unwrap_or(text).into(),
            ));
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("not a URL: {error}"))?;
        match (uri.scheme_str(), uri.path()) {
            (Some("https"), "/" | "") => Ok(Self::Https(uri)),
            (Some("https"), _) => Err("a URL here has no path".to_owned()),
            // Whoever may speak to the control service may do anything.
            _ => Err("only a socket's path or https://HOST:PORT".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_socket() {
        let unix = |path: &str| Ok(Address::Unix(path.into()));
        assert_eq!("/run/x.sock".parse(), unix("/run/x.sock"));
        assert_eq!("unix:/run/x.sock".parse(), unix("/run/x.sock"));
        assert_eq!("x.sock".parse(), unix("x.sock"));
    }

    #[test]
    fn over_the_network_only_with_tls() {
        let parse = |text: &str| text.parse::<Address>();
        assert!(matches!(parse("https://[::1]:7000"), Ok(Address::Https(_))));
        for text in [
            "http://host:1",
            "https://host:1/path",
            "https://",
            "ftp://x",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
