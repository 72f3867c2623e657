//! A connection of which the test sees every byte.

use std::{io, net::SocketAddr, time::Duration};

use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, time::timeout};

use crate::wire::{Body, Head, Wire};

/// A test that waits longer than this for one answer has failed.
const PATIENCE: Duration = Duration::from_secs(40);

/// One HTTP/1 connection.
#[derive(Debug)]
pub struct Conn {
    wire: Wire<TcpStream>,
}

/// A response, as far as it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body, or what came of it.
    pub body: Vec<u8>,
    /// The body came to its proper end.
    pub complete: bool,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no such JSON ({error}) in {self:?}"))
    }

    /// Which dyno answered.
    #[must_use]
    pub fn dyno(&self) -> &str {
        self.header("x-dyno").unwrap_or_default()
    }
}

impl Conn {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        Ok(Self {
            wire: Wire::new(io),
        })
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes.as_ref()).await
    }

    /// The next response to a request that was no HEAD, interim ones included.
    pub async fn response(&mut self) -> io::Result<Response> {
        self.response_to("GET").await
    }

    /// The next response to a request of this method. An error means that none
    /// came; one that broke off is [`Response::complete`] = false.
    pub async fn response_to(&mut self, method: &str) -> io::Result<Response> {
        let read = async {
            let head = self.wire.head().await?;
            let head = Head::parse(&head.ok_or(io::ErrorKind::UnexpectedEof)?)?;
            let mut left = head.response_body(method == "HEAD");
            let (mut body, mut complete) = (Vec::new(), false);
            loop {
                match left.next(&mut self.wire).await {
                    Ok(Some(piece)) => body.extend_from_slice(&piece),
                    Ok(None) => {
                        complete = true;
                        break;
                    }
                    // It broke off: what came is the answer.
                    Err(_) => break,
                }
            }
            Ok(Response {
                head,
                body,
                complete,
            })
        };
        in_time(read).await
    }

    /// The next head; whatever body it has stays unread.
    pub async fn head(&mut self) -> io::Result<Head> {
        in_time(async {
            let head = self.wire.head().await?;
            Head::parse(&head.ok_or(io::ErrorKind::UnexpectedEof)?)
        })
        .await
    }

    /// The next piece of a body; `None` at its end.
    pub async fn piece(&mut self, body: &mut Body) -> io::Result<Option<bytes::Bytes>> {
        in_time(body.next(&mut self.wire)).await
    }

    /// Exactly this many bytes, e.g. of an upgraded connection.
    pub async fn exactly(&mut self, count: usize) -> io::Result<bytes::Bytes> {
        in_time(self.wire.exactly(count)).await
    }

    /// Every byte until the other side closes.
    pub async fn rest(&mut self) -> io::Result<bytes::Bytes> {
        in_time(self.wire.rest()).await
    }

    /// Hangs up with a reset, as a client that crashes.
    pub fn abort(self) {
        // Fails only on a connection that is gone already.
        let _ = self.wire.io().set_zero_linger();
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await?
}
