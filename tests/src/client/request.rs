//! One request on a connection of its own.

use std::{io, net::SocketAddr};

use super::{Conn, Response};

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    address: SocketAddr,
    method: String,
    host: String,
    target: String,
    headers: String,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Request {
    /// `GET target` from this server.
    #[must_use]
    pub fn new(address: SocketAddr, method: &str, host: &str, target: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            host: host.to_owned(),
            target: target.to_owned(),
            headers: String::new(),
            body: None,
            chunked: false,
        }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Named, so that the access log and the dynos can tell it from others.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.header(crate::dyno::stats::ID_HEADER, id)
    }

    /// With a body of known length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The body goes out in chunks.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The head, to the byte.
    #[must_use]
    pub fn head(&self) -> String {
        let framing = match &self.body {
            Some(_) if self.chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            Some(body) => format!("Content-Length: {}\r\n", body.len()),
            None => String::new(),
        };
        format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n{}{framing}\r\n",
            self.method, self.target, self.host, self.headers
        )
    }

    /// The body as it goes out.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let body = self.body.as_deref().unwrap_or_default();
        if !self.chunked {
            return body.to_vec();
        }
        // Uneven pieces: what comes out must not depend on where they end.
        let mut bytes: Vec<u8> = body
            .chunks(8_191)
            .flat_map(|piece| {
                let size = format!("{:x}\r\n", piece.len()).into_bytes();
                [&size, piece, b"\r\n".as_slice()].concat()
            })
            .collect();
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// Sends it, and leaves the answer to be read.
    pub async fn start(&self) -> io::Result<Conn> {
        let mut conn = Conn::open(self.address).await?;
        conn.send([self.head().as_bytes(), &self.payload()].concat())
            .await?;
        Ok(conn)
    }

    /// Sends it and reads the whole answer, or says why there was none.
    pub async fn try_send(&self) -> io::Result<Response> {
        self.start().await?.response_to(&self.method).await
    }

    /// Sends it and reads the whole answer, which must come.
    pub async fn send(&self) -> Response {
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("no answer to {} {}: {error}", self.method, self.target))
    }
}
