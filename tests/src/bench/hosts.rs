//! Hosts that share one queue for each app: on each a sidecar that is a member, and a
//! router.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use dynomesh_proto::v1::{Exact, Policy, Settings};

use super::{
    Failure, changes, conf::Front, dynos::Dynos, members, nginx::Nginx, progress, sidecar::Sidecar,
    sidecar::router_socket,
};
use crate::harness::Broker;

/// They end when this is dropped.
pub(super) struct Hosts {
    pub(super) sidecars: Vec<Sidecar>,
    pub(super) routers: Vec<Nginx>,
    _broker: Broker,
}

impl Hosts {
    /// So many, in directories of this one. `log`: what routers note of a request.
    pub(super) async fn start(
        dir: &Path,
        count: usize,
        log: Option<&str>,
    ) -> Result<Self, Failure> {
        progress(&format!(
            "a broker, and {count} sidecars with a router each"
        ));
        let broker = Broker::start().await;
        let sidecars = members::start(dir, &broker.url(), count).await?;
        let mut routers = Vec::new();
        for at in 0..count {
            let (front, socket) = (front(dir, at), router_socket(&members::directory(dir, at)));
            let conf = |listen: &[SocketAddr]| Front::Mesh(&socket).text(&front, listen[0], log);
            routers.push(Nginx::start(&front, 1, conf).await?);
        }
        Ok(Self {
            sidecars,
            routers,
            _broker: broker,
        })
    }

    /// All of them know the app of this name, which has one queue for these dynos, each for
    /// one request at a time. Says its host.
    pub(super) async fn one_queue(&self, app: &str, dynos: &Dynos) -> Result<String, Failure> {
        let settings = Settings {
            exact: Exact::Strict.into(),
            ..changes::policy(Policy::IdleOnly, 1)
        };
        let change = changes::app(app, settings, &dynos.addresses("unix:"));
        self.sidecars[0].load(vec![change]).await?;
        self.until_known(1).await?;
        Ok(changes::host(app))
    }

    /// Where requests may be sent.
    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        self.routers
            .iter()
            .map(|router| router.addresses[0])
            .collect()
    }

    /// Waits until all of them know so many apps.
    pub(super) async fn until_known(&self, apps: usize) -> Result<(), Failure> {
        for sidecar in &self.sidecars {
            members::until_known(sidecar, apps as u64).await?;
        }
        Ok(())
    }
}

/// What a router has noted.
pub(super) fn log(dir: &Path, at: usize) -> PathBuf {
    front(dir, at).join("access.log")
}

fn front(dir: &Path, at: usize) -> PathBuf {
    members::directory(dir, at).join("front")
}
