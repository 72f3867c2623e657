//! A router: one worker that has requests, and a connection most of the time.

use std::{collections::BTreeMap, time::Duration};

use mesh::{AskId, Time, WorkerId};

use crate::{ahead::Ahead, world::Event};

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
    pub(crate) ahead: Ahead,
    /// While it stands still: what it will find then.
    pub(crate) frozen: Option<Vec<Event>>,
    next_ask: u64,
}

impl Router {
    pub(crate) fn new(worker: u64) -> Self {
        let (requests, connection) = (BTreeMap::new(), None);
        Self {
            worker: WorkerId(worker),
            connection,
            requests,
            ahead: Ahead::default(),
            frozen: None,
            next_ask: 1,
        }
    }

    /// So many numbers that were never used.
    pub(crate) fn numbers(&mut self, count: u32) -> AskId {
        let first = AskId(self.next_ask);
        self.next_ask += u64::from(count);
        first
    }

    /// The connection is gone, and what was reserved over it.
    pub(crate) fn disconnect(&mut self) -> Option<u64> {
        self.ahead = Ahead::default();
        self.connection.take()
    }

    pub(crate) fn add(&mut self, request: Request) -> AskId {
        let ask = self.numbers(1);
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
