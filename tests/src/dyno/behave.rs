//! The ways to behave, by path. What is no proper HTTP is in `misbehave`.

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::{
    exchange::{Exchange, Next},
    misbehave,
    socket::Socket,
};
use crate::timer::Timer;

/// Answers a request: the path says how.
pub(super) async fn answer<S: Socket>(exchange: Exchange<'_, S>) -> Next<S> {
    let target = exchange.head.target().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let number = |at: usize| {
        parts
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    match parts[0] {
        "" => hello(exchange).await,
        "echo" => echo(exchange).await,
        "sleep" => sleep(exchange, number(1)).await,
        "busy" => busy(exchange, number(1)).await,
        "hold" => hold(exchange).await,
        "body" => body(exchange, number(1)).await,
        "chunked" => chunked(exchange, number(1), number(2), number(3)).await,
        "slow-body" => slow_body(exchange, number(1), number(2)).await,
        "trailers" => trailers(exchange, number(1)).await,
        "upload" | "continue" => upload(exchange).await,
        "status" => {
            let status = u16::try_from(number(1)).unwrap_or(500);
            exchange.text(status, format!("status {status}\n")).await
        }
        "header" => header(exchange, query).await,
        "early" => early(exchange).await,
        "ws" => upgrade(exchange).await,
        other => match misbehave::Way::parse(other) {
            Some(way) => way.answer(exchange).await,
            // So that a test may use any path, e.g. one that is hard to pass on.
            None => echo(exchange).await,
        },
    }
}

/// Byte `n` of every body that is made up here.
#[must_use]
pub fn pattern(length: u64) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

async fn hello<S: Socket>(exchange: Exchange<'_, S>) -> Next<S> {
    let dyno = exchange.dyno;
    let headers: String = exchange
        .head
        .headers
        .iter()
        .map(|(name, value)| format!("  {name}: {value}\n"))
        .collect();
    let text = format!(
        "Hello from dyno {} of app {}!\n\nRequests so far: {}\nYour request came with:\n{headers}",
        dyno.name,
        dyno.app,
        dyno.stats.total(),
    );
    exchange.text(200, text).await
}

/// Says what it received.
async fn echo<S: Socket>(mut exchange: Exchange<'_, S>) -> Next<S> {
    let body = exchange.receive().await?;
    let head = &exchange.head;
    let value = json!({
        "app": exchange.dyno.app,
        "dyno": exchange.dyno.name,
        "method": head.method(),
        "target": head.target(),
        "headers": head.headers,
        "length": body.length,
        "sha256": body.sha256,
        "body": String::from_utf8_lossy(&body.kept),
    });
    exchange.json(&value).await
}

async fn sleep<S: Socket>(exchange: Exchange<'_, S>, ms: u64) -> Next<S> {
    sleep_for(Duration::from_millis(ms)).await?;
    exchange.text(200, format!("slept {ms} ms\n")).await
}

/// Figures of queues are compared with computed ones: a request takes as long as it says.
async fn sleep_for(time: Duration) -> io::Result<()> {
    Timer::new()?.sleep(time).await
}

/// The same, and stops as soon as nobody is there for whom it works.
async fn busy<S: Socket>(mut exchange: Exchange<'_, S>, ms: u64) -> Next<S> {
    tokio::select! {
        slept = sleep_for(Duration::from_millis(ms)) => slept?,
        () = exchange.wire.gone() => return Ok(None),
    }
    exchange.text(200, format!("worked for {ms} ms\n")).await
}

/// Works until the admin listener is told `/release`.
async fn hold<S: Socket>(exchange: Exchange<'_, S>) -> Next<S> {
    exchange.dyno.held().await;
    exchange.text(200, "held and released\n".to_owned()).await
}

async fn body<S: Socket>(exchange: Exchange<'_, S>, length: u64) -> Next<S> {
    let lines = "Content-Type: application/octet-stream\r\n";
    exchange.respond(200, lines, pattern(length)).await
}

async fn chunked<S: Socket>(
    mut exchange: Exchange<'_, S>,
    length: u64,
    chunk: u64,
    ms: u64,
) -> Next<S> {
    exchange.receive().await?;
    let head = exchange.head_of(200, "Transfer-Encoding: chunked\r\n");
    exchange.wire.send(head.as_bytes()).await?;
    let body = pattern(length);
    for (at, piece) in body
        .chunks(usize::try_from(chunk.max(1)).unwrap_or(usize::MAX))
        .enumerate()
    {
        if at > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        exchange
            .wire
            .send(format!("{:x}\r\n", piece.len()).as_bytes())
            .await?;
        exchange.wire.send(piece).await?;
        exchange.wire.send(b"\r\n").await?;
    }
    exchange.last(b"0\r\n\r\n").await
}

/// `/slow-body/STATUS/MS`: the head, and so much later the body.
async fn slow_body<S: Socket>(mut exchange: Exchange<'_, S>, status: u64, ms: u64) -> Next<S> {
    exchange.receive().await?;
    let status = u16::try_from(status).unwrap_or(500);
    let head = exchange.head_of(status, "Content-Length: 5\r\n");
    exchange.wire.send(head.as_bytes()).await?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    exchange.last(b"slow\n").await
}

/// `/trailers/MS`: chunks, and so much later an end with all that one may have.
async fn trailers<S: Socket>(mut exchange: Exchange<'_, S>, ms: u64) -> Next<S> {
    exchange.receive().await?;
    let head = exchange.head_of(200, "Transfer-Encoding: chunked\r\n");
    exchange
        .wire
        .send(format!("{head}3\r\nabc\r\n").as_bytes())
        .await?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    exchange
        .last(b"4;x=y\r\ndef\n\r\n0;last\r\nX-Sum: 1\r\nX-Mesh-Sum: 2\r\n\r\n")
        .await
}

async fn upload<S: Socket>(mut exchange: Exchange<'_, S>) -> Next<S> {
    let body = exchange.receive().await?;
    let value = json!({ "length": body.length, "sha256": body.sha256 });
    exchange.json(&value).await
}

/// `/header?name=value&name=value`: the response has these headers.
async fn header<S: Socket>(exchange: Exchange<'_, S>, query: &str) -> Next<S> {
    let lines: String = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    exchange.respond(200, &lines, "headers\n".into()).await
}

/// Answers before it reads the body, and then says nothing more. What still comes
/// is read and thrown away: closing on it would reset the connection, and the
/// answer could be lost.
async fn early<S: Socket>(exchange: Exchange<'_, S>) -> Next<S> {
    let mut bytes = exchange.head_of(413, "Content-Length: 6\r\n").into_bytes();
    bytes.extend_from_slice(b"early\n");
    let mut body = exchange.head.request_body();
    if let Some(mut wire) = exchange.last(&bytes).await? {
        wire.finish().await?;
        while body.next(&mut wire).await?.is_some() {}
    }
    Ok(None)
}

/// What a browser wants to see before it believes that it speaks with a websocket.
fn accepted(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Switches to whatever protocol was asked for, and sends back each byte.
async fn upgrade<S: Socket>(mut exchange: Exchange<'_, S>) -> Next<S> {
    let Some(protocol) = exchange.head.header("upgrade") else {
        return exchange
            .text(426, "no upgrade asked for\n".to_owned())
            .await;
    };
    let mut lines = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
    if let Some(key) = exchange.head.header("sec-websocket-key") {
        lines.push_str(&format!("Sec-WebSocket-Accept: {}\r\n", accepted(key)));
    }
    let head = exchange.head_of(101, &lines);
    exchange.wire.send(head.as_bytes()).await?;
    // In progress as long as the tunnel is open: `visit` lives in `exchange`.
    let (io, early) = exchange.wire.into_parts();
    let (mut read, mut write) = tokio::io::split(io);
    tokio::io::AsyncWriteExt::write_all(&mut write, &early).await?;
    tokio::io::copy(&mut read, &mut write).await?;
    exchange.visit.end();
    Ok(None)
}
