//! What the core says.

use std::{sync::Arc, time::Duration};

use crate::{AskId, DynoInfo, Refusal, SessionKey};

/// Something for the driver to pass on.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To the session that asked.
    Answer(Answer),
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
}
