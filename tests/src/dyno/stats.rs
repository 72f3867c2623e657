//! The dyno's own books.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use slab::Slab;

use crate::wire::Head;

/// Requests with this header are noted one by one.
pub const ID_HEADER: &str = "x-test-id";

/// Requests are noted up to this many.
const MAX_SEEN: usize = 100_000;

/// What a dyno was given since its start or its last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Requests in progress: from the moment that their head was read until just
    /// before the last byte of the response is written.
    pub now: u32,
    /// Most requests in progress at once.
    pub max: u32,
    /// Requests that began.
    pub total: u64,
    /// Requests that began while as many as the limit were in progress.
    pub double_bookings: u64,
    /// The first of these, behind those that were in progress.
    pub together: Vec<Seen>,
    /// Requests with an `X-Test-Id`, as they began.
    pub seen: Vec<Seen>,
    /// Its address is free.
    pub left: bool,
}

/// A request, as it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its `X-Test-Id`.
    pub id: String,
    /// When it began, on the clock that all processes of the host share.
    pub at: Duration,
}

/// The books, shared by all connections.
#[derive(Debug, Clone)]
pub struct Stats {
    limit: u32,
    figures: Arc<Mutex<Figures>>,
    /// Those in progress whose head is known.
    under_way: Arc<Mutex<Slab<Seen>>>,
}

impl Stats {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: limit.max(1),
            figures: Arc::default(),
            under_way: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        // The figures are plain numbers: right also after a panic elsewhere.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// How many requests began.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Forgets everything, except what is in progress.
    pub fn reset(&self) {
        let mut figures = self.lock();
        *figures = Figures {
            now: figures.now,
            max: figures.now,
            left: figures.left,
            ..Figures::default()
        };
    }

    pub(super) fn leave(&self) {
        self.lock().left = true;
    }

    /// A request's head was read.
    #[must_use]
    pub fn begin(&self, head: &Head) -> Visit {
        let id = head.header(ID_HEADER);
        let mut visit = self.begin_id(id);
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        visit.place = Some(under_way.insert(Seen {
            id: id.unwrap_or_default().to_owned(),
            at: now(),
        }));
        let mut figures = self.lock();
        if figures.double_bookings > 0 && figures.together.is_empty() {
            figures.together = under_way.iter().map(|(_, seen)| seen.clone()).collect();
        }
        drop(figures);
        drop(under_way);
        visit
    }

    /// The same, when the id is known.
    #[must_use]
    pub fn begin_id(&self, id: Option<&str>) -> Visit {
        let mut figures = self.lock();
        if figures.now >= self.limit {
            figures.double_bookings += 1;
        }
        figures.now += 1;
        figures.max = figures.max.max(figures.now);
        figures.total += 1;
        if let Some(id) = id
            && figures.seen.len() < MAX_SEEN
        {
            figures.seen.push(Seen {
                id: id.to_owned(),
                at: now(),
            });
        }
        drop(figures);
        Visit {
            stats: Some(self.clone()),
            place: None,
        }
    }
}

fn now() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(
        at.tv_sec.unsigned_abs(),
        u32::try_from(at.tv_nsec).unwrap_or(0),
    )
}

/// A request in progress. Ends once: by [`Visit::end`] or when it is dropped.
#[derive(Debug)]
pub struct Visit {
    stats: Option<Stats>,
    /// Among those whose head is known.
    place: Option<usize>,
}

impl Visit {
    /// The handler has finished.
    pub fn end(&mut self) {
        if let Some(stats) = self.stats.take() {
            if let Some(place) = self.place {
                let mut under_way = stats
                    .under_way
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                under_way.remove(place);
            }
            stats.lock().now -= 1;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.end();
    }
}
