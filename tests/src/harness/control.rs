//! The client of `Control`, with what tests say often in one word.

use std::{path::Path, time::Duration};

use dynomesh_proto::v1::{
    AppStatus, Applied, Change, CreateApp, Dyno, DynoState, Event, GetAppRequest, GetStatusRequest,
    NodesRequest, NodesResponse, Operation, PutDyno, SetDynoState, Settings, Status as MeshStatus,
    TapEvent, TapFilter, TapRequest, WatchRequest, control_client::ControlClient, event,
    operation::Kind,
};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

use super::wait;

/// Speaks to one sidecar, also after that was restarted.
#[derive(Debug, Clone)]
pub struct Control {
    client: ControlClient<Channel>,
}

impl Control {
    /// Connects when it is first used.
    pub(super) fn new(socket: &Path) -> Self {
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))
            .expect("a path makes an address")
            .timeout(Duration::from_secs(10));
        Self {
            client: ControlClient::new(endpoint.connect_lazy()),
        }
    }

    /// Looks at requests.
    pub async fn tap(&self, filter: TapFilter) -> Result<Streaming<TapEvent>, Status> {
        let filter = Some(filter);
        let stream = self.client.clone().tap(TapRequest { filter }).await?;
        Ok(stream.into_inner())
    }

    /// Makes a change, or says why not.
    pub async fn apply_change(&self, change: Change) -> Result<u64, Status> {
        let applied = self.client.clone().apply(change).await?;
        Ok(applied.into_inner().version)
    }

    /// Makes these changes, or has them queued.
    pub async fn queue(&self, changes: Vec<Change>) -> Vec<Applied> {
        let stream = futures_util::stream::iter(changes);
        let results = self.client.clone().queue(stream).await;
        let mut results = results.expect("the sidecar is there").into_inner();
        let mut all = Vec::new();
        while let Some(applied) = results.message().await.expect("the sidecar goes on") {
            all.push(applied);
        }
        all
    }

    /// Makes a change of one app, or says why not.
    pub async fn try_apply(&self, app: &str, kinds: Vec<Kind>) -> Result<u64, Status> {
        let change = Change {
            app: app.to_owned(),
            base_version: 0,
            operations: kinds
                .into_iter()
                .map(|kind| Operation { kind: Some(kind) })
                .collect(),
        };
        self.apply_change(change).await
    }

    /// Makes a change of one app.
    pub async fn apply(&self, app: &str, kinds: Vec<Kind>) -> u64 {
        self.try_apply(app, kinds)
            .await
            .unwrap_or_else(|error| panic!("change of {app}: {error}"))
    }

    /// Makes an app that answers to these names.
    pub async fn create_app(&self, app: &str, settings: Settings, domains: &[&str]) -> u64 {
        let create = Kind::CreateApp(CreateApp {
            settings: Some(settings),
        });
        let domains = domains
            .iter()
            .map(|domain| Kind::AddDomain((*domain).to_owned()));
        self.apply(app, std::iter::once(create).chain(domains).collect())
            .await
    }

    /// Adds a dyno that is up, as a new process.
    pub async fn add_dyno(&self, app: &str, name: &str, address: &str) -> u64 {
        let dyno = Dyno {
            name: name.to_owned(),
            address: address.to_owned(),
            state: DynoState::Up.into(),
            ..Dyno::default()
        };
        let put = PutDyno {
            dyno: Some(dyno),
            takeover: false,
        };
        self.apply(app, vec![Kind::PutDyno(put)]).await
    }

    /// Puts an app in maintenance.
    pub async fn set_maintenance(&self, app: &str) -> u64 {
        self.apply(app, vec![Kind::SetMaintenance(true)]).await
    }

    /// Says what became of a dyno.
    pub async fn set_state(&self, app: &str, dyno: &str, state: DynoState) -> u64 {
        let set = SetDynoState {
            dyno: dyno.to_owned(),
            state: state.into(),
        };
        self.apply(app, vec![Kind::SetDynoState(set)]).await
    }

    /// What an app is and does, or why nobody can say.
    pub async fn try_app(&self, app: &str) -> Result<AppStatus, Status> {
        let request = GetAppRequest {
            app: app.to_owned(),
        };
        Ok(self.client.clone().get_app(request).await?.into_inner())
    }

    /// What an app is and does.
    pub async fn app(&self, app: &str) -> AppStatus {
        self.try_app(app)
            .await
            .unwrap_or_else(|error| panic!("status of {app}: {error}"))
    }

    /// What the sidecar does, or why nobody can say.
    pub async fn try_status(&self) -> Result<MeshStatus, Status> {
        let status = self.client.clone().get_status(GetStatusRequest {}).await?;
        Ok(status.into_inner())
    }

    /// What the sidecar does.
    pub async fn status(&self) -> MeshStatus {
        self.try_status()
            .await
            .unwrap_or_else(|error| panic!("status of the sidecar: {error}"))
    }

    /// Which sidecars are members, or why nobody can say.
    pub async fn try_nodes(&self) -> Result<NodesResponse, Status> {
        let nodes = self.client.clone().nodes(NodesRequest {}).await?;
        Ok(nodes.into_inner())
    }

    /// Waits until the app is there, and as `check` wants it.
    pub async fn until_app(&self, app: &str, what: &str, check: impl Fn(&AppStatus) -> bool) {
        wait::until(&format!("{app}: {what}"), async || {
            self.try_app(app).await.is_ok_and(|status| check(&status))
        })
        .await;
    }

    /// Waits until so many requests of the app hold a dyno and wait.
    pub async fn until_load(&self, app: &str, in_flight: u32, waiting: u32) {
        let what = format!("{in_flight} in flight, {waiting} waiting");
        self.until_app(app, &what, |status| {
            status.in_flight == in_flight && status.waiting == waiting
        })
        .await;
    }

    /// Waits until no request of any app holds a dyno or waits.
    pub async fn until_idle(&self) {
        wait::until("no leases, nobody waiting", async || {
            let status = self.status().await;
            status.leases == 0 && status.waiting == 0
        })
        .await;
    }

    /// Every event of an app from now on.
    pub async fn watch(&self, app: &str) -> Events {
        let request = WatchRequest {
            app: app.to_owned(),
        };
        let stream = self.client.clone().watch(request).await;
        Events {
            stream: stream
                .unwrap_or_else(|error| panic!("watching {app}: {error}"))
                .into_inner(),
        }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    stream: Streaming<Event>,
}

impl Events {
    /// The next event that `pick` takes.
    pub async fn next<T>(&mut self, pick: impl Fn(event::Kind) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.stream.message().await.expect("the sidecar is there");
                let kind = event.expect("the sidecar goes on").kind;
                if let Some(found) = kind.and_then(&pick) {
                    return found;
                }
            }
        };
        tokio::time::timeout(wait::LIMIT, found)
            .await
            .expect("the event comes in time")
    }
}
