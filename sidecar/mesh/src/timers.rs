//! What shall happen when.

use std::collections::BTreeSet;

use crate::{AppKey, DynoKey, NodeId, RecallId, SessionKey, Time, queue::WaiterKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A waiting request gives up.
    Waiter(WaiterKey),
    /// A quarantine ends.
    Quarantine(DynoKey),
    /// A broken session's worker did not come back.
    Session(SessionKey),
    /// What a peer may hold, and has not spoken of for so long, is over.
    Doubts(SessionKey),
    /// Whoever has not answered by now has nothing to give back.
    Recall(RecallId),
    /// Another node was not heard for so long.
    Node(NodeId),
    /// Workers known from before had their time to report.
    Recovery,
    /// A shard may not be blocked any more.
    Term,
    /// What others hold of the shards of this epoch is over.
    Opening(u64),
    /// Whoever waits for an owner has waited long enough.
    Stall(AppKey),
    /// A look whether the app is idle.
    Idle(AppKey),
    /// A look whether somebody waits too long for a busy dyno of the app.
    Busy(AppKey),
    /// A window in which the app might have done with fewer dynos.
    Window(AppKey),
}

/// Timers in order of time. Everything set is removed or fires: there is never
/// more than one per waiter, dyno, recall, node and epoch, two per session, four per app.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Time, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn unset(&mut self, at: Time, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Moves a timer, or sets it first, or removes it.
    pub(crate) fn replace(&mut self, old: Option<Time>, new: Option<Time>, timer: Timer) {
        if let Some(at) = old {
            self.unset(at, timer);
        }
        if let Some(at) = new {
            self.set(at, timer);
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Time, Timer)> {
        self.0.iter().copied()
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let first = *self.0.first()?;
        if first.0 > now {
            return None;
        }
        self.0.remove(&first);
        Some(first.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn due_ones_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(at(30), Timer::Recovery);
        timers.set(at(10), Timer::Quarantine(DynoKey(1)));
        timers.set(at(20), Timer::Waiter(WaiterKey(7)));
        timers.set(at(20), Timer::Waiter(WaiterKey(3)));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(20))).collect();
        let waiter = |key| Timer::Waiter(WaiterKey(key));
        assert_eq!(due, [Timer::Quarantine(DynoKey(1)), waiter(3), waiter(7)]);
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn one_that_is_unset_does_not_fire() {
        let mut timers = Timers::default();
        timers.set(at(10), Timer::Recovery);
        timers.set(at(20), Timer::Recovery);
        timers.unset(at(10), Timer::Recovery);
        // Not set: no harm.
        timers.unset(at(11), Timer::Recovery);
        assert_eq!(
            timers.iter().collect::<Vec<_>>(),
            [(at(20), Timer::Recovery)]
        );
    }
}
