//! The sidecar's `Control` service, with a limit on every wait.

mod connect;
mod pages;

use std::{future::Future, time::Duration};

use dynomesh_proto::{
    MAX_MESSAGE,
    v1::{
        AppStatus, Applied, Change, Event, ForgetNodeRequest, ForgetNodeResponse, GetAppRequest,
        GetStatusRequest, ListAppsRequest, ListAppsResponse, NodesRequest, NodesResponse, Status,
        TapEvent, TapRequest, WatchRequest, control_client::ControlClient,
    },
};
use futures_util::{Stream, stream};
use tonic::{Code, Response, Streaming, transport::Channel};

use crate::{args::Connection, failure::Failure};

pub(crate) use pages::Pages;

/// A connection to one sidecar. A clone shares it.
#[derive(Clone)]
pub(crate) struct Client {
    rpc: ControlClient<Channel>,
    timeout: Duration,
    /// Changes may be queued.
    queue: bool,
}

impl Client {
    /// Connects now, so that a wrong address is told apart from a refusal.
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, Failure> {
        let timeout = connection.timeout;
        let channel = within(timeout, connect::channel(connection)).await?;
        let rpc = ControlClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(Self {
            rpc,
            timeout,
            queue: false,
        })
    }

    /// The same, whose changes may be queued.
    pub(crate) fn queueing(self, queue: bool) -> Self {
        Self { queue, ..self }
    }

    /// The longest that an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) async fn apply(&self, change: Change) -> Result<Applied, Failure> {
        let app = change.app.clone();
        let applied = match self.queue {
            true => within(self.timeout, self.apply_or_queue(change)).await,
            false => self.answer(self.rpc.clone().apply(change)).await,
        };
        applied.map_err(|failure| match failure {
            // The answer is lost, not necessarily the change.
            Failure::Unreachable(text) => Failure::Unreachable(format!(
                "{text}; whether the change was made, `meshctl app show {app}` tells"
            )),
            other => other,
        })
    }

    /// Many changes on one stream. There may be no first answer before the
    /// first change, so only the caller can tell how long to wait.
    pub(crate) async fn apply_many(
        &self,
        changes: impl Stream<Item = Change> + Send + 'static,
    ) -> Result<Streaming<Applied>, Failure> {
        let mut rpc = self.rpc.clone();
        let response = match self.queue {
            true => rpc.queue(changes).await,
            false => rpc.apply_many(changes).await,
        };
        response
            .map(Response::into_inner)
            .map_err(|status| Failure::from_status(&status))
    }

    async fn apply_or_queue(&self, change: Change) -> Result<Applied, Failure> {
        let mut results = self.apply_many(stream::iter([change])).await?;
        let applied = results.message().await;
        let applied = applied.map_err(|status| Failure::from_status(&status))?;
        let applied = applied
            .ok_or_else(|| Failure::Unreachable("the sidecar ended without an answer".into()))?;
        match &applied.error {
            None => Ok(applied),
            Some(error) => {
                let status = tonic::Status::new(Code::from(error.code), &*error.message);
                Err(Failure::from_status(&status))
            }
        }
    }

    pub(crate) async fn app(&self, name: &str) -> Result<AppStatus, Failure> {
        let request = GetAppRequest {
            app: name.to_owned(),
        };
        let status = self.answer(self.rpc.clone().get_app(request)).await?;
        if status.app.is_none() {
            return Err(Failure::Local(
                "the sidecar sent an app without its description".into(),
            ));
        }
        Ok(status)
    }

    pub(crate) async fn page(&self, request: ListAppsRequest) -> Result<ListAppsResponse, Failure> {
        self.answer(self.rpc.clone().list_apps(request)).await
    }

    /// Every app, page by page.
    pub(crate) fn pages(&self, prefix: &str, busy_only: bool) -> Pages {
        Pages::new(self.clone(), prefix, busy_only)
    }

    pub(crate) async fn nodes(&self) -> Result<NodesResponse, Failure> {
        self.answer(self.rpc.clone().nodes(NodesRequest {})).await
    }

    pub(crate) async fn forget_node(&self, name: &str) -> Result<ForgetNodeResponse, Failure> {
        let name = name.to_owned();
        let request = ForgetNodeRequest { name };
        self.answer(self.rpc.clone().forget_node(request)).await
    }

    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        self.answer(self.rpc.clone().get_status(GetStatusRequest {}))
            .await
    }

    /// Events of one app, or of all when the name is empty. Only the start is
    /// limited in time.
    pub(crate) async fn watch(&self, app: &str) -> Result<Streaming<Event>, Failure> {
        let request = WatchRequest {
            app: app.to_owned(),
        };
        self.answer(self.rpc.clone().watch(request)).await
    }

    /// Requests as they end; as [`Client::watch`].
    pub(crate) async fn tap(&self, request: TapRequest) -> Result<Streaming<TapEvent>, Failure> {
        self.answer(self.rpc.clone().tap(request)).await
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, tonic::Status>>,
    ) -> Result<T, Failure> {
        let call = async {
            let response = call.await;
            response
                .map(Response::into_inner)
                .map_err(|status| Failure::from_status(&status))
        };
        within(self.timeout, call).await
    }
}

/// The failure of a sidecar that is connected and silent.
pub(crate) fn no_answer(limit: Duration) -> Failure {
    Failure::Unreachable(format!(
        "no answer from the sidecar within {}; --timeout waits longer",
        humantime::format_duration(limit)
    ))
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(no_answer(limit)),
    }
}

/// Whether a page was larger than a message may be: a smaller page may fit.
fn too_large(failure: &Failure) -> bool {
    matches!(failure.code(), Some(Code::OutOfRange))
}
