//! The ways to misbehave.

use std::time::Duration;

use super::{
    exchange::{Exchange, Next},
    socket::Socket,
};

/// How an answer is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Bytes that are no HTTP.
    Garbage,
    /// A status line without a status.
    BadStatus,
    /// A chunk whose size is none; the connection stays open.
    BadChunk,
    /// Closes with no response.
    Close,
    /// Closes after the head, with a body announced.
    CloseAfterHeader,
    /// Closes in the middle of a body of known length.
    CloseMidBody,
    /// Closes in the middle of a chunked body.
    CloseMidChunked,
    /// Resets the connection.
    Reset,
    /// Never answers and never finishes.
    Hang,
    /// Sends the head byte by byte, in about two seconds.
    SlowHeader,
    /// A header line that is none.
    BadHeader,
    /// The whole process ends in the middle of the response.
    Exit,
    /// A proper answer that promises to keep the connection, which is then closed.
    KeepaliveClose,
}

impl Way {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "garbage" => Self::Garbage,
            "bad-status" => Self::BadStatus,
            "bad-chunk" => Self::BadChunk,
            "close" => Self::Close,
            "close-after-header" => Self::CloseAfterHeader,
            "close-mid-body" => Self::CloseMidBody,
            "close-mid-chunked" => Self::CloseMidChunked,
            "reset" => Self::Reset,
            "hang" => Self::Hang,
            "slow-header" => Self::SlowHeader,
            "bad-header" => Self::BadHeader,
            "exit" => Self::Exit,
            "keepalive-close" => Self::KeepaliveClose,
            _ => return None,
        })
    }

    /// Takes the whole request, then misbehaves.
    pub(super) async fn answer<S: Socket>(self, mut exchange: Exchange<'_, S>) -> Next<S> {
        exchange.receive().await?;
        match self {
            Self::Garbage => {
                exchange
                    .last_and_close(b"\x16\x03 this is no HTTP\r\n\r\n")
                    .await
            }
            Self::BadStatus => {
                let bytes = b"HTTP/1.1 abc\r\nX-Secret: 1\r\n\r\nsecret";
                exchange.last_and_close(bytes).await
            }
            Self::BadChunk => {
                let head = exchange.head_of(200, "Transfer-Encoding: chunked\r\n");
                exchange
                    .last(format!("{head}3\r\nabc\r\nzz\r\n").as_bytes())
                    .await
            }
            Self::Close => exchange.last_and_close(b"").await,
            Self::CloseAfterHeader => {
                let head = exchange.head_of(200, "Content-Length: 1000\r\n");
                exchange.last_and_close(head.as_bytes()).await
            }
            Self::CloseMidBody => {
                let head = exchange.head_of(200, "Content-Length: 1000\r\n");
                exchange
                    .last_and_close(format!("{head}only this").as_bytes())
                    .await
            }
            Self::CloseMidChunked => {
                let head = exchange.head_of(200, "Transfer-Encoding: chunked\r\n");
                exchange
                    .last_and_close(format!("{head}9\r\nonly this\r\n64\r\nand").as_bytes())
                    .await
            }
            Self::Reset => {
                exchange.wire.io().reset_on_close();
                exchange.visit.end();
                Ok(None)
            }
            Self::Hang => std::future::pending().await,
            Self::SlowHeader => slow_header(exchange).await,
            Self::BadHeader => {
                let head = exchange.head_of(200, "Content-Length: 0\r\nno colon \x01 here\r\n");
                exchange.last_and_close(head.as_bytes()).await
            }
            Self::Exit => {
                let head = exchange.head_of(200, "Content-Length: 1000\r\n");
                exchange.wire.send(head.as_bytes()).await?;
                std::process::exit(3)
            }
            Self::KeepaliveClose => {
                let head = exchange.head_of(200, "Content-Length: 5\r\n");
                exchange
                    .last_and_close(format!("{head}kept\n").as_bytes())
                    .await
            }
        }
    }
}

async fn slow_header<S: Socket>(mut exchange: Exchange<'_, S>) -> Next<S> {
    let head = exchange.head_of(200, "Content-Length: 5\r\n");
    let pause = Duration::from_secs(2) / u32::try_from(head.len()).unwrap_or(1);
    for byte in head.as_bytes() {
        exchange.wire.send(&[*byte]).await?;
        tokio::time::sleep(pause).await;
    }
    exchange.last(b"slow\n").await
}
