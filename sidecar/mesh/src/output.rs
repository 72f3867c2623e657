//! What the core says.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crate::{AskId, DynoInfo, Next, PeerId, RecallId, Refusal, SessionKey, ToPeer};

/// Something for the driver to pass on.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To the session that asked.
    Answer(Answer),
    /// To the session that reserved.
    Reserved(Reserved),
    /// To a session with a request that waits.
    Next(Next),
    /// To a session that has something reserved, or somebody who is next.
    Recall(Recall),
    /// To whoever waits for it: everybody has answered.
    Recalled(RecallId),
    /// To another sidecar, over the link that was last said to be up.
    ToPeer(PeerId, ToPeer),
    /// To whoever watches.
    Event(Event),
}

/// The one answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Who asked.
    pub session: SessionKey,
    /// Which ask.
    pub ask: AskId,
    /// Of a refusal the app, if the name is known. (A dyno has one.)
    pub app: Option<Arc<str>>,
    /// Time in the queue.
    pub wait: Duration,
    /// Requests still waiting for the app.
    pub depth: u32,
    /// Dynos of the app that have a request, this one included.
    pub in_use: u32,
    /// The app wants its clients to see these figures.
    pub queue_headers: bool,
    /// A dyno, or why not.
    pub result: Result<Route, Refusal>,
}

/// A lease was granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The dyno to use.
    pub dyno: Arc<DynoInfo>,
    /// It has a limit, so the lease must outlast a client that leaves.
    pub limited: bool,
    /// Dynos that could have the request instead, now or soon.
    pub others: u32,
    /// The app has a limit on requests: somebody may be refused for this one.
    pub counted: bool,
    /// Another dyno was preferred, and is gone or has failed the request.
    pub gone: bool,
    /// For so long the lease may serve one request after the other; zero: it is for this
    /// one.
    pub again: Duration,
    /// The lease may be handed on to whoever is next in this edition ([`Next`]).
    pub edition: Option<NonZeroU32>,
}

/// Leases for requests that are still to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserved {
    /// Who reserved.
    pub session: SessionKey,
    /// The name of the first; the others follow.
    pub first: AskId,
    /// Whose they are, in the order in which they are to be used.
    pub dynos: Vec<Arc<DynoInfo>>,
    /// As in [`Answer`].
    pub in_use: u32,
    /// As in [`Route`].
    pub others: u32,
    /// As in [`Answer`].
    pub queue_headers: bool,
    /// As in [`Route`].
    pub limited: bool,
    /// For so long each may serve one request after the other; zero: it is for one.
    pub again: Duration,
}

/// What is reserved of these apps is not to be used any more, but to be cancelled, and nobody
/// who waits for one is next any more, as far as was said before.
/// [`crate::Mesh::recalled`] says that it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Recall {
    /// Who shall.
    pub session: SessionKey,
    /// Names it.
    pub recall: RecallId,
    /// Which apps.
    pub apps: Arc<[Arc<str>]>,
    /// The rules for these names are not known any more; behind `*.` that is all
    /// names below one.
    pub names: Arc<[Box<str>]>,
    /// Some app has rules.
    pub ruled: bool,
    /// The pages of `apps` are not known any more.
    pub pages: bool,
    /// Some app has pages.
    pub paged: bool,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The dyno served the request.
    Done,
    /// It refused the connection.
    Refused,
    /// It did not accept the connection in time.
    ConnectTimeout,
    /// It broke off, or gave no proper response.
    Failed,
    /// Nothing was sent to it.
    Unused,
}

/// How many dynos an app wants, and why. See [`crate::SCALE_WINDOW`] and its
/// neighbours for how it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleHint {
    /// The app.
    pub app: Arc<str>,
    /// Requests waiting.
    pub waiting: u32,
    /// How long the first one has waited.
    pub oldest_wait: Duration,
    /// Leases out.
    pub in_flight: u32,
    /// Dynos that are up or starting.
    pub dynos: u32,
    /// Dynos that would do.
    pub wanted: u32,
}

/// What watchers and dyno managers want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Requests wait for an app that has no dyno. Once an episode, which ends
    /// when a dyno is starting or up, or nobody waits any more: a start that comes
    /// to nothing is asked for again.
    NeedDyno {
        /// The app.
        app: Arc<str>,
        /// Requests waiting as it is said.
        waiting: u32,
    },
    /// A draining dyno has given back its last lease.
    Drained(Arc<DynoInfo>),
    /// A dyno was put in quarantine for so long.
    Quarantined(Arc<DynoInfo>, Duration),
    /// An app with a dyno that is up or starting has had no request in flight and
    /// none waiting for its `idle_timeout`. Once an episode, which ends with the
    /// next request.
    Idle {
        /// The app.
        app: Arc<str>,
    },
    /// A hint how many dynos an app wants.
    Scale(ScaleHint),
}
