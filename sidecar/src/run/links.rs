//! The thread for other sidecars: what they ask this one, and what it asks them.

use std::{net::TcpListener, sync::Arc, thread::JoinHandle};

use tonic::transport::ServerTlsConfig;

use super::{plane::Plane, spawn};
use crate::{
    config::Config,
    driver::Driver,
    grpc::{Asking, OwnerService, PeerService, keep_links},
};

/// Starts it, if others may come. `process`: another one at each start.
pub(super) fn start(
    config: &Config,
    driver: &Arc<Driver>,
    listener: Option<(TcpListener, ServerTlsConfig)>,
    process: u64,
) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
    let (Some(listener), Some(tcp)) = (listener, &config.peer_tcp) else {
        return Ok(None);
    };
    let asking = match config.peer_address {
        Some(_) => Some(Asking::new(&config.node, process, tcp.tls.load_client()?)),
        None => None,
    };
    let plane = Plane::new(driver, config.pings)?;
    let peers = PeerService::new(driver.clone());
    let owner = OwnerService::new(driver.clone(), &config.node);
    let driver = driver.clone();
    let serving = move || {
        plane.run(async |plane| {
            let links = async {
                match asking {
                    Some(asking) => keep_links(driver, asking).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                served = plane.serve_peers(peers, owner, listener) => served,
                () = links => Ok(()),
            }
        })
    };
    spawn("peers", serving).map(Some)
}
