//! The mesh in memory as a gRPC service.

use std::{future, ops::Bound, pin::Pin, sync::Arc, time::Duration};

use dynomesh_proto::v1::{
    AppStatus, Applied, Change, ChangeError, Event, ForgetNodeRequest, ForgetNodeResponse,
    GetAppRequest, GetStatusRequest, ListAppsRequest, ListAppsResponse, MemberStatus, NodesRequest,
    NodesResponse, Status as SidecarStatus, TapEvent, TapRequest, TappedRequest, WatchRequest,
    control_server, event::Kind, tap_event,
};
use futures_util::{Stream, StreamExt as _};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::Mesh;

pub(crate) struct Control(pub(crate) Arc<Mesh>);

type Results<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Control {
    async fn answer<T>(&self, value: Result<T, Status>) -> Result<Response<T>, Status> {
        if self.0.faults.lock().silent {
            future::pending::<()>().await;
        }
        value.map(Response::new)
    }
}

#[tonic::async_trait]
impl control_server::Control for Control {
    async fn apply(&self, request: Request<Change>) -> Result<Response<Applied>, Status> {
        let change = request.into_inner();
        self.race(&change);
        self.answer(self.0.apply(&change)).await
    }

    type ApplyManyStream = Results<Applied>;

    async fn apply_many(
        &self,
        request: Request<Streaming<Change>>,
    ) -> Result<Response<Self::ApplyManyStream>, Status> {
        let (give, results) = mpsc::channel(4);
        tokio::spawn(apply_many(Arc::clone(&self.0), request.into_inner(), give));
        self.answer(Ok(
            Box::pin(ReceiverStream::new(results)) as Results<Applied>
        ))
        .await
    }

    type QueueStream = Results<Applied>;

    /// Here the log takes every change.
    async fn queue(
        &self,
        request: Request<Streaming<Change>>,
    ) -> Result<Response<Self::QueueStream>, Status> {
        self.apply_many(request).await
    }

    async fn get_app(
        &self,
        request: Request<GetAppRequest>,
    ) -> Result<Response<AppStatus>, Status> {
        let name = request.into_inner().app;
        let app = self.0.apps.lock().get(&name).cloned();
        self.0.faults.change(|faults| faults.looks += 1);
        self.answer(app.ok_or_else(|| Status::not_found(format!("app {name}"))))
            .await
    }

    async fn list_apps(
        &self,
        request: Request<ListAppsRequest>,
    ) -> Result<Response<ListAppsResponse>, Status> {
        let page = self.page(&request.into_inner());
        self.0.faults.change(|faults| faults.looks += 1);
        self.answer(page).await
    }

    type TapStream = Results<TapEvent>;

    async fn tap(&self, request: Request<TapRequest>) -> Result<Response<Self::TapStream>, Status> {
        let filter = request.into_inner().filter.unwrap_or_default();
        if filter.app != "shop" {
            return Err(Status::not_found("there is no such app"));
        }
        // What it is asked for, as a request.
        let request = TappedRequest {
            app: filter.app,
            status: filter.status,
            error: filter.error,
            total_ms: filter.slow_ms,
            attempts: filter.sample,
            ..TappedRequest::default()
        };
        let kinds = [
            tap_event::Kind::Routers(1),
            tap_event::Kind::Request(request),
            tap_event::Kind::Lost(3),
        ];
        let events = kinds.map(|kind| Ok(TapEvent { kind: Some(kind) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }

    type WatchStream = Results<Event>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let app = request.into_inner().app;
        let events = BroadcastStream::new(self.0.events.subscribe());
        let events = events.filter_map(move |event| {
            let event = event
                .ok()
                .filter(|event| app.is_empty() || *of(event) == *app);
            future::ready(event.map(Ok))
        });
        self.0.faults.change(|faults| faults.watches += 1);
        self.answer(Ok(Box::pin(events) as Results<Event>)).await
    }

    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<SidecarStatus>, Status> {
        let apps = self.0.apps.lock().len();
        let status = SidecarStatus {
            node: "node-1".into(),
            version: "0.1.0".into(),
            ready: !self.0.faults.lock().not_ready,
            apps: u32::try_from(apps).unwrap_or(u32::MAX),
            ..Default::default()
        };
        self.0.faults.change(|faults| faults.status_looks += 1);
        self.answer(Ok(status)).await
    }

    async fn nodes(&self, _: Request<NodesRequest>) -> Result<Response<NodesResponse>, Status> {
        let own = MemberStatus {
            name: "node-1".into(),
            own: true,
            ..Default::default()
        };
        let nodes = NodesResponse {
            members: vec![own],
            ..Default::default()
        };
        self.answer(Ok(nodes)).await
    }

    async fn forget_node(
        &self,
        request: Request<ForgetNodeRequest>,
    ) -> Result<Response<ForgetNodeResponse>, Status> {
        let name = request.into_inner().name;
        self.answer(match &*name {
            "gone" => Ok(ForgetNodeResponse {}),
            _ => Err(Status::failed_precondition("it is not gone")),
        })
        .await
    }
}

impl Control {
    /// Someone else changes the app before this change does.
    fn race(&self, change: &Change) {
        let races = {
            let mut faults = self.0.faults.lock();
            let races = faults.races > 0;
            faults.races = faults.races.saturating_sub(1);
            races
        };
        let mut apps = self.0.apps.lock();
        if races
            && let Some(app) = apps
                .get_mut(&change.app)
                .and_then(|status| status.app.as_mut())
        {
            app.version += 1;
            app.settings.get_or_insert_default().max_requests += 1;
        }
    }

    fn page(&self, request: &ListAppsRequest) -> Result<ListAppsResponse, Status> {
        let largest = self.0.faults.lock().largest_page.unwrap_or(1_000);
        if request.page_size > largest {
            return Err(Status::out_of_range("the message is too large"));
        }
        let apps = self.0.apps.lock();
        // A page is named by the last app of the one before.
        let range = (Bound::Excluded(request.page.clone()), Bound::Unbounded);
        let mut found = apps
            .range(range)
            .filter(|(name, _)| name.starts_with(&request.prefix))
            .filter(|(_, app)| !request.busy_only || app.in_flight + app.waiting > 0);
        let size = request.page_size as usize;
        let page: Vec<_> = found
            .by_ref()
            .take(size)
            .map(|(_, app)| app.clone())
            .collect();
        let last = page.last().and_then(|status| status.app.as_ref());
        let next_page = match found.next() {
            Some(_) => last.map(|app| app.name.clone()).unwrap_or_default(),
            None => String::new(),
        };
        Ok(ListAppsResponse {
            apps: page,
            next_page,
        })
    }
}

/// The app of an event.
fn of(event: &Event) -> &str {
    match &event.kind {
        Some(Kind::Changed(change)) => &change.app,
        Some(Kind::NeedDyno(need)) => &need.app,
        Some(Kind::Drained(dyno)) => &dyno.app,
        Some(Kind::Quarantined(dyno)) => &dyno.app,
        Some(Kind::Idle(idle)) => &idle.app,
        Some(Kind::Scale(hint)) => &hint.app,
        Some(Kind::Missed(_)) | None => "",
    }
}

async fn apply_many(
    mesh: Arc<Mesh>,
    mut changes: Streaming<Change>,
    give: mpsc::Sender<Result<Applied, Status>>,
) {
    let mut answered = 0;
    while let Ok(Some(change)) = changes.message().await {
        let mut batch = vec![change];
        while mesh.faults.lock().greedy
            && let Ok(Ok(Some(more))) = timeout(Duration::from_millis(400), changes.message()).await
        {
            batch.push(more);
        }
        {
            let most = &mut mesh.faults.lock().most_unanswered;
            *most = batch.len().max(*most);
        }
        for change in batch {
            if mesh.faults.lock().ends_after == Some(answered) {
                return;
            }
            answered += 1;
            let applied = mesh.apply(&change).unwrap_or_else(|status| Applied {
                app: change.app.clone(),
                version: 0,
                error: Some(ChangeError {
                    code: status.code().into(),
                    message: status.message().into(),
                }),
                queued: String::new(),
            });
            if give.send(Ok(applied)).await.is_err() {
                return;
            }
        }
    }
}
