//! Taps: operators look at requests as they end.
//!
//! The routers are told who looks at what, and tell of those requests alone. As long as
//! there is a tap, what the core chose between is noted for its app. There are only so
//! many requests a second in a tap, and whoever looks too slowly loses some and is told
//! how many: no request waits for it.
mod choices;
mod feed;
mod pace;
mod watch;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use mesh::{AskId, SessionKey};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Driver, Reply, outbox::Outbox, state::State};
use crate::convert::{TapFilter, Tapped, TappedRequest};
use choices::Choices;
use pace::Pace;
use watch::Losses;

pub use feed::{TapFeed, Told};
pub use mesh::Choice;
pub use watch::TapWatch;

/// Taps of operators at once: each costs something for every request of its app.
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
    /// At most so many requests a second of each router.
    pub per_second: u32,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum TapNews {
    /// So many routers were told of the tap.
    Set(usize),
    /// A request.
    Request(Arc<TappedRequest>),
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

/// A tap, for people.
#[derive(Clone, Debug)]
pub struct TapView {
    /// What it looks at.
    pub filter: TapFilter,
    /// It is for the broker.
    pub is_fed: bool,
    /// Requests that it had, and that it did not get.
    pub seen: u64,
    /// Likewise.
    pub lost: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    filter: TapFilter,
    /// It is for the broker.
    is_fed: bool,
    to: mpsc::Sender<Arc<TappedRequest>>,
    losses: Arc<Losses>,
    /// How many choices are noted for it.
    pace: Pace,
    seen: u64,
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
        let (app, ask) = (&*route.dyno.app, answer.ask.0);
        // Of two that want it one is enough, and both are paced.
        let wants = |tap: &mut Open| tap.filter.samples(app, ask) && tap.pace.may();
        let wanted = self.open.lock().iter_mut().any(wants);
        if wanted && let Some(choice) = state.mesh.choice(route) {
            let key = (answer.session, answer.ask);
            self.choices.lock().put(key, choice);
        }
    }

    /// What a router that comes is told, among so many others.
    pub(super) fn orders(&self, routers: usize) -> Vec<Reply> {
        let open = self.open.lock();
        open.iter().map(|tap| order(tap, routers)).collect()
    }

    fn take(&self, session: SessionKey, tapped: Tapped) {
        let mut choices = self.choices.lock();
        let mut requests = tapped.requests;
        for request in &mut requests {
            if let Some(choice) = choices.take((session, AskId(request.ask()))) {
                request.set_choice(choice);
            }
        }
        drop(choices);
        let requests: Vec<_> = requests.into_iter().map(Arc::new).collect();
        let mut open = self.open.lock();
        for tap in &mut *open {
            let is_its = |request: &&Arc<TappedRequest>| request.taps().contains(&tap.number);
            for request in requests.iter().filter(is_its) {
                match tap.to.try_send(request.clone()) {
                    Ok(()) => tap.seen += 1,
                    Err(_) => tap.losses.add(1),
                }
            }
            let lost = tapped
                .losses
                .iter()
                .filter(|(number, _)| *number == tap.number);
            lost.for_each(|(_, count)| tap.losses.add(*count));
        }
    }
}

/// What routers are told, where there are so many.
fn order(tap: &Open, routers: usize) -> Reply {
    let routers = u32::try_from(routers).unwrap_or(u32::MAX);
    Reply::Tap(TapOrder {
        number: tap.number,
        filter: Some(tap.filter.clone()),
        per_second: tap.filter.per_second().div_ceil(routers.max(1)),
    })
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
        let opened = self.open_tap(filter, false, to);
        let (number, losses, routers) = opened.ok_or(TapError::TooMany)?;
        let tap = watch::Tap::new(self.clone(), number);
        Ok(TapWatch::new(tap, routers, from, losses))
    }

    /// Its number, what it will lose, and how many routers were told; `None`: there are
    /// as many as may be.
    fn open_tap(
        &self,
        filter: TapFilter,
        is_fed: bool,
        to: mpsc::Sender<Arc<TappedRequest>>,
    ) -> Option<(u64, Arc<Losses>, usize)> {
        let losses = Arc::new(Losses::default());
        let number = self.taps.last.fetch_add(1, Relaxed) + 1;
        let mut open = self.taps.open.lock();
        if !is_fed && open.iter().filter(|tap| !tap.is_fed).count() >= MOST {
            return None;
        }
        let pace = Pace::new(filter.per_second());
        let tap = Open {
            number,
            filter,
            is_fed,
            to,
            losses: losses.clone(),
            pace,
            seen: 0,
        };
        open.push(tap);
        self.taps.on.store(true, Relaxed);
        drop(open);
        // A router that comes meanwhile may hear of it twice.
        let routers = self.tell_routers(|routers| {
            let open = self.taps.open.lock();
            let tap = open.iter().find(|tap| tap.number == number);
            tap.map(|tap| order(tap, routers))
        });
        Some((number, losses, routers))
    }

    fn end_tap(&self, number: u64) {
        let board = &self.taps;
        let mut open = board.open.lock();
        open.retain(|tap| tap.number != number);
        let last = open.is_empty();
        board.on.store(!last, Relaxed);
        drop(open);
        if last {
            *board.choices.lock() = Choices::default();
        }
        let over = Reply::Tap(TapOrder {
            number,
            filter: None,
            per_second: 0,
        });
        self.tell_routers(|_| Some(over.clone()));
    }

    /// The taps that are open.
    pub fn taps(&self) -> Vec<TapView> {
        let open = self.taps.open.lock();
        let views = open.iter().map(|tap| TapView {
            filter: tap.filter.clone(),
            is_fed: tap.is_fed,
            seen: tap.seen,
            lost: tap.losses.ever(),
        });
        views.collect()
    }

    /// A router tells of requests.
    pub(super) fn take_tapped(&self, session: SessionKey, tapped: Tapped) {
        self.taps.take(session, tapped);
    }

    /// Says something to all. Returns how many there are.
    fn tell_routers(&self, what: impl Fn(usize) -> Option<Reply>) -> usize {
        let outboxes: Vec<Arc<Outbox>> =
            self.act_on_state(None, |state, _| state.sessions.values().cloned().collect());
        for outbox in &outboxes {
            if let Some(reply) = what(outboxes.len()) {
                outbox.tell(reply);
            }
        }
        outboxes.len()
    }
}
