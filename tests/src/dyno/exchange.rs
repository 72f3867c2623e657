//! One request and the answer to it.

use std::{fmt::Write as _, io};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Dyno, socket::Socket, stats::Visit};
use crate::wire::{Body, Head, Wire};

/// Bodies up to this size are kept.
const MAX_KEPT: usize = 64 << 10;

/// Answers up to this size leave in one piece: any socket's buffer takes them.
const ONE_PIECE: usize = 4 << 10;

/// A request in progress, on its connection.
pub struct Exchange<'a, S> {
    pub(super) dyno: &'a Dyno,
    pub(super) wire: Wire<S>,
    pub(super) head: Head,
    pub(super) visit: Visit,
    body: Body,
}

/// The connection, when it may serve another request.
pub type Next<S> = io::Result<Option<Wire<S>>>;

/// What a request's body was.
pub(super) struct Received {
    pub(super) length: u64,
    pub(super) sha256: String,
    /// Its start.
    pub(super) kept: Vec<u8>,
}

impl<'a, S: Socket> Exchange<'a, S> {
    pub(super) fn new(dyno: &'a Dyno, wire: Wire<S>, head: Head, visit: Visit) -> Self {
        let body = head.request_body();
        Self {
            dyno,
            wire,
            head,
            visit,
            body,
        }
    }

    /// Reads the body, asking for it if the client wants to be asked.
    pub(super) async fn receive(&mut self) -> io::Result<Received> {
        if self.body != Body::Done && self.head.header("expect").is_some() {
            self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut hash = Sha256::new();
        let (mut length, mut kept) = (0, Vec::new());
        while let Some(piece) = self.body.next(&mut self.wire).await? {
            hash.update(&piece);
            length += piece.len() as u64;
            let room = MAX_KEPT - kept.len();
            kept.extend_from_slice(&piece[..room.min(piece.len())]);
        }
        Ok(Received {
            length,
            sha256: hex(&hash.finalize()),
            kept,
        })
    }

    /// A head of this response, with the lines that every one has.
    pub(super) fn head_of(&self, status: u16, lines: &str) -> String {
        let close = if self.head.keeps_connection() {
            ""
        } else {
            "Connection: close\r\n"
        };
        format!(
            "HTTP/1.1 {status} {}\r\nX-Dyno: {}\r\n{close}{lines}\r\n",
            reason(status),
            self.dyno.name
        )
    }

    /// The whole answer. Reads what is left of the request first.
    pub(super) async fn respond(mut self, status: u16, lines: &str, body: Bytes) -> Next<S> {
        self.receive().await?;
        let bodiless = status == 204 || status == 304;
        let mut lines = lines.to_owned();
        if !bodiless {
            let _ = write!(lines, "Content-Length: {}\r\n", body.len());
        }
        let mut bytes = self.head_of(status, &lines).into_bytes();
        if !bodiless && self.head.method() != "HEAD" {
            bytes.extend_from_slice(&body);
        }
        self.last(&bytes).await
    }

    /// A short text.
    pub(super) async fn text(self, status: u16, text: String) -> Next<S> {
        let lines = "Content-Type: text/plain; charset=utf-8\r\n";
        self.respond(status, lines, text.into()).await
    }

    /// A value as JSON.
    pub(super) async fn json(self, value: &serde_json::Value) -> Next<S> {
        let lines = "Content-Type: application/json\r\n";
        self.respond(200, lines, format!("{value:#}\n").into())
            .await
    }

    /// Sends the end of the answer. The request stops counting just before the
    /// bytes that let the mesh send the next one: the last, or all of a small
    /// answer, which leaves in one piece (a dyno killed at any moment has sent
    /// all of it or nothing).
    pub(super) async fn last(mut self, bytes: &[u8]) -> Next<S> {
        let ahead = match bytes.len() {
            0..=ONE_PIECE => 0,
            length => length - 1,
        };
        self.wire.send(&bytes[..ahead]).await?;
        self.visit.end();
        self.wire.send(&bytes[ahead..]).await?;
        Ok(self.head.keeps_connection().then_some(self.wire))
    }

    /// Sends the end of an answer and closes, whatever was said about it.
    pub(super) async fn last_and_close(self, bytes: &[u8]) -> Next<S> {
        if let Some(mut wire) = self.last(bytes).await? {
            wire.finish().await?;
        }
        Ok(None)
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400..500 => "Client Error",
        500..600 => "Server Error",
        _ => "Status",
    }
}
