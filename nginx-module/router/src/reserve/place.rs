//! One name: what is reserved for it, and how much is wanted.

use std::{collections::VecDeque, mem, sync::Arc};

use super::{AHEAD, BUSY, FIRST, KEEP};
use crate::session::Millis;

/// What is on its way for a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// When it was made.
    pub(super) made: Millis,
    /// The number of the next one that is to come.
    pub(super) next: u64,
    /// How many, at most.
    pub(super) left: u32,
    /// Something came.
    pub(super) fruitful: bool,
}

/// The places of leases that lie about, in each queue in the order in which they came there.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// No request had them.
    new: VecDeque<AtHand>,
    /// Passed on.
    used: VecDeque<AtHand>,
}

#[derive(Debug)]
struct AtHand {
    lease: usize,
    /// When it is given back.
    until: Millis,
}

/// A lease that lay about for too long.
pub(super) struct Late {
    pub(super) lease: usize,
    /// No request had it.
    pub(super) is_new: bool,
}

impl Stock {
    pub(super) fn put_new(&mut self, lease: usize, until: Millis) {
        self.new.push_back(AtHand { lease, until });
    }

    pub(super) fn put_used(&mut self, lease: usize, until: Millis) {
        self.used.push_back(AtHand { lease, until });
    }

    /// The one for the next request. Of the one that was used last all is still in the
    /// processor's caches, and among the connections that Nginx keeps the first that it
    /// looks at is to its dyno.
    pub(super) fn take(&mut self, now: Millis) -> Option<usize> {
        let is_good = |it: &mut AtHand| now < it.until;
        let used = self.used.pop_back_if(is_good);
        let new = used.or_else(|| self.new.pop_front_if(is_good));
        let taken = new.or_else(|| self.new.pop_back_if(is_good));
        taken.map(|it| it.lease)
    }

    /// Takes out one that has been lying about for too long.
    pub(super) fn poll_late(&mut self, now: Millis) -> Option<Late> {
        let take = |queue: &mut VecDeque<AtHand>, is_new| {
            let late = queue.pop_front_if(|it| it.until <= now)?;
            let lease = late.lease;
            Some(Late { lease, is_new })
        };
        take(&mut self.used, false).or_else(|| take(&mut self.new, true))
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(usize) -> bool) {
        self.new.retain(|it| stays(it.lease));
        self.used.retain(|it| stays(it.lease));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.new.len() + self.used.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) name: Arc<str>,
    /// Counts the names that were here.
    pub(super) turn: u32,
    pub(super) stock: Stock,
    /// What comes in a few milliseconds, at most as many as requests are in flight: no more
    /// is ordered at once.
    pub(super) aim: u32,
    /// Its leases serve one request each.
    pub(super) once: bool,
    /// How many to order when there is none: more each time, and fewer after each that no
    /// request took.
    pub(super) step: u32,
    /// So many have served for long enough since the last order, and are to be replaced.
    pub(super) ended: u32,
    pub(super) order: Option<Order>,
    pub(super) paused_until: Millis,
    /// The millisecond of the last request, and requests in it.
    last: Millis,
    count: u32,
    /// Requests in a millisecond, before that one.
    rate: u32,
}

impl Place {
    /// Another name takes it.
    pub(super) fn become_of(&mut self, name: &Arc<str>) {
        *self = Self {
            name: name.clone(),
            turn: self.turn.wrapping_add(1),
            stock: mem::take(&mut self.stock),
            ..Self::default()
        };
    }

    /// A request comes.
    pub(super) fn note(&mut self, now: Millis) {
        if now == self.last {
            self.count += 1;
            return;
        }
        let since = now.saturating_sub(self.last);
        self.rate = self.count / u32::try_from(since).unwrap_or(u32::MAX);
        (self.last, self.count) = (now, 1);
    }

    pub(super) fn is_idle(&self, now: Millis) -> bool {
        self.stock.is_empty() && self.order.is_none() && now.saturating_sub(self.last) > KEEP
    }

    /// Many come, and the sidecar gives leases ahead.
    pub(super) fn is_busy(&self, now: Millis) -> bool {
        self.rate.max(self.count) >= BUSY && now >= self.paused_until
    }

    /// How many to reserve now, with so many at most. `found`: the request has one.
    pub(super) fn wanted(&mut self, found: bool, now: Millis, most: u32) -> u32 {
        let rate = self.rate.max(self.count);
        self.aim = (rate.saturating_mul(AHEAD)).min(most);
        if !self.is_busy(now) || self.order.is_some() {
            return 0;
        }
        let have = self.stock.len() as u32;
        if self.once {
            let low = have <= self.aim / 2;
            return if low {
                self.aim.saturating_sub(have)
            } else {
                0
            };
        }
        if !found {
            self.step = (self.step * 2).clamp(FIRST, self.aim.max(FIRST));
        }
        let short = match found && have > 0 {
            true => 0,
            false => self.step,
        };
        mem::take(&mut self.ended).max(short).min(self.aim)
    }
}
