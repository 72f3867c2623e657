//! HTTP/2 around the services.

use std::{future::Future, io};

use dynomesh_proto::{
    MAX_MESSAGE,
    v1::{
        control_server::ControlServer, owner_server::OwnerServer, peer_server::PeerServer,
        router_server::RouterServer,
    },
};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Error, Server, ServerTlsConfig, server::Connected};

use super::{ControlService, OwnerService, PeerService, RouterService, ending::NoteEnding};
use crate::{driver::Peering, listen::Pings};

/// A router has one stream; more are only there while it reconnects.
const ROUTER_STREAMS: u32 = 8;
/// Calls of one operator's tool at the same time.
const CONTROL_STREAMS: u32 = 128;
/// Calls of another sidecar, which needs one.
const PEER_STREAMS: u32 = 2;
/// Bytes that a peer may send ahead, for a stream and for a connection: enough
/// that thousands of requests at once never wait for a window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A connection of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static {}

impl<C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static> Connection for C {}

/// Serves routers until `stop`, then until their sessions have ended.
///
/// # Errors
/// What tonic says; a single connection's errors are not among them.
pub async fn serve_router<C: Connection>(
    service: RouterService,
    incoming: impl Stream<Item = io::Result<C>>,
    tls: Option<ServerTlsConfig>,
    pings: Pings,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let service = RouterServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    server(tls, pings, ROUTER_STREAMS)?
        .add_service(NoteEnding(service))
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}

/// Serves operators until `stop`, then until their calls have ended.
///
/// # Errors
/// What tonic says; a single connection's errors are not among them.
pub async fn serve_control<C: Connection>(
    service: ControlService,
    incoming: impl Stream<Item = io::Result<C>>,
    tls: Option<ServerTlsConfig>,
    pings: Pings,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let service = ControlServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    server(tls, pings, CONTROL_STREAMS)?
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}

/// Serves other sidecars until `stop`, then until their calls have ended.
///
/// # Errors
/// What tonic says; a single connection's errors are not among them.
pub async fn serve_peers<C: Connection, P: Peering>(
    service: PeerService,
    owner: OwnerService<P>,
    incoming: impl Stream<Item = io::Result<C>>,
    tls: ServerTlsConfig,
    pings: Pings,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let service = PeerServer::new(service).max_encoding_message_size(MAX_MESSAGE);
    let owner = OwnerServer::new(owner)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    server(Some(tls), pings, PEER_STREAMS)?
        .add_service(service)
        .add_service(owner)
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}

fn server(tls: Option<ServerTlsConfig>, pings: Pings, streams: u32) -> Result<Server, Error> {
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(streams)
        .http2_keepalive_interval(Some(pings.every))
        .http2_keepalive_timeout(Some(pings.within));
    match tls {
        Some(tls) => server.tls_config(tls),
        None => Ok(server),
    }
}
