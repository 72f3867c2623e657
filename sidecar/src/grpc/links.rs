//! Links to the owners of shards: one stream to each other sidecar, made again whenever
//! it breaks.

mod link;
mod outgoing;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};
use tonic::transport::ClientTlsConfig;

use crate::driver::{Peer, Peering};
use link::link;

/// First pause before a new attempt; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Who this sidecar is to those that it asks.
#[derive(Clone, Debug)]
pub struct Asking {
    node: Arc<str>,
    process: u64,
    tls: ClientTlsConfig,
    /// Links so far.
    links: Arc<AtomicU64>,
}

impl Asking {
    /// The member of this name. `process`: another one at each start.
    pub fn new(node: &str, process: u64, tls: ClientTlsConfig) -> Self {
        Self {
            node: node.into(),
            process,
            tls,
            links: Arc::default(),
        }
    }

    fn next_link(&self) -> u64 {
        self.links.fetch_add(1, Relaxed) + 1
    }
}

/// Keeps the links that `peering` wants, until it is dropped.
pub async fn keep_links<P: Peering>(peering: Arc<P>, asking: Asking) {
    let mut links: HashMap<Arc<str>, Kept> = HashMap::new();
    loop {
        let wanted = peering.wanted();
        let others = links.extract_if(|_, kept| !wanted.contains(&kept.peer));
        for (_, mut kept) in others.collect::<Vec<_>>() {
            kept.end().await;
        }
        for peer in wanted {
            links.entry(peer.name.clone()).or_insert_with(|| {
                let keeping = keep(peering.clone(), peer.clone(), asking.clone());
                Kept {
                    peer,
                    task: tokio::spawn(keeping),
                }
            });
        }
        peering.wanted_changed().await;
    }
}

/// Ends when it is dropped.
struct Kept {
    peer: Peer,
    task: JoinHandle<()>,
}

impl Kept {
    /// Returns when its link is down: the next one to this peer is not up before.
    async fn end(&mut self) {
        self.task.abort();
        // An error is what was asked for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Link after link.
async fn keep<P: Peering>(peering: Arc<P>, peer: Peer, asking: Asking) {
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let began = Instant::now();
        let mut was_up = false;
        let why = link(&*peering, &peer, &asking, || was_up = true).await;
        if was_up {
            is_told = false;
        }
        if began.elapsed() > LONGEST_PAUSE && was_up {
            pause = FIRST_PAUSE;
        }
        // It is tried again often.
        if !std::mem::replace(&mut is_told, true) {
            let (node, address) = (&*peer.name, &*peer.address);
            tracing::warn!(node, address, "no link to another sidecar: {why}");
        }
        sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
