//! Where a message's body ends.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Wire;

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Done,
    /// This many bytes.
    Length(u64),
    /// Chunks; so many bytes are left of the one being read.
    Chunked(u64),
    /// Everything until the connection ends.
    ToEnd,
}

impl Body {
    /// A chunked body from its start.
    pub const CHUNKED: Self = Self::Chunked(0);

    /// The next bytes, or `None` at its proper end. A connection that ends
    /// before is an error, `UnexpectedEof`.
    pub async fn next<S>(&mut self, wire: &mut Wire<S>) -> io::Result<Option<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match *self {
            Self::Done | Self::Length(0) => {
                *self = Self::Done;
                Ok(None)
            }
            Self::Length(left) => {
                let piece = wire.some(left).await?;
                *self = Self::Length(left - piece.len() as u64);
                Ok(Some(piece))
            }
            Self::Chunked(0) => {
                let size = chunk_size(&wire.line().await?)?;
                if size == 0 {
                    // Trailers, if any, end with an empty line.
                    while !wire.line().await?.is_empty() {}
                    *self = Self::Done;
                    return Ok(None);
                }
                self.chunk(wire, size).await
            }
            Self::Chunked(left) => self.chunk(wire, left).await,
            Self::ToEnd => {
                let piece = wire.rest().await?;
                *self = Self::Done;
                Ok((!piece.is_empty()).then_some(piece))
            }
        }
    }

    async fn chunk<S>(&mut self, wire: &mut Wire<S>, left: u64) -> io::Result<Option<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let piece = wire.some(left).await?;
        let left = left - piece.len() as u64;
        *self = Self::Chunked(left);
        if left == 0 && !wire.line().await?.is_empty() {
            return Err(io::Error::other("chunk is longer than it said"));
        }
        Ok(Some(piece))
    }
}

fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|&b| b == b';').next().unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("not a chunk size"))
}
