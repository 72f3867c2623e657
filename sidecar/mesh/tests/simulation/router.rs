//! A router: one worker that has requests, and a connection most of the time.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use mesh::{AskId, DynoInfo, Next, Time, WorkerId};

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
    /// The lease, and in which edition it may be handed on.
    pub(crate) lease: Option<(Arc<DynoInfo>, NonZeroU32)>,
    /// It was another one's: an answer that was on its way is for nobody.
    pub(crate) is_heir: bool,
}

pub(crate) struct Router {
    pub(crate) worker: WorkerId,
    /// `None` between two connections.
    pub(crate) connection: Option<u64>,
    pub(crate) requests: BTreeMap<AskId, Request>,
    pub(crate) ahead: Ahead,
    /// Those that are next.
    pub(crate) next: VecDeque<Next>,
    /// Of asks up to this one nothing is believed: it stood still since.
    pub(crate) doubtful: AskId,
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
            next: VecDeque::new(),
            doubtful: AskId(0),
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
        self.next.clear();
        for request in self.requests.values_mut() {
            request.lease = None;
        }
        self.connection.take()
    }

    /// Nothing is believed any more of those who asked until now.
    pub(crate) fn doubt(&mut self) {
        self.doubtful = AskId(self.next_ask - 1);
    }

    /// Who has the lease of this request that is done.
    pub(crate) fn heir(&mut self, done: &Request) -> Option<(AskId, Arc<DynoInfo>)> {
        let (dyno, edition) = done.lease.as_ref()?;
        let waits = |next: &Next| {
            let request = next.ask.and_then(|ask| self.requests.get(&ask));
            request.is_some_and(|request| request.dyno.is_none())
        };
        self.next.retain(waits);
        let fits = |next: &Next| next.app == dyno.app && next.edition == *edition;
        let at = self.next.iter().position(fits)?;
        // Nobody comes before one that is in doubt.
        let ask = self.next[at].ask.filter(|ask| *ask > self.doubtful)?;
        self.next.remove(at);
        if let Some(request) = self.requests.get_mut(&ask) {
            request.limited = true;
            request.is_heir = true;
            request.lease = done.lease.clone();
        }
        Some((ask, dyno.clone()))
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
