//! HTTP/2 with prior knowledge: hyper for requests, tonic for gRPC.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::AbortHandle};
use tonic::{
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP/2 connection; clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    send: http2::SendRequest<Full<Bytes>>,
    connection: AbortHandle,
}

impl Client {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let io = TokioIo::new(TcpStream::connect(address).await?);
        let (send, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        // It ends when the last clone is gone; an error shows in the requests.
        let connection = tokio::spawn(connection).abort_handle();
        Ok(Self { send, connection })
    }

    /// The status, the headers and the body of the answer. Whoever does not wait
    /// for them resets the stream.
    pub async fn send(&self, request: Request<Bytes>) -> Result<hyper::Response<Bytes>, Failure> {
        let request = request.map(Full::new);
        let (head, body) = self.send.clone().send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(hyper::Response::from_parts(head, body))
    }

    /// The answer to a GET.
    pub async fn get(&self, host: &str, target: &str) -> Result<hyper::Response<Bytes>, Failure> {
        let request = Request::get(format!("http://{host}{target}"));
        self.send(request.body(Bytes::new())?).await
    }

    /// Closes the connection under whatever is asked on it.
    pub fn hang_up(self) {
        self.connection.abort();
    }
}

/// The message of a call to the sample dyno, in either direction.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Echo {
    /// What is to come back.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// Makes a unary call through a server that passes gRPC on.
pub async fn grpc_echo(address: SocketAddr, host: &str, text: &str) -> Result<Echo, tonic::Status> {
    let failed = |error: tonic::transport::Error| tonic::Status::unknown(error.to_string());
    let uri = |text: String| {
        text.parse::<hyper::Uri>()
            .map_err(|error| tonic::Status::invalid_argument(error.to_string()))
    };
    // The origin is what the request names; the endpoint is where it goes.
    let channel: Channel = Endpoint::from_shared(format!("http://{address}"))
        .map_err(failed)?
        .origin(uri(format!("http://{host}"))?)
        .connect()
        .await
        .map_err(failed)?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(failed)?;
    let message = Echo {
        text: text.to_owned(),
    };
    let path = hyper::http::uri::PathAndQuery::from_static("/sample.Echo/Echo");
    let codec = ProstCodec::<Echo, Echo>::default();
    let reply = grpc
        .unary(tonic::Request::new(message), path, codec)
        .await?;
    Ok(reply.into_inner())
}
