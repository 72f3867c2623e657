//! HTTP/1 framing, as small as it can be and exact to the byte.
//!
//! Written here, not taken from a library, because a library hides just what the
//! tests must see: which bytes came, whether a message was complete, and when
//! the last byte went out.

mod body;
mod head;

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub use body::Body;
pub use head::Head;

/// Nobody here sends a head larger than this.
const MAX_HEAD: usize = 256 << 10;

/// A connection and the bytes that were read from it too early.
#[derive(Debug)]
pub struct Wire<S> {
    io: S,
    buf: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A fresh connection.
    pub fn new(io: S) -> Self {
        Self {
            io,
            buf: BytesMut::with_capacity(8 << 10),
        }
    }

    /// The connection itself.
    pub fn io(&self) -> &S {
        &self.io
    }

    /// The connection and what was read of it but not used.
    pub fn into_parts(self) -> (S, BytesMut) {
        (self.io, self.buf)
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await
    }

    /// Sends no more; may still read.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    /// Reads some more. False: the other side has finished.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buf.reserve(8 << 10);
        Ok(self.io.read_buf(&mut self.buf).await? > 0)
    }

    /// Reads some more, which must come.
    async fn need(&mut self) -> io::Result<()> {
        if self.fill().await? {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// The bytes up to and including the blank line; `None` when the connection
    /// ended before the first of them.
    pub async fn head(&mut self) -> io::Result<Option<Bytes>> {
        let mut seen = 0;
        loop {
            if let Some(at) = memchr::memmem::find(&self.buf[seen..], b"\r\n\r\n") {
                return Ok(Some(self.buf.split_to(seen + at + 4).freeze()));
            }
            seen = self.buf.len().saturating_sub(3);
            if self.buf.len() > MAX_HEAD {
                return Err(io::Error::other("head too large"));
            }
            if !self.fill().await? {
                return match self.buf.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Every byte until the other side has finished.
    pub async fn rest(&mut self) -> io::Result<Bytes> {
        while self.fill().await? {}
        Ok(self.buf.split().freeze())
    }

    /// Returns when the other side has gone. What it sends meanwhile is kept, up to a
    /// limit that counts as its end.
    pub async fn gone(&mut self) {
        while self.buf.len() <= MAX_HEAD && matches!(self.fill().await, Ok(true)) {}
    }

    /// Exactly this many bytes.
    pub async fn exactly(&mut self, count: usize) -> io::Result<Bytes> {
        while self.buf.len() < count {
            self.need().await?;
        }
        Ok(self.buf.split_to(count).freeze())
    }

    /// Whatever is there next, at most `limit` bytes.
    async fn some(&mut self, limit: u64) -> io::Result<Bytes> {
        if self.buf.is_empty() {
            self.need().await?;
        }
        let count = usize::try_from(limit).map_or(self.buf.len(), |max| max.min(self.buf.len()));
        Ok(self.buf.split_to(count).freeze())
    }

    /// One line, without its end.
    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buf, b"\r\n") {
                let line = self.buf.split_to(at).freeze();
                self.buf.advance(2);
                return Ok(line);
            }
            self.need().await?;
        }
    }
}
