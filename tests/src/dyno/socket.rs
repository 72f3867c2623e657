//! Listening on TCP or on a unix socket.

use std::{io, path::Path};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// A connection that can also be broken.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Closing it will reset it. A unix socket knows no reset and just closes.
    fn reset_on_close(&self);
}

impl Socket for TcpStream {
    fn reset_on_close(&self) {
        // Fails only on a connection that is gone already.
        let _ = self.set_zero_linger();
    }
}

impl Socket for UnixStream {
    fn reset_on_close(&self) {}
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// `127.0.0.1:5001`
    Tcp(TcpListener),
    /// `unix:/run/app.sock`
    Unix(UnixListener, String),
}

impl Listener {
    /// Listens on `127.0.0.1:0` or `unix:/path`.
    pub async fn bind(address: &str) -> io::Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => {
                if Path::new(path).exists() {
                    std::fs::remove_file(path)?;
                }
                Ok(Self::Unix(UnixListener::bind(path)?, address.to_owned()))
            }
            None => Ok(Self::Tcp(TcpListener::bind(address).await?)),
        }
    }

    /// Where it really listens.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Self::Unix(_, address) => Ok(address.clone()),
        }
    }
}
