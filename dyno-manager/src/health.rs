//! Is a dyno up?

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Between two looks: at first so short that nobody waits for it, then longer.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Returns when this dyno takes connections or, with a path, answers a
/// GET with anything but a server's error. Whoever calls it sets a limit.
pub(crate) async fn until_up(dyno: SocketAddr, path: Option<&str>) {
    let mut pause = FIRST;
    loop {
        let looked = timeout(ANSWER, look(dyno, path)).await;
        if matches!(looked, Ok(Ok(true))) {
            return;
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.2).min(LONGEST);
    }
}

async fn look(dyno: SocketAddr, path: Option<&str>) -> io::Result<bool> {
    let mut stream = TcpStream::connect(dyno).await?;
    let Some(path) = path else { return Ok(true) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: dyno-manager\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    // "HTTP/1.1 200"
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(is_well(&start))
}

fn is_well(start: &[u8; 12]) -> bool {
    start.starts_with(b"HTTP/1.") && matches!(start[9], b'2'..=b'4')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_error_is_not_well() {
        for (start, well) in [
            (b"HTTP/1.1 200", true),
            (b"HTTP/1.0 302", true),
            (b"HTTP/1.1 401", true),
            (b"HTTP/1.1 503", false),
            (b"SSH-2.0-Open", false),
        ] {
            assert_eq!(is_well(start), well);
        }
    }
}
