//! The service `Peer`: this sidecar's table for one that has none.

use std::sync::Arc;

use dynomesh_proto::v1::{SnapshotPart, SnapshotRequest, peer_server::Peer};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use super::control::Replies;
use crate::{
    convert::{Part, PartKind, SnapshotEnd, part_to_proto},
    driver::Driver,
    snapshot::{PIECE, pack},
};

/// Others that are given it at once: each costs a copy in memory.
const AT_ONCE: usize = 2;

/// The service. See the module's documentation.
#[derive(Clone, Debug)]
pub struct PeerService {
    driver: Arc<Driver>,
    room: Arc<Semaphore>,
}

impl PeerService {
    /// Gives away what `driver` drives.
    pub fn new(driver: Arc<Driver>) -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Self { driver, room }
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type SnapshotStream = Replies<SnapshotPart>;

    async fn snapshot(
        &self,
        _request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let permit = self.room.clone().try_acquire_owned();
        let permit = permit
            .map_err(|_| Status::resource_exhausted("enough others are given the table now"))?;
        if self
            .driver
            .changes()
            .log()
            .is_none_or(|log| log.position.is_none())
        {
            return Err(Status::failed_precondition("no log makes this table"));
        }
        let frozen = self.driver.changes().freeze().await;
        let frozen = frozen.map_err(|why| Status::unavailable(&*why))?;
        // It takes a while for a large table, and this thread has others to see to.
        let packed = tokio::task::spawn_blocking(move || pack(&frozen, None));
        let packed = packed.await.map_err(|error| error.to_string());
        let (bytes, end) = packed.flatten().map_err(Status::internal)?;
        let apps = end.apps;
        tracing::info!(apps, bytes = bytes.len(), "a peer is given the table");
        Ok(Response::new(parts(bytes, end, permit)))
    }
}

fn parts(bytes: Vec<u8>, end: SnapshotEnd, permit: OwnedSemaphorePermit) -> Replies<SnapshotPart> {
    let given = (bytes, 0, Some(end), permit);
    let parts = stream::unfold(given, |(bytes, at, mut end, permit)| async move {
        let until = bytes.len().min(at + PIECE);
        let kind = match at < until {
            true => PartKind::Piece(bytes[at..until].to_vec()),
            false => PartKind::End(end.take()?),
        };
        let part = Part {
            snapshot: "".into(),
            kind,
        };
        Some((Ok(part_to_proto(part)), (bytes, until, end, permit)))
    });
    Box::pin(parts)
}
