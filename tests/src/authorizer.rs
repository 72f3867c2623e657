//! An authorizer: decides as a test says, and keeps what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dynomesh_proto::v1::{
    Allowed, CheckRequest, CheckResponse, Denied, SetHeader,
    authorizer_server::{Authorizer as Service, AuthorizerServer},
    check_response,
};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{
    Request, Response, Status,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

type Decide = dyn Fn(&CheckRequest) -> CheckResponse + Send + Sync;

/// One that listens. It ends when it is dropped.
pub struct Authorizer {
    /// Where.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
    /// With all connections.
    runtime: Option<Runtime>,
}

struct Desk {
    decide: Box<Decide>,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
}

#[tonic::async_trait]
impl Service for Desk {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let answer = (self.decide)(&request);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(request);
        Ok(Response::new(answer))
    }
}

impl Authorizer {
    /// Listens on a port of its own.
    pub async fn start(
        decide: impl Fn(&CheckRequest) -> CheckResponse + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(None, decide).await
    }

    /// The same over TLS.
    pub async fn start_with(
        tls: Option<ServerTlsConfig>,
        decide: impl Fn(&CheckRequest) -> CheckResponse + Send + Sync + 'static,
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let bound = runtime.spawn(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.await.expect("no panic").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<CheckRequest>>>::default();
        let desk = Desk {
            decide: Box::new(decide),
            asked: asked.clone(),
        };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).expect("good files");
        }
        let served = server
            .add_service(AuthorizerServer::new(desk))
            .serve_with_incoming(TcpIncoming::from(listener));
        // An error shows in the test.
        runtime.spawn(async { drop(served.await) });
        Self {
            address,
            asked,
            runtime: Some(runtime),
        }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<CheckRequest> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// It is there no more, nor is any connection to it.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || drop(runtime)).await;
            stopped.expect("no panic");
        }
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// It may, with these headers, for so long.
#[must_use]
pub fn allowed(headers: &[(&str, &str)], valid_ms: u32) -> CheckResponse {
    let headers = headers.iter().map(|(name, value)| SetHeader {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    });
    CheckResponse {
        result: Some(check_response::Result::Allowed(Allowed {
            headers: headers.collect(),
            valid_ms,
        })),
    }
}

/// It may not.
#[must_use]
pub fn denied(unknown: bool) -> CheckResponse {
    let denied = Denied { unknown };
    CheckResponse {
        result: Some(check_response::Result::Denied(denied)),
    }
}
