//! Peers that are not what they should be.

use dynomesh_proto::v1::{
    SnapshotEnd, SnapshotPart,
    peer_server::{Peer, PeerServer},
    snapshot_part::Kind,
};
use futures_util::stream;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::Server};

use super::*;
use crate::{convert::TableWriter, driver::Seen, grpc::control::Replies, listen};

/// One that says this.
struct Fake(Vec<SnapshotPart>);

#[tonic::async_trait]
impl Peer for Fake {
    type SnapshotStream = Replies<SnapshotPart>;

    async fn snapshot(
        &self,
        _request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let parts = self.0.clone().into_iter().map(Ok);
        Ok(Response::new(Box::pin(stream::iter(parts))))
    }
}

async fn received(kinds: &[Kind]) -> Result<Whole, String> {
    let parts = kinds.iter().cloned().map(|kind| SnapshotPart {
        snapshot_id: String::new(),
        kind: Some(kind),
    });
    let fake = PeerServer::new(Fake(parts.collect()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let serving = Server::builder()
        .add_service(fake)
        .serve_with_incoming(listen::tcp(listener));
    let receiving = async {
        let endpoint = Endpoint::from_shared(url).expect("a URL");
        receive(endpoint.connect().await.expect("connected")).await
    };
    tokio::select! {
        _ = serving => Err("it has ended".into()),
        received = receiving => received,
    }
}

#[tokio::test]
async fn only_what_is_whole_is_taken() {
    use sha2::Digest as _;
    let bytes = TableWriter::default().finish(&Seen::default());
    let bytes = bytes.expect("compressed");
    let end = SnapshotEnd {
        log_id: "0".repeat(32),
        offset: 7,
        mark: vec![1; 16],
        pieces: 1,
        apps: 0,
        sha256: sha2::Sha256::digest(&bytes).to_vec(),
    };
    let (piece, whole) = (Kind::Piece(bytes.clone()), Kind::End(end.clone()));
    let good = received(&[piece.clone(), whole.clone()]).await;
    let good = good.expect("whole");
    assert_eq!(good.end.position().map(|at| at.offset), Some(7));
    assert!(unpack(&good.bytes, 0).is_ok());
    assert!(unpack(&good.bytes, 1).is_err(), "an app is missing");

    let altered = Kind::Piece(bytes.iter().map(|byte| byte ^ 1).collect());
    let nameless = SnapshotEnd {
        log_id: "x".into(),
        ..end
    };
    for (kinds, what) in [
        (vec![piece.clone()], "ended"),
        (vec![whole.clone()], "ended"),
        (vec![piece.clone(), piece.clone(), whole.clone()], "ended"),
        (vec![altered, whole], "ended"),
        (vec![piece, Kind::End(nameless)], "log_id"),
    ] {
        let error = received(&kinds).await.expect_err("not whole");
        assert!(error.contains(what), "{error}");
    }
}
