//! The service `Control`.

use std::{pin::Pin, sync::Arc};

use dynomesh_proto::v1::{
    self, AppStatus, Applied, Change, Event, ForgetNodeRequest, ForgetNodeResponse, GetAppRequest,
    GetStatusRequest, ListAppsRequest, ListAppsResponse, NodesRequest, NodesResponse, TapEvent,
    TapRequest, WatchRequest, control_server::Control,
};
use futures_core::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    list::list,
    many::{Mode, apply_many},
    router::Identity,
    status::{apply_error, malformed},
    tap::tap,
    watch::watch,
};
use crate::{
    convert::{self, Malformed},
    driver::Driver,
};

pub(super) type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a caller wants changed.
pub(super) fn wanted(mut change: Change) -> Result<mesh::Change, Malformed> {
    convert::give_keys(&mut change, rand::random);
    convert::change_from_proto(change)
}

/// The service. See the module's documentation.
#[derive(Clone, Debug)]
pub struct ControlService {
    driver: Arc<Driver>,
    identity: Identity,
}

impl ControlService {
    /// Serves what `driver` drives.
    pub fn new(driver: Arc<Driver>, identity: Identity) -> Self {
        Self { driver, identity }
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    type ApplyManyStream = Replies<Applied>;
    type QueueStream = Replies<Applied>;
    type WatchStream = Replies<Event>;
    type TapStream = Replies<TapEvent>;

    async fn apply(&self, request: Request<Change>) -> Result<Response<Applied>, Status> {
        let change = wanted(request.into_inner());
        let change = change.map_err(|error| malformed(&error))?;
        let pending = self.driver.changes().submit(change).await;
        let applied = match pending {
            Ok(pending) => pending.outcome().await,
            Err(error) => Err(error),
        };
        let applied = applied.map_err(|error| apply_error(&error))?;
        let (app, version) = (applied.app.into(), applied.version);
        Ok(Response::new(Applied {
            app,
            version,
            error: None,
            queued: String::new(),
        }))
    }

    async fn apply_many(
        &self,
        request: Request<Streaming<Change>>,
    ) -> Result<Response<Replies<Applied>>, Status> {
        Ok(Response::new(apply_many(
            self.driver.clone(),
            request.into_inner(),
            Mode::Apply,
        )))
    }

    async fn queue(
        &self,
        request: Request<Streaming<Change>>,
    ) -> Result<Response<Replies<Applied>>, Status> {
        Ok(Response::new(apply_many(
            self.driver.clone(),
            request.into_inner(),
            Mode::Queue,
        )))
    }

    async fn get_app(
        &self,
        request: Request<GetAppRequest>,
    ) -> Result<Response<AppStatus>, Status> {
        let app = request.into_inner().app;
        match self.driver.view(&app) {
            Some(view) => Ok(Response::new(convert::app_status(&view))),
            None => Err(Status::not_found(format!("there is no app \"{app}\""))),
        }
    }

    async fn list_apps(
        &self,
        request: Request<ListAppsRequest>,
    ) -> Result<Response<ListAppsResponse>, Status> {
        list(&self.driver, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Replies<Event>>, Status> {
        Ok(Response::new(watch(
            self.driver.clone(),
            request.into_inner().app,
        )))
    }

    async fn tap(
        &self,
        request: Request<TapRequest>,
    ) -> Result<Response<Replies<TapEvent>>, Status> {
        tap(self.driver.clone(), request.into_inner()).map(Response::new)
    }

    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<v1::Status>, Status> {
        let (totals, ready) = self.driver.totals();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let uptime = self.driver.up().as_millis();
        let log = self.driver.changes().log();
        let members = log.as_ref().map(|_| self.driver.members_view());
        Ok(Response::new(v1::Status {
            node: (*self.identity.node).into(),
            version: env!("CARGO_PKG_VERSION").into(),
            epoch: self.identity.epoch,
            ready,
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            apps: count(totals.apps),
            dynos: count(totals.dynos),
            sessions: count(totals.sessions),
            leases: count(totals.leases),
            waiting: count(totals.waiting),
            counters: Some(convert::counters(&totals.counters)),
            log: log.map(convert::log_status),
            load: self.driver.load_view().map(convert::load_status),
            membership: members.as_ref().map(convert::membership_status),
        }))
    }

    async fn nodes(
        &self,
        _request: Request<NodesRequest>,
    ) -> Result<Response<NodesResponse>, Status> {
        Ok(Response::new(convert::nodes(&self.driver.members_view())))
    }

    async fn forget_node(
        &self,
        request: Request<ForgetNodeRequest>,
    ) -> Result<Response<ForgetNodeResponse>, Status> {
        let name = request.into_inner().name;
        match self.driver.forget_member(&name) {
            true => Ok(Response::new(ForgetNodeResponse {})),
            false => Err(Status::failed_precondition(format!(
                "\"{name}\" is none that was a member and is gone, as far as this sidecar \
                 knows as a member itself: see who is with `meshctl nodes`"
            ))),
        }
    }
}
