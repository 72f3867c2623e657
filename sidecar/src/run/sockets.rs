//! Everything that is listened to.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
};

use anyhow::{Context as _, bail};
use tonic::transport::ServerTlsConfig;

use crate::{config::Config, listen::SocketFile};

/// Where one service is reached.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) unix: UnixListener,
    /// Never without TLS.
    pub(super) tcp: Option<(TcpListener, ServerTlsConfig)>,
}

/// Where both are, and the files that go away at the end.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) router: Listeners,
    pub(super) control: Listeners,
    pub(super) files: [SocketFile; 2],
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let tls = config.tls.as_ref().map(|tls| tls.load()).transpose()?;
        let tcp = |address: Option<SocketAddr>| match (address, &tls) {
            (None, _) => Ok(None),
            (Some(_), None) => bail!("TCP needs TLS"),
            (Some(address), Some(tls)) => {
                let listener = bind(address);
                let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
                Ok(Some((listener, tls.clone())))
            }
        };
        let (router_tcp, control_tcp) = (tcp(config.router_tcp)?, tcp(config.control_tcp)?);
        let (router, router_file) = SocketFile::bind(&config.router)?;
        let (control, control_file) = SocketFile::bind(&config.control)?;
        Ok(Self {
            router: Listeners {
                unix: router,
                tcp: router_tcp,
            },
            control: Listeners {
                unix: control,
                tcp: control_tcp,
            },
            files: [router_file, control_file],
        })
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [router, control] = &self.files;
        write!(f, "routers at {}", router.path().display())?;
        self.router.tcp_to(f)?;
        write!(f, ", operators at {}", control.path().display())?;
        self.control.tcp_to(f)
    }
}

impl Listeners {
    fn tcp_to(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tcp.as_ref().and_then(|(tcp, _)| tcp.local_addr().ok()) {
            Some(address) => write!(f, " and {address} (TLS)"),
            None => Ok(()),
        }
    }
}
