//! Waiting requests. Each app has one queue, in order of arrival.

use std::{collections::BTreeMap, num::NonZeroU32, ops::Bound, time::Duration};

use slab::Slab;

use crate::{AppKey, AskId, Prefer, SessionKey, Time};

/// A waiting request's place among all that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterKey(pub(crate) u32);

/// A request that wants a dyno.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) session: SessionKey,
    pub(crate) ask: AskId,
    pub(crate) app: AppKey,
    /// When it arrived, at whichever router.
    pub(crate) arrived: Time,
    /// Time since then that it was not in a queue.
    pub(crate) served: Duration,
    /// Its router had to hold it.
    pub(crate) held: bool,
    /// Instances that failed it.
    pub(crate) tried: Vec<Box<str>>,
    /// Which dyno it would rather have.
    pub(crate) prefer: Option<Prefer>,
    /// Which client it is from; 0: nobody says.
    pub(crate) client: u64,
    /// Its router would pass the lease on.
    pub(crate) passes_on: bool,
}

impl Request {
    /// Any dyno will do.
    pub(crate) fn takes_any(&self) -> bool {
        self.prefer.is_none() && self.tried.is_empty()
    }

    /// How long it has waited in queues, here and elsewhere.
    pub(crate) fn wait(&self, now: Time) -> Duration {
        now.since(self.arrived).saturating_sub(self.served)
    }
}

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) request: Request,
    /// When it gives up.
    pub(crate) deadline: Time,
    place: Place,
    /// The edition of its queue in which its router was told that it is next.
    named: Option<Edition>,
}

/// The waiters of all apps.
pub(crate) type Waiters = Slab<Waiter>;

/// Where in its queue a waiter stands: by arrival, those who arrived at the same
/// time in the order they joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    arrived: Time,
    joined: u64,
}

/// So many at most are named at once; more when half of them are served.
const NAMED: u32 = 16;

/// For how long what was said of a queue, and of its app's leases, holds: see `next.rs`.
/// Nobody waits so long that one comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edition(u32);

impl Edition {
    /// As it is told. Never zero.
    pub(crate) fn number(self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.0)
    }

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One app's queue.
///
/// A tree and not a list: a request that is asked again (another dyno failed it,
/// or its sidecar restarted) goes where it would have been, and after a restart
/// a whole queue does so in any order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BTreeMap<Place, WaiterKey>,
    joined: u64,
    edition: Edition,
    /// Named in this edition: the first so many, all of one session.
    named: u32,
}

impl Queue {
    pub(crate) fn len(&self) -> u32 {
        self.order.len() as u32
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn first(&self) -> Option<WaiterKey> {
        self.order.first_key_value().map(|(_, key)| *key)
    }

    /// Who stands behind `key`.
    pub(crate) fn after(&self, waiters: &Waiters, key: WaiterKey) -> Option<WaiterKey> {
        let place = waiters[key.0 as usize].place;
        let mut behind = self.order.range((Bound::Excluded(place), Bound::Unbounded));
        behind.next().map(|(_, key)| *key)
    }

    /// Everybody, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = WaiterKey> {
        self.order.values().copied()
    }

    /// Adds a waiter behind everybody who arrived before it or at the same time.
    pub(crate) fn insert(
        &mut self,
        waiters: &mut Waiters,
        request: Request,
        deadline: Time,
    ) -> WaiterKey {
        self.joined += 1;
        let place = Place {
            arrived: request.arrived,
            joined: self.joined,
        };
        let key = WaiterKey(waiters.insert(Waiter {
            request,
            deadline,
            place,
            named: None,
        }) as u32);
        self.order.insert(place, key);
        key
    }

    /// Whoever stands behind `key` was named, and should not have been.
    pub(crate) fn is_before_named(&self, waiters: &Waiters, key: WaiterKey) -> bool {
        let behind = (self.named > 0).then(|| self.after(waiters, key)).flatten();
        behind.is_some_and(|key| waiters[key.0 as usize].named == Some(self.edition))
    }

    /// So many are named.
    pub(crate) fn named(&self) -> u32 {
        self.named
    }

    pub(crate) fn remove(&mut self, waiters: &mut Waiters, key: WaiterKey) -> Waiter {
        let waiter = waiters.remove(key.0 as usize);
        self.order.remove(&waiter.place);
        self.named -= u32::from(waiter.named == Some(self.edition));
        waiter
    }

    pub(crate) fn edition(&self) -> Edition {
        self.edition
    }

    /// Nobody is next any more as far as was said.
    pub(crate) fn begin_edition(&mut self, edition: Edition) {
        self.edition = edition;
        self.named = 0;
    }

    /// Names the first of the queue, as long as one session has them and any dyno will do.
    /// Returns those that were not named before, in order.
    pub(crate) fn name(&mut self, waiters: &mut Waiters) -> Vec<WaiterKey> {
        let mut new = Vec::new();
        let Some(first) = self.first().filter(|_| self.named <= NAMED / 2) else {
            return new;
        };
        let session = waiters[first.0 as usize].request.session;
        for key in self.order.values().take(NAMED as usize) {
            let waiter = &mut waiters[key.0 as usize];
            if waiter.request.session != session || !waiter.request.takes_any() {
                break;
            }
            if waiter.named != Some(self.edition) {
                waiter.named = Some(self.edition);
                self.named += 1;
                new.push(*key);
            }
        }
        new
    }

    /// Those named are the first, of one session, and are counted.
    pub(crate) fn check_named(&self, waiters: &Waiters) -> Result<(), String> {
        let all = self.order.values().map(|key| &waiters[key.0 as usize]);
        let named = |waiter: &&Waiter| waiter.named == Some(self.edition);
        let first: Vec<_> = all.clone().take_while(named).collect();
        let sessions = first.iter().map(|waiter| waiter.request.session);
        let one = sessions.clone().min() == sessions.max();
        let count = all.filter(named).count();
        match one && first.len() == count && count == self.named as usize && count <= NAMED as usize
        {
            true => Ok(()),
            false => Err(format!("{count} are named, not {}", self.named)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WorkerId, session::Sessions};

    /// Adds a request that arrived at `millis`, named by its ask.
    fn join(queue: &mut Queue, waiters: &mut Waiters, ask: u64, millis: u64) -> WaiterKey {
        let request = Request {
            session: Sessions::default().open(WorkerId(1)),
            ask: AskId(ask),
            app: AppKey(0),
            arrived: Time::from_micros(millis * 1000),
            served: Duration::ZERO,
            held: false,
            tried: Vec::new(),
            prefer: None,
            client: 0,
            passes_on: false,
        };
        queue.insert(waiters, request, Time::ZERO)
    }

    fn asks(queue: &Queue, waiters: &Waiters) -> Vec<u64> {
        let by_steps: Vec<_> =
            std::iter::successors(queue.first(), |key| queue.after(waiters, *key)).collect();
        assert_eq!(by_steps, queue.iter().collect::<Vec<_>>());
        assert_eq!(queue.len() as usize, by_steps.len());
        by_steps
            .iter()
            .map(|key| waiters[key.0 as usize].request.ask.0)
            .collect()
    }

    #[test]
    fn keeps_the_order_of_arrival() {
        let (mut queue, mut waiters) = (Queue::default(), Waiters::new());
        for (ask, millis) in [(1, 10), (2, 20), (3, 10), (4, 5), (5, 20), (6, 15)] {
            join(&mut queue, &mut waiters, ask, millis);
        }
        assert_eq!(asks(&queue, &waiters), [4, 1, 3, 6, 2, 5]);
    }

    #[test]
    fn anybody_may_leave() {
        let (mut queue, mut waiters) = (Queue::default(), Waiters::new());
        let keys: Vec<_> = (0..4)
            .map(|i| join(&mut queue, &mut waiters, i, i))
            .collect();
        queue.remove(&mut waiters, keys[1]);
        assert_eq!(asks(&queue, &waiters), [0, 2, 3]);
        queue.remove(&mut waiters, keys[3]);
        queue.remove(&mut waiters, keys[0]);
        assert_eq!(asks(&queue, &waiters), [2]);
        // The place of one who left is used again, the order is not confused.
        join(&mut queue, &mut waiters, 9, 2);
        assert_eq!(asks(&queue, &waiters), [2, 9]);
        queue.remove(&mut waiters, keys[2]);
        assert_eq!(asks(&queue, &waiters), [9]);
        assert!(!queue.is_empty());
    }
}
