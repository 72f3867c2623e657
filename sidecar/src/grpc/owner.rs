//! The service `Owner`: other sidecars ask this one about what it owns.
//!
//! As with a router's session the reply stream itself reads what is asked. It is a
//! service of its own, on the port for sidecars: whoever may come to the routers'
//! socket has no part in it, and a sidecar can't come as a worker.

mod register;
mod stream;

use std::{sync::Arc, time::Duration};

use dynomesh_proto::v1::{self, ToOwner, owner_server::Owner, to_owner::Kind};
use tonic::{Request, Response, Status, Streaming};

use self::{register::Register, stream::OwnerStream};
use crate::driver::Peering;

/// The version of this protocol.
pub(super) const PROTOCOL: u32 = 1;
/// Who opens a stream says who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Longest name of a node, in bytes, as in the configuration.
const MAX_NAME: usize = 255;
/// Answers that wait for a link. Each ends an ask, so only a fault gets here.
pub(super) const MOST: usize = 1 << 20;

/// The service. See the module's documentation.
#[derive(Debug)]
pub struct OwnerService<P> {
    peering: Arc<P>,
    node: Arc<str>,
    register: Arc<Register>,
}

impl<P> Clone for OwnerService<P> {
    fn clone(&self) -> Self {
        Self {
            peering: self.peering.clone(),
            node: self.node.clone(),
            register: self.register.clone(),
        }
    }
}

impl<P: Peering> OwnerService<P> {
    /// Serves others with `peering`, as the member of this name.
    pub fn new(peering: Arc<P>, node: &str) -> Self {
        Self {
            peering,
            node: node.into(),
            register: Arc::default(),
        }
    }

    /// Ends every link, and lets none come any more.
    pub fn stop(&self) {
        self.register.stop(&*self.peering);
    }

    fn introduction(&self, to: &str) -> v1::Introduction {
        v1::Introduction {
            protocol: PROTOCOL,
            node: (*self.node).into(),
            to: to.into(),
            process: 0,
            link: 0,
        }
    }
}

#[tonic::async_trait]
impl<P: Peering> Owner for OwnerService<P> {
    type SessionStream = OwnerStream<P>;

    async fn session(
        &self,
        request: Request<Streaming<ToOwner>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_WITHIN, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no introduction came"))??;
        let Some(Kind::Introduction(asking)) = first.and_then(|message| message.kind) else {
            let problem = "the first message must be introduction";
            return Err(Status::invalid_argument(problem));
        };
        check(&asking, &self.node)?;
        let entry = self.register.open(&*self.peering, &asking)?;
        tracing::info!(node = ?asking.node, "another sidecar asks this one");
        let introduction = self.introduction(&asking.node);
        Ok(Response::new(OwnerStream::new(
            introduction,
            incoming,
            self.peering.clone(),
            self.register.clone(),
            entry,
        )))
    }
}

/// It is another one, which means this one.
pub(super) fn check(introduction: &v1::Introduction, me: &str) -> Result<(), Status> {
    let v1::Introduction {
        protocol, node, to, ..
    } = introduction;
    if *protocol != PROTOCOL {
        return Err(Status::failed_precondition(format!(
            "introduction.protocol is {protocol}, this meshd speaks {PROTOCOL}: \
             install versions that fit together"
        )));
    }
    if !(1..=MAX_NAME).contains(&node.len()) {
        let problem = format!("introduction.node has 1 to {MAX_NAME} bytes");
        return Err(Status::invalid_argument(problem));
    }
    if to != me || node == me {
        return Err(Status::failed_precondition(format!(
            "this is \"{me}\": \"{node}\" looks for {to:?} here, whose peer-address leads to \
             another sidecar"
        )));
    }
    Ok(())
}
