//! One connection of a load.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::{net::TcpStream, time::timeout};

use super::{Shared, report::Tally};
use crate::wire::{Body, Wire};

/// After a refused connection: do not spin.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until it is time to stop.
pub(super) async fn run(shared: Arc<Shared>, number: u64) -> Tally {
    let options = &shared.options;
    let more: String = options
        .headers
        .iter()
        .flat_map(|line| [line, "\r\n"])
        .collect();
    let requests: Vec<String> = options
        .targets
        .iter()
        .map(|target| {
            format!(
                "GET {target} HTTP/1.1\r\nHost: {}\r\n{more}\r\n",
                options.host
            )
        })
        .collect();
    // Odd multiplier: connections with neighbouring numbers get seeds far apart.
    let seed = options.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut random = SmallRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let mut kept = None;
    while let Some(at) = shared.next() {
        let request = &requests[at as usize % requests.len()];
        let patience = options.abort_within.map(|most| {
            let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
            Duration::from_micros(random.random_range(0..=most))
        });
        let began = Instant::now();
        let counts = began.duration_since(shared.started) >= options.warm_up;
        let limit = patience.unwrap_or(options.timeout);
        let asked = timeout(limit, ask(&shared, &mut kept, request, &mut tally)).await;
        if let Ok(Ok(_)) = asked {
            shared.answered();
        }
        match asked {
            Ok(Ok(status)) if !counts && status == 200 => {}
            Ok(Ok(status)) => tally.answered(status, began.elapsed()),
            Ok(Err(error)) => {
                tally.error(&error.kind().to_string());
                kept = None;
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) => {
                match patience {
                    Some(_) => tally.aborted += 1,
                    None => tally.error("timed out"),
                }
                // Dropping the connection is what hanging up is.
                kept = None;
            }
        }
        shared.ended.fetch_add(1, Ordering::Relaxed);
    }
    tally
}

async fn ask(
    shared: &Shared,
    kept: &mut Option<Wire<TcpStream>>,
    request: &str,
    tally: &mut Tally,
) -> io::Result<u16> {
    if let Some(wire) = kept {
        match exchange(shared, wire, request, tally).await? {
            Some((status, true)) => return Ok(status),
            Some((status, false)) => {
                *kept = None;
                return Ok(status);
            }
            // The server closed a connection that was idle, as it may. A client
            // opens another one; this is not a failure of the request.
            None => {
                tally.stale += 1;
                *kept = None;
            }
        }
    }
    let io = TcpStream::connect(shared.options.address).await?;
    io.set_nodelay(true)?;
    let wire = kept.insert(Wire::new(io));
    let (status, keep) = exchange(shared, wire, request, tally)
        .await?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    if !keep {
        *kept = None;
    }
    Ok(status)
}

/// Asks and reads the whole answer. `None`: the connection was closed before the
/// first byte of one. With the status: whether the connection may be used again.
async fn exchange(
    shared: &Shared,
    wire: &mut Wire<TcpStream>,
    request: &str,
    tally: &mut Tally,
) -> io::Result<Option<(u16, bool)>> {
    let closed = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        )
    };
    match wire.send(request.as_bytes()).await {
        Err(error) if closed(&error) => return Ok(None),
        sent => sent?,
    }
    let head = match wire.head().await {
        Err(error) if closed(&error) => return Ok(None),
        head => head?,
    };
    let Some(head) = head else { return Ok(None) };
    let (status, mut body, keep) = glance(&head);
    if let Some(wanted) = &shared.options.dynos
        && let Some(stranger) = stranger(&head, status, wanted)
    {
        tally.strange(stranger);
    }
    while body.next(wire).await?.is_some() {}
    Ok(Some((status, keep)))
}

/// The little of a head that matters here, without taking it apart: the load must
/// cost less than what it measures.
fn glance(head: &[u8]) -> (u16, Body, bool) {
    let digits = head.get(9..12).unwrap_or_default();
    let status = digits.iter().fold(0, |sum, digit| {
        sum * 10 + u16::from(digit.wrapping_sub(b'0') % 10)
    });
    let (mut body, mut keep) = (Body::ToEnd, true);
    if status == 204 || status == 304 {
        body = Body::Done;
    }
    for end in memchr::memchr_iter(b'\n', head) {
        let line = &head[end + 1..];
        if let Some(value) = value(line, b"content-length:") {
            let length = value
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            body = Body::Length(length);
        } else if value(line, b"transfer-encoding:").is_some() {
            body = Body::CHUNKED;
        } else if value(line, b"connection:").is_some_and(|v| v.starts_with(b"close")) {
            keep = false;
        }
    }
    (status, body, keep && body != Body::ToEnd)
}

/// Which dyno has answered, if it is not one of those that are wanted. What has no
/// dyno's name is the mesh's own answer, unless it says that all is well.
fn stranger(head: &[u8], status: u16, wanted: &str) -> Option<String> {
    let mut lines = memchr::memchr_iter(b'\n', head).map(|end| &head[end + 1..]);
    match lines.find_map(|line| value(line, b"x-dyno:")) {
        Some(name) if name.starts_with(wanted.as_bytes()) => None,
        Some(name) => {
            let name = name.split(|byte| *byte == b'\r').next();
            Some(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
        }
        None => (status == 200).then(|| "nobody".to_owned()),
    }
}

/// The value, up to the end of the head, if the line has this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let given = line.get(..name.len())?;
    given
        .eq_ignore_ascii_case(name)
        .then(|| line[name.len()..].trim_ascii_start())
}
