//! One connection after the other, one request after the other.

use std::{io, sync::Arc};

use super::{Dyno, behave, exchange::Exchange, socket::Listener, socket::Socket};
use crate::wire::{Head, Wire};

/// Serves HTTP/1.1 until the process ends.
pub async fn http1(dyno: Arc<Dyno>, listener: Listener) -> io::Result<()> {
    tokio::select! {
        accepted = accept(&dyno, &listener) => return accepted,
        () = dyno.has_left() => drop(listener),
    }
    dyno.stats.leave();
    std::future::pending().await
}

async fn accept(dyno: &Arc<Dyno>, listener: &Listener) -> io::Result<()> {
    loop {
        match listener {
            Listener::Tcp(listener) => {
                let (io, _) = listener.accept().await?;
                io.set_nodelay(true)?;
                tokio::spawn(connection(dyno.clone(), io));
            }
            Listener::Unix(listener, _) => {
                let (io, _) = listener.accept().await?;
                tokio::spawn(connection(dyno.clone(), io));
            }
        }
    }
}

/// An error here is a client that went away: nothing to tell anybody.
async fn connection(dyno: Arc<Dyno>, io: impl Socket) -> io::Result<()> {
    let mut wire = Wire::new(io);
    while let Some(bytes) = wire.head().await? {
        let head = Head::parse(&bytes)?;
        let visit = dyno.stats.begin(&head);
        let exchange = Exchange::new(&dyno, wire, head, visit);
        // Nothing watches the connection while the handler works, so it goes on
        // when the client has left: as in a synchronous server.
        wire = match behave::answer(exchange).await? {
            Some(wire) => wire,
            None => break,
        };
    }
    Ok(())
}
