//! A router: one worker that has requests, and a connection most of the time.

use std::{collections::BTreeMap, time::Duration};

use mesh::{AskId, Time, WorkerId};

/// A client's request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) arrived: Time,
    pub(crate) tried: Vec<Box<str>>,
    /// How long the dyno takes.
    pub(crate) service: Duration,
    /// The dyno that has it, `None` while it waits for one.
    pub(crate) dyno: Option<Box<str>>,
    /// The lease lasts until the dyno has finished.
    pub(crate) limited: bool,
}

pub(crate) struct Router {
    pub(crate) worker: WorkerId,
    /// `None` between two connections.
    pub(crate) connection: Option<u64>,
    pub(crate) requests: BTreeMap<AskId, Request>,
    next_ask: u64,
}

impl Router {
    pub(crate) fn new(worker: u64) -> Self {
        let (requests, connection) = (BTreeMap::new(), None);
        Self {
            worker: WorkerId(worker),
            connection,
            requests,
            next_ask: 1,
        }
    }

    pub(crate) fn add(&mut self, request: Request) -> AskId {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        self.requests.insert(ask, request);
        ask
    }

    pub(crate) fn held(&self) -> Vec<(AskId, Box<str>)> {
        let held = self.requests.iter();
        held.filter_map(|(ask, r)| r.dyno.clone().map(|dyno| (*ask, dyno)))
            .collect()
    }

    pub(crate) fn waiting(&self) -> Vec<AskId> {
        let waiting = self.requests.iter().filter(|(_, r)| r.dyno.is_none());
        waiting.map(|(ask, _)| *ask).collect()
    }
}
