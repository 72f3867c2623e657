//! Everything that is listened to.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
};

use anyhow::Context as _;
use tonic::transport::ServerTlsConfig;

use crate::{
    config::{Config, Tcp},
    listen::SocketFile,
};

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
    /// For other sidecars.
    pub(super) peer: Option<(TcpListener, ServerTlsConfig)>,
    /// For who looks over HTTP.
    pub(super) web: Option<TcpListener>,
    pub(super) files: [SocketFile; 2],
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let router_tcp = config.router_tcp.as_ref().map(bind).transpose()?;
        let control_tcp = config.control_tcp.as_ref().map(bind).transpose()?;
        let peer = config.peer_tcp.as_ref().map(bind).transpose()?;
        let web = config.web.as_ref();
        let web = web.map(|web| listen(web.address)).transpose()?;
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
            peer,
            web,
            files: [router_file, control_file],
        })
    }

    /// The port that other sidecars come to.
    pub(super) fn peer_port(&self) -> Option<u16> {
        let (tcp, _) = self.peer.as_ref()?;
        tcp.local_addr().ok().map(|address| address.port())
    }
}

fn bind(tcp: &Tcp) -> anyhow::Result<(TcpListener, ServerTlsConfig)> {
    let tls = tcp.tls.load()?;
    Ok((listen(tcp.address)?, tls))
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [router, control] = &self.files;
        write!(f, "routers at {}", router.path().display())?;
        self.router.tcp_to(f)?;
        write!(f, ", operators at {}", control.path().display())?;
        self.control.tcp_to(f)?;
        let peer = self.peer.as_ref();
        if let Some(address) = peer.and_then(|(tcp, _)| tcp.local_addr().ok()) {
            write!(f, ", peers at {address} (TLS)")?;
        }
        match self.web.as_ref().and_then(|web| web.local_addr().ok()) {
            Some(address) => write!(f, ", who looks at http://{address}"),
            None => Ok(()),
        }
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
