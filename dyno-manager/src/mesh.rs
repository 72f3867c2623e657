//! The mesh, as this program needs it: what it says, and what it is told. How that
//! travels is behind [`Mesh`]: [`control`] is a sidecar of this host, [`broker`] is
//! RabbitMQ alone.

pub(crate) mod broker;
pub(crate) mod control;

use std::time::Duration;

use crate::{app::Told, config::AppConfig};

/// What the mesh says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Need {
        app: String,
    },
    Scale {
        app: String,
        wanted: u32,
        waiting: bool,
    },
    Idle {
        app: String,
    },
    Drained {
        app: String,
        instance: String,
    },
    /// Some events were left out.
    Missed,
}

/// Why something could not be said or asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Unreachable(String),
    /// What is known of the app is not how it is.
    #[error("{0}")]
    Outdated(String),
    #[error("{0}")]
    Refused(String),
}

/// A way to the mesh.
pub(crate) trait Mesh: Clone + Send + Sync + 'static {
    type Events: Events;

    /// What was told over a link that broke may arrive until so long after there is
    /// another one, and is then the last word.
    const LATE: Option<Duration>;

    /// Everything said from now on, and first what still holds.
    fn watch(&self) -> impl Future<Output = Result<Self::Events, Error>> + Send;

    /// Makes the dynos of an app `wanted`. `told` is what they are, as far as is
    /// known; `None`: it is not, nor whether there is such an app. Returns the
    /// instances that have drained as it seems, which nobody may have said.
    fn tell(
        &self,
        app: &AppConfig,
        told: &mut Option<Told>,
        wanted: Told,
    ) -> impl Future<Output = Result<Vec<String>, Error>> + Send;
}

/// What the mesh says, until it is out of reach.
pub(crate) trait Events: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Result<Event, Error>> + Send;
}
