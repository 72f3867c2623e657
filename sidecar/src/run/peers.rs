//! A table to begin with, for who has none of the log.

use tonic::transport::ClientTlsConfig;

use crate::{
    config::Config,
    convert::Table,
    driver::{Driver, Position},
    grpc::fetch_table,
};

/// Sidecars that may have one.
pub(super) struct Peers(Option<(Vec<String>, ClientTlsConfig)>);

impl Peers {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let Some(peers) = &config.peers else {
            return Ok(Self(None));
        };
        Ok(Self(Some((peers.urls.clone(), peers.load()?))))
    }

    /// The table of the first one that has a good one, unless this sidecar is in
    /// its log already.
    pub(super) async fn table(
        self,
        driver: &Driver,
        position: Option<Position>,
    ) -> Option<(Position, Table)> {
        let (urls, tls) = self.0.filter(|_| position.is_none())?;
        tokio::select! {
            table = first(&urls, &tls) => table,
            () = driver.stopped() => None,
        }
    }
}

async fn first(urls: &[String], tls: &ClientTlsConfig) -> Option<(Position, Table)> {
    for peer in urls {
        match fetch_table(peer, tls.clone()).await {
            Ok((position, table)) => {
                let (apps, offset) = (table.apps.len(), position.offset);
                tracing::info!(peer, apps, offset, "a peer has given its table");
                return Some((position, table));
            }
            Err(why) => tracing::warn!(peer, "no table from a peer: {why}"),
        }
    }
    tracing::warn!("no peer has given its table: the broker may have a snapshot");
    None
}
