//! The service `Router`: the beginning of a session.

use std::{sync::Arc, time::Duration};

use dynomesh_proto::{
    PROTOCOL,
    v1::{self, RouterMessage, router_message::Kind, router_server::Router},
};
use mesh::{AskId, WorkerId};
use tonic::{Request, Response, Status, Streaming, transport::server::UdsConnectInfo};

use super::{
    ending::Ending,
    session::SessionStream,
    status::{closed, open_error},
};
use crate::{
    driver::{self, Driver, Session, WorkerName},
    store::WorkerProcess,
};

/// A router that opens a stream has something to say.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Who this process is, for people and routers.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host, for people.
    pub node: Arc<str>,
    /// Another one at each start.
    pub epoch: u64,
}

/// The service. See the module's documentation.
#[derive(Clone, Debug)]
pub struct RouterService {
    driver: Arc<Driver>,
    identity: Identity,
}

impl RouterService {
    /// Serves what `driver` drives.
    pub fn new(driver: Arc<Driver>, identity: Identity) -> Self {
        Self { driver, identity }
    }

    /// Opens the session, and returns when it is on disk that there is one: its
    /// worker will be waited for should this process restart.
    async fn open(&self, hello: v1::Hello, process: WorkerProcess) -> Result<Session, Status> {
        let worker = WorkerId(hello.worker);
        let (pid, held) = (hello.pid, hello.held.len());
        let node: String = hello.node.chars().take(255).collect();
        let name = WorkerName {
            node: node.as_str().into(),
            pid,
        };
        let hello = checked(hello, name, process)?;
        let session = Session::open(&self.driver, hello).map_err(open_error)?;
        let name = format!("{:016x}", worker.0);
        tracing::info!(worker = name, ?node, pid, held, "a worker says hello");
        if let Err(why) = self.driver.changes().remember(worker, process).await {
            tracing::warn!(
                worker = name,
                "a restart would not wait for this worker: {why}"
            );
        }
        match session.is_closed() {
            None => Ok(session),
            Some(reason) => Err(closed(reason)),
        }
    }
}

#[tonic::async_trait]
impl Router for RouterService {
    type SessionStream = SessionStream;

    async fn session(
        &self,
        request: Request<Streaming<RouterMessage>>,
    ) -> Result<Response<SessionStream>, Status> {
        let process = process_of(&request);
        let ending = request
            .extensions()
            .get::<Ending>()
            .cloned()
            .unwrap_or_default();
        let mut incoming = request.into_inner();
        let hello = tokio::time::timeout(HELLO_WITHIN, incoming.message()).await;
        let hello = hello.map_err(|_| Status::deadline_exceeded("no hello came"))??;
        let Some(Kind::Hello(hello)) = hello.and_then(|message| message.kind) else {
            return Err(Status::invalid_argument("the first message must be hello"));
        };
        let session = self.open(hello, process).await?;
        let welcome = v1::Welcome {
            node: (*self.identity.node).into(),
            epoch: self.identity.epoch,
            header_interest: Vec::new(),
            settings: Some(v1::RouterSettings {
                max_reserved: self.driver.limits().reserved,
                tallies: self.driver.wants_tallies(),
            }),
            ruled: self.driver.has_rules(),
            paged: self.driver.has_pages(),
        };
        Ok(Response::new(SessionStream::new(
            welcome, incoming, ending, session,
        )))
    }
}

/// The kernel's word on who connected, in numbers that are valid here. The
/// worker's own word may come from another container, so it is not used.
fn process_of<T>(request: &Request<T>) -> WorkerProcess {
    let info = request.extensions().get::<UdsConnectInfo>();
    let pid = info.and_then(|info| info.peer_cred?.pid());
    let pid = pid
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid > 0);
    pid.map_or(WorkerProcess::UNKNOWN, WorkerProcess::of)
}

fn checked(
    hello: v1::Hello,
    name: WorkerName,
    process: WorkerProcess,
) -> Result<driver::Hello, Status> {
    if hello.protocol != PROTOCOL {
        return Err(Status::failed_precondition(format!(
            "hello.protocol is {}, this meshd speaks {PROTOCOL}: install a router and a meshd that fit together",
            hello.protocol
        )));
    }
    if hello.held.iter().any(|held| held.ask == 0) {
        return Err(Status::invalid_argument("hello.held.ask is 0"));
    }
    let held = hello
        .held
        .into_iter()
        .map(|held| (AskId(held.ask), held.instance.into()));
    Ok(driver::Hello {
        worker: WorkerId(hello.worker),
        link: hello.link,
        name,
        process,
        held: held.collect(),
    })
}
