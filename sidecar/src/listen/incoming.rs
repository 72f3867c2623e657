//! Connections as they come.

use std::{future::Future, io, time::Duration};

use futures_core::Stream;
use futures_util::stream;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// After a failure that is likely to last, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections to a socket in the file system.
pub fn unix(listener: UnixListener) -> impl Stream<Item = io::Result<UnixStream>> {
    stream::unfold(listener, |listener| async {
        let accepted = accept(|| async { listener.accept().await.map(|(stream, _)| stream) }).await;
        Some((Ok(accepted), listener))
    })
}

/// Connections over TCP, which send every answer at once.
pub fn tcp(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold(listener, |listener| async {
        let accepted = accept(|| async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        Some((Ok(accepted.await), listener))
    })
}

/// Goes on until a connection comes: one that fails must not end the service.
async fn accept<C, F: Future<Output = io::Result<C>>>(next: impl Fn() -> F) -> C {
    loop {
        match next().await {
            Ok(connection) => return connection,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
