//! One router's session with the core.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use mesh::{Ask, AskId, Mesh, Outcome, RecallId, SessionKey, Time, WorkerId};

use super::{
    Driver,
    outbox::{Outbox, Own, Reply, Ruled},
    state::{Latest, WorkerName},
    tally::Tally,
};
use crate::{
    convert::{Tapped, Traced},
    store::WorkerProcess,
    verify::Asked,
};

/// Who comes, with what.
#[derive(Debug)]
pub struct Hello {
    /// The worker.
    pub worker: WorkerId,
    /// Counts the worker's links: a later hello has a higher number.
    pub link: u64,
    /// What it says of itself.
    pub name: WorkerName,
    /// What the kernel says of it.
    pub process: WorkerProcess,
    /// The leases that it holds.
    pub held: Vec<(AskId, Box<str>)>,
}

/// Why a session can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too many of them.
    #[error("{0}")]
    TooMany(String),
    /// The worker has come over a later link since: what it held on this one is
    /// not what it holds.
    #[error("hello.link is {0}, and the same worker has come over link {1} since")]
    Outdated(u64, u64),
    /// This process ends.
    #[error("meshd is stopping, come again")]
    Stopping,
}

/// Why a session is over before its router ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The same worker opened another one.
    #[error("the same worker opened another session")]
    Replaced,
    /// This process ends.
    #[error("meshd is stopping, come again")]
    Stopping,
    /// The router did not read its answers.
    #[error("too many answers were not read")]
    TooSlow,
}

/// An open session. Dropped without [`Session::close`] it is lost: the core
/// keeps its leases for a grace.
#[derive(Debug)]
pub struct Session {
    driver: Arc<Driver>,
    worker: WorkerId,
    key: SessionKey,
    /// What this session's own messages caused, before what is in the outbox.
    own: VecDeque<Reply>,
    outbox: Arc<Outbox>,
    closed: bool,
}

impl Session {
    /// A worker says hello. If it had a session, that one is over.
    ///
    /// # Errors
    /// Why it is turned away.
    pub fn open(driver: &Arc<Driver>, hello: Hello) -> Result<Self, OpenError> {
        let outbox = Arc::new(Outbox::default());
        let (worker, link, ours) = (hello.worker, hello.link, outbox.clone());
        let opened = driver.act_on_state(None, |state, now| {
            if state.stopping {
                return Err(OpenError::Stopping);
            }
            if let Some(latest) = state
                .workers
                .get(&worker)
                .filter(|latest| latest.link > link)
            {
                return Err(OpenError::Outdated(link, latest.link));
            }
            let key = state.mesh.hello(worker, hello.held, now);
            let key = key.map_err(|error| OpenError::TooMany(error.to_string()))?;
            let orders = driver.taps.orders(state.sessions.len() + 1);
            orders.into_iter().for_each(|order| ours.tell(order));
            state.sessions.insert(key, ours.clone());
            let tally = state.workers.get(&worker).map_or(0, |latest| latest.tally);
            let latest = Latest {
                key,
                link,
                tally,
                name: hello.name,
                process: hello.process,
            };
            let old = state.workers.insert(worker, latest);
            let old = old.and_then(|old| state.sessions.remove(&old.key));
            driver.traces.share(&state.sessions, Some(&ours));
            Ok((key, old))
        });
        let (key, old) = opened?;
        if let Some(old) = old {
            old.close(Closed::Replaced);
        }
        let driver = driver.clone();
        Ok(Self {
            driver,
            worker,
            key,
            own: VecDeque::new(),
            outbox,
            closed: false,
        })
    }

    /// A request wants a dyno. `false`: the number is in use.
    pub fn ask(&mut self, ask: Ask<'_>) -> bool {
        let key = self.key;
        self.act(|mesh, now| mesh.ask(key, ask, now))
    }

    /// A client left.
    pub fn cancel(&mut self, ask: AskId) {
        let key = self.key;
        self.act(|mesh, now| mesh.cancel(key, ask, now));
    }

    /// A lease ended.
    pub fn checkin(&mut self, ask: AskId, outcome: Outcome, before: u32) {
        let key = self.key;
        self.act(|mesh, now| {
            if before > 0 {
                mesh.served(key, ask, before);
            }
            mesh.checkin(key, ask, outcome, now);
        });
    }

    /// One ended, and a request that was next has it.
    pub fn hand_on(&mut self, ask: AskId, next: AskId, before: u32) {
        let key = self.key;
        self.act(|mesh, now| {
            if before > 0 {
                mesh.served(key, ask, before);
            }
            mesh.hand_on(key, ask, next, now);
        });
    }

    /// Leases for requests to come. `false`: a number is in use.
    pub fn reserve(&mut self, first: AskId, count: u32, name: &str) -> bool {
        let key = self.key;
        self.act(|mesh, _| mesh.reserve(key, first, count, name))
    }

    /// One request after the other has these leases.
    pub fn passed(&mut self, asks: impl IntoIterator<Item = AskId>) {
        let key = self.key;
        self.act(|mesh, _| asks.into_iter().for_each(|ask| mesh.passed(key, ask)));
    }

    /// Requests have these leases.
    pub fn taken(&mut self, asks: impl IntoIterator<Item = AskId>) {
        let key = self.key;
        self.act(|mesh, now| asks.into_iter().for_each(|ask| mesh.taken(key, ask, now)));
    }

    /// The rules for a name are wanted.
    pub fn rules(&mut self, name: &str) {
        let terms = self.act(|mesh, _| mesh.terms_for(name));
        let name = name.into();
        self.own.push_back(Reply::Rules(Ruled { name, terms }));
    }

    /// The pages of an app are wanted.
    pub fn pages(&mut self, app: &str) {
        let pages = self.act(|mesh, _| mesh.pages_of(app));
        self.own.push_back(Reply::Pages(app.into(), pages));
    }

    /// Credentials are to be looked at; the answer comes when it may.
    pub fn authenticate(&mut self, number: u64, asked: Asked) {
        let auth = self.act(|mesh, _| mesh.auth_of(&asked.app));
        let outbox = self.outbox.clone();
        let later = move |finding| outbox.tell(Reply::Authenticated(number, finding));
        let verifier = &self.driver.verifier;
        if let Some(now) = verifier.ask(asked, auth.unwrap_or_default(), later) {
            self.own.push_back(Reply::Authenticated(number, now));
        }
    }

    /// What was recalled is back.
    pub fn recalled(&mut self, recall: RecallId) {
        let key = self.key;
        self.act(|mesh, _| mesh.recalled(key, recall));
    }

    /// What became of requests.
    pub fn tally(&mut self, tally: Tally) {
        let number = tally.number;
        self.driver.take_tally(self.worker, tally);
        self.own.push_back(Reply::Told(number));
    }

    /// Requests that somebody looks at.
    pub fn tapped(&mut self, tapped: Tapped) {
        self.driver.take_tapped(self.key, tapped);
    }

    /// Requests that are traced.
    pub fn traced(&mut self, traced: Traced) {
        self.driver.take_traced(traced);
    }

    fn act<R>(&mut self, input: impl FnOnce(&mut Mesh, Time) -> R) -> R {
        let own = Own {
            key: self.key,
            queue: &mut self.own,
            outbox: &self.outbox,
        };
        self.driver.act(Some(own), input)
    }

    /// The next reply, in the order in which the core said them, or why the session is
    /// over.
    pub fn poll_reply(&mut self, cx: &Context<'_>) -> Poll<Result<Reply, Closed>> {
        if let Some(reply) = self.own.pop_front() {
            return Poll::Ready(Ok(reply));
        }
        self.outbox
            .take(cx.waker())
            .map_or(Poll::Pending, Poll::Ready)
    }

    /// Why the session is over, if it is.
    pub fn is_closed(&self) -> Option<Closed> {
        self.outbox.closed()
    }

    /// The router ended it: everything that it holds is released.
    pub fn close(mut self) {
        self.closed = true;
        self.driver.close_session(self.worker, self.key);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.closed {
            self.driver.lose_session(self.worker, self.key);
        }
    }
}
