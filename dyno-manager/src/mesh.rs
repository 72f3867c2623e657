//! The sidecar, as this program needs it: what it says, and what it is told. How
//! that travels is behind [`Mesh`]; [`control`] is one way.

pub(crate) mod control;

use dynomesh_proto::v1::{App, Change, DynoLoad};

/// What the sidecar says.
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

/// An app as the sidecar knows it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) app: App,
    pub(crate) loads: Vec<DynoLoad>,
    /// Every worker has said what it holds, so the loads are right.
    pub(crate) ready: bool,
}

/// Why something could not be said or asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the sidecar is out of reach: {0}")]
    Unreachable(String),
    /// What is known of the app is not how it is.
    #[error("{0}")]
    Outdated(String),
    #[error("{0}")]
    Refused(String),
}

/// A sidecar.
pub(crate) trait Mesh: Clone + Send + Sync + 'static {
    type Events: Events;

    /// Everything said from now on, and first what still holds.
    fn watch(&self) -> impl Future<Output = Result<Self::Events, Error>> + Send;

    /// Makes a change.
    fn apply(&self, change: Change) -> impl Future<Output = Result<(), Error>> + Send;

    /// An app, if there is one of that name.
    fn app(&self, name: &str) -> impl Future<Output = Result<Option<Seen>, Error>> + Send;
}

/// What a sidecar says, until it is out of reach.
pub(crate) trait Events: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Result<Event, Error>> + Send;
}
