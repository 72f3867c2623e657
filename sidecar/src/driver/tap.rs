//! Taps: operators look at requests as they end.
//!
//! The routers are told who looks at what, and tell of those requests alone. As long as
//! there is a tap, what the core chose between is noted for its app. Whoever looks too
//! slowly loses requests, and is told how many: no request waits for it.
mod choices;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use mesh::{AskId, SessionKey};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::{Driver, Reply, outbox::Outbox, state::State};
use crate::convert::{TapFilter, TappedRequest};
use choices::Choices;

pub use mesh::Choice;

/// Taps at once: each costs something for every request that ends.
const MOST: usize = 8;
/// Requests that a watcher may be behind.
const BACKLOG: usize = 4_096;

/// What routers are told.
#[derive(Clone, Debug, PartialEq)]
pub struct TapOrder {
    /// Which tap.
    pub number: u64,
    /// What is wanted; `None`: it is over.
    pub filter: Option<TapFilter>,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum TapNews {
    /// So many routers were told of the tap.
    Set(usize),
    /// A request.
    Request(Box<TappedRequest>),
    /// So many were left out.
    Lost(u64),
}

/// Why there is no tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// There is nothing to look at.
    #[error("there is no such app")]
    NoApp,
    /// There are as many as may be.
    #[error("{MOST} taps are open, and no more may be: end one of them")]
    TooMany,
}

/// Requests that a watcher did not get.
#[derive(Debug, Default)]
struct Losses {
    count: AtomicU64,
    more: Notify,
}

impl Losses {
    fn add(&self, count: u64) {
        self.count.fetch_add(count, Relaxed);
        self.more.notify_one();
    }
}

#[derive(Debug)]
struct Open {
    number: u64,
    filter: TapFilter,
    to: mpsc::Sender<Box<TappedRequest>>,
    lost: Arc<Losses>,
}

/// The taps that are open.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// There is one.
    on: AtomicBool,
    last: AtomicU64,
    /// Whoever has this takes no other lock.
    open: Mutex<Vec<Open>>,
    /// Likewise.
    choices: Mutex<Choices>,
}

impl Board {
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// The core answers an ask: what it chose between, if somebody looks.
    pub(super) fn note(&self, answer: &mesh::Answer, state: &State) {
        let Ok(route) = &answer.result else { return };
        let app = &*route.dyno.app;
        if self.open.lock().iter().any(|tap| tap.filter.app() == app)
            && let Some(choice) = state.mesh.choice(route)
        {
            let key = (answer.session, answer.ask);
            self.choices.lock().put(key, choice);
        }
    }

    /// What a router that comes is told.
    pub(super) fn orders(&self) -> Vec<Reply> {
        let open = self.open.lock();
        let orders = open.iter().map(|tap| TapOrder {
            number: tap.number,
            filter: Some(tap.filter.clone()),
        });
        orders.map(Reply::Tap).collect()
    }

    fn take(&self, session: SessionKey, requests: Vec<TappedRequest>, lost: u64) {
        let open = self.open.lock();
        for mut request in requests {
            let choice = self.choices.lock().take((session, AskId(request.ask())));
            if let Some(choice) = choice {
                request.set_choice(choice);
            }
            for tap in open
                .iter()
                .filter(|tap| request.taps().contains(&tap.number))
            {
                if tap.to.try_send(Box::new(request.clone())).is_err() {
                    tap.lost.add(1);
                }
            }
        }
        if lost > 0 {
            // Whose they were is not known any more.
            for tap in &*open {
                tap.lost.add(lost);
            }
        }
    }
}

/// An open tap. It ends when this is dropped.
#[derive(Debug)]
pub struct TapWatch {
    driver: Arc<Driver>,
    number: u64,
    routers: Option<usize>,
    from: mpsc::Receiver<Box<TappedRequest>>,
    lost: Arc<Losses>,
}

impl TapWatch {
    /// What comes next.
    pub async fn next(&mut self) -> Option<TapNews> {
        if let Some(routers) = self.routers.take() {
            return Some(TapNews::Set(routers));
        }
        loop {
            let lost = self.lost.count.swap(0, Relaxed);
            if lost > 0 {
                return Some(TapNews::Lost(lost));
            }
            tokio::select! {
                request = self.from.recv() => return request.map(TapNews::Request),
                () = self.lost.more.notified() => {}
            }
        }
    }
}

impl Drop for TapWatch {
    fn drop(&mut self) {
        let board = &self.driver.taps;
        let mut open = board.open.lock();
        open.retain(|tap| tap.number != self.number);
        let last = open.is_empty();
        board.on.store(!last, Relaxed);
        drop(open);
        if last {
            *board.choices.lock() = Choices::default();
        }
        let number = self.number;
        self.driver.tell_routers(&Reply::Tap(TapOrder {
            number,
            filter: None,
        }));
    }
}

impl Driver {
    /// Looks at requests from now on.
    ///
    /// # Errors
    /// Why not.
    pub fn tap(self: &Arc<Self>, filter: TapFilter) -> Result<TapWatch, TapError> {
        if self.act(None, |mesh, _| mesh.spec(filter.app()).is_none()) {
            return Err(TapError::NoApp);
        }
        let (to, from) = mpsc::channel(BACKLOG);
        let lost = Arc::new(Losses::default());
        let number = self.taps.last.fetch_add(1, Relaxed) + 1;
        let order = TapOrder {
            number,
            filter: Some(filter.clone()),
        };
        let mut open = self.taps.open.lock();
        if open.len() >= MOST {
            return Err(TapError::TooMany);
        }
        open.push(Open {
            number,
            filter,
            to,
            lost: lost.clone(),
        });
        self.taps.on.store(true, Relaxed);
        drop(open);
        // A router that comes meanwhile may hear of it twice.
        let routers = self.tell_routers(&Reply::Tap(order));
        Ok(TapWatch {
            driver: self.clone(),
            number,
            routers: Some(routers),
            from,
            lost,
        })
    }

    /// A router tells of requests.
    pub(super) fn take_tapped(&self, session: SessionKey, requests: Vec<TappedRequest>, lost: u64) {
        self.taps.take(session, requests, lost);
    }

    /// Says something to all. Returns how many there are.
    fn tell_routers(&self, reply: &Reply) -> usize {
        let outboxes: Vec<Arc<Outbox>> =
            self.act_on_state(None, |state, _| state.sessions.values().cloned().collect());
        for outbox in &outboxes {
            outbox.tell(reply.clone());
        }
        outboxes.len()
    }
}
