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
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

type Decide = dyn Fn(&CheckRequest) -> CheckResponse + Send + Sync;

/// One that listens. It ends when it is dropped.
pub struct Authorizer {
    /// Where.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
    task: JoinHandle<()>,
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
        let listener = TcpListener::bind("127.0.0.1:0").await;
        Self::on(listener.expect("a port"), Box::new(decide))
    }

    fn on(listener: TcpListener, decide: Box<Decide>) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<CheckRequest>>>::default();
        let desk = Desk {
            decide,
            asked: asked.clone(),
        };
        let served = Server::builder()
            .add_service(AuthorizerServer::new(desk))
            .serve_with_incoming(TcpIncoming::from(listener));
        // An error shows in the test.
        let task = tokio::spawn(async { drop(served.await) });
        Self {
            address,
            asked,
            task,
        }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<CheckRequest> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// It is there no more.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        self.task.abort();
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
