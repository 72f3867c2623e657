//! A wire that can be cut.

use std::{net::Ipv4Addr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A TCP proxy to a port of this host.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    whole: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One that passes everything on.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let whole = Arc::new(watch::channel(true).0);
        let task = tokio::spawn(accept(listener, to, whole.clone()));
        Self { port, whole, task }
    }

    /// Where to connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection, and lets none through.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, to: u16, whole: Arc<watch::Sender<bool>>) {
    loop {
        let Ok((from, _)) = listener.accept().await else {
            return;
        };
        let mut whole = whole.subscribe();
        if !*whole.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            tokio::select! {
                () = pass(from, to) => {}
                _ = whole.wait_for(|whole| !whole) => {}
            }
        });
    }
}

async fn pass(mut from: TcpStream, to: u16) {
    if let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
        // Nagle would delay what the ends send at once.
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}
