//! Another sidecar's table, from its service `Peer`.

use std::time::Duration;

use dynomesh_proto::v1::{SnapshotRequest, peer_client::PeerClient};
use tokio::time::timeout;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::{
    convert::{Table, part_from_proto},
    driver::Position,
    snapshot::{Assembly, Whole, unpack},
};

/// A peer that is there takes a connection within this, ...
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// ... begins with its answer within this: a large table has to be packed, ...
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// ... is not silent for longer, ...
const GO_ON_WITHIN: Duration = Duration::from_secs(5);
/// ... and has come to the end by then.
const END_WITHIN: Duration = Duration::from_secs(300);

/// Gets the table of the sidecar at this URL, and how far along its log it is.
///
/// # Errors
/// Why not, in words.
pub async fn fetch_table(url: &str, tls: ClientTlsConfig) -> Result<(Position, Table), String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).and_then(|to| to.tls_config(tls));
    let endpoint = endpoint.map_err(|error| words(&error))?;
    let channel = timeout(CONNECT_WITHIN, endpoint.connect()).await;
    let channel = channel.map_err(|_| format!("no connection within {CONNECT_WITHIN:?}"))?;
    let channel = channel.map_err(|error| words(&error))?;
    let whole = timeout(END_WITHIN, receive(channel)).await;
    let whole = whole.map_err(|_| format!("not all of it came within {END_WITHIN:?}"))??;
    let position = whole.end.position();
    let position = position.ok_or("it says no place in a log")?;
    let unpacked = tokio::task::spawn_blocking(move || unpack(&whole.bytes, whole.end.apps));
    let table = unpacked.await.map_err(|error| error.to_string())??;
    Ok((position, table))
}

async fn receive(channel: Channel) -> Result<Whole, String> {
    let mut client = PeerClient::new(channel);
    let begun = timeout(BEGIN_WITHIN, client.snapshot(SnapshotRequest {})).await;
    let begun = begun.map_err(|_| format!("no answer within {BEGIN_WITHIN:?}"))?;
    let mut parts = begun.map_err(|status| status.to_string())?.into_inner();
    let mut assembly = Assembly::default();
    loop {
        let part = timeout(GO_ON_WITHIN, parts.message()).await;
        let part = part.map_err(|_| format!("it was silent for {GO_ON_WITHIN:?}"))?;
        let part = part.map_err(|status| status.to_string())?;
        let part = part.ok_or("it ended, and what came is not whole")?;
        let part = part_from_proto(part).map_err(|error| error.to_string())?;
        if let Some(whole) = assembly.add(part) {
            return Ok(whole);
        }
    }
}

/// With its cause, which says more.
pub(super) fn words(error: &tonic::transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
