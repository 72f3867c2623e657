//! The sidecar's operator socket: the service `Control`.

use std::{path::Path, time::Duration};

use dynomesh_proto::v1::{
    App, Change, DynoLoad, DynoState, GetAppRequest, GetStatusRequest, WatchRequest,
    control_client::ControlClient, event::Kind,
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Channel, Endpoint, Uri},
};

use super::{Error, Event, Events, Mesh};
use crate::{
    app::{Told, app_change, dynos_change, told},
    config::AppConfig,
};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A sidecar on this host; connects when it is used, and again.
#[derive(Clone, Debug)]
pub(crate) struct Control(ControlClient<Channel>);

impl Control {
    /// To be called within a runtime.
    pub(crate) fn new(socket: &Path) -> Self {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The name is only for HTTP's form: nothing is looked up.
        let channel = Endpoint::from_static("http://localhost");
        let client = ControlClient::new(channel.connect_with_connector_lazy(connector));
        Self(client.max_decoding_message_size(dynomesh_proto::MAX_MESSAGE))
    }
}

/// An app as the sidecar knows it.
struct Seen {
    app: App,
    loads: Vec<DynoLoad>,
    /// Every worker has said what it holds, so the loads are right.
    ready: bool,
}

impl Seen {
    /// That a dyno is drained may have been said to nobody.
    fn drained(&self) -> Vec<String> {
        let is_drained = |dyno: &&dynomesh_proto::v1::Dyno| {
            let load = self.loads.iter().find(|load| load.name == dyno.name);
            dyno.state() == DynoState::Draining && load.is_none_or(|load| load.load == 0)
        };
        let dynos = self.app.dynos.iter().filter(is_drained);
        match self.ready {
            true => dynos.map(|dyno| dyno.instance.clone()).collect(),
            false => Vec::new(),
        }
    }
}

fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER);
    request
}

fn error(status: &Status) -> Error {
    let message = status.message().to_owned();
    match status.code() {
        Code::NotFound | Code::AlreadyExists | Code::Aborted => Error::Outdated(message),
        Code::InvalidArgument | Code::ResourceExhausted | Code::PermissionDenied => {
            Error::Refused(message)
        }
        _ => Error::Unreachable(format!("the sidecar is out of reach: {message}")),
    }
}

impl Mesh for Control {
    type Events = Streaming<dynomesh_proto::v1::Event>;

    /// Who was not answered looks before it says anything else.
    const LATE: Option<Duration> = None;

    async fn watch(&self) -> Result<Self::Events, Error> {
        let watched = self.0.clone().watch(WatchRequest::default()).await;
        Ok(watched.map_err(|status| error(&status))?.into_inner())
    }

    async fn tell(
        &self,
        app: &AppConfig,
        known: &mut Option<Told>,
        wanted: Told,
    ) -> Result<Vec<String>, Error> {
        let mut drained = Vec::new();
        if known.is_none() {
            let seen = self.app(&app.name).await?;
            let found = seen.as_ref().map(|seen| &seen.app);
            if let Some(change) = app_change(app, found) {
                self.apply(change).await?;
            }
            *known = Some(found.map(told).unwrap_or_default());
            drained = seen.map(|seen| seen.drained()).unwrap_or_default();
        }
        let dynos = known.get_or_insert_default();
        if let Some(change) = dynos_change(&app.name, dynos, &wanted) {
            self.apply(change).await?;
            *known = Some(wanted);
        }
        Ok(drained)
    }
}

impl Control {
    /// Makes a change.
    async fn apply(&self, change: Change) -> Result<(), Error> {
        let applied = self.0.clone().apply(limited(change)).await;
        applied.map(drop).map_err(|status| error(&status))
    }

    /// An app, if there is one of that name.
    async fn app(&self, name: &str) -> Result<Option<Seen>, Error> {
        let mut client = self.0.clone();
        let status = client.get_status(limited(GetStatusRequest {})).await;
        let ready = status.map_err(|status| error(&status))?.into_inner().ready;
        let app = GetAppRequest { app: name.into() };
        match client.get_app(limited(app)).await {
            Ok(found) => {
                let found = found.into_inner();
                let (app, loads) = (found.app.unwrap_or_default(), found.dynos);
                Ok(Some(Seen { app, loads, ready }))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(error(&status)),
        }
    }
}

impl Events for Streaming<dynomesh_proto::v1::Event> {
    async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let message = self.message().await.map_err(|status| error(&status))?;
            let event =
                message.ok_or_else(|| Error::Unreachable("the sidecar ended the watch".into()))?;
            // What changed is what this manager said, or none of its business.
            match event.kind {
                Some(Kind::NeedDyno(need)) => return Ok(Event::Need { app: need.app }),
                Some(Kind::Idle(idle)) => return Ok(Event::Idle { app: idle.app }),
                Some(Kind::Scale(hint)) => {
                    return Ok(Event::Scale {
                        app: hint.app,
                        wanted: hint.wanted,
                        waiting: hint.waiting > 0,
                    });
                }
                Some(Kind::Drained(dyno)) => {
                    let (app, instance) = (dyno.app, dyno.instance);
                    return Ok(Event::Drained { app, instance });
                }
                Some(Kind::Missed(_)) => return Ok(Event::Missed),
                Some(Kind::Changed(_) | Kind::Quarantined(_)) | None => {}
            }
        }
    }
}
