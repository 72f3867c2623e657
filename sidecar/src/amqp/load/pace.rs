//! When to tell others. Pure but for [`epoch`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Changes are told after this at the soonest: what comes in between is one message.
const SHORTEST: Duration = Duration::from_millis(5);
/// Who has nothing to say says so this often: a node is given up after three times
/// as long ([`mesh::Limits::node_patience`]), so nobody may be slower.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Messages that the broker shall deliver in a second, for all nodes together: each
/// one goes to all of them.
const DELIVERIES: usize = 20_000;
/// Everything is said again after one to two of these.
const WHOLE_EVERY: Duration = Duration::from_secs(1);
/// Who is new is told everything within this: not by all at once.
const NEWCOMER_WITHIN: Duration = Duration::from_millis(100);

/// The start of this process as a number that grows from start to start. Where the
/// clock was set back, others wait until they have forgotten this node.
pub(super) fn epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// What is due when.
#[derive(Debug)]
pub(super) struct Pace {
    /// Others.
    nodes: usize,
    last: Instant,
    whole: Instant,
    is_untold: bool,
    messages: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            nodes: 0,
            last: now,
            whole: now,
            is_untold: false,
            messages: 0,
        }
    }

    /// Shortest time between two messages: longer with more nodes, so that all
    /// together are not too many.
    pub(super) fn interval(&self) -> Duration {
        let all = self.nodes + 1;
        let seconds = (all * all) as f64 / DELIVERIES as f64;
        Duration::from_secs_f64(seconds).clamp(SHORTEST, HEARTBEAT)
    }

    /// Times that something was told.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// There is something to tell.
    pub(super) fn untold(&mut self) {
        self.is_untold = true;
    }

    /// Everything is to be told now.
    pub(super) fn whole_now(&mut self, now: Instant) {
        self.whole = now;
    }

    /// When to tell something.
    pub(super) fn due(&self) -> Instant {
        let next = match self.is_untold {
            true => self.interval(),
            false => HEARTBEAT,
        };
        (self.last + next).min(self.whole.max(self.last + self.interval()))
    }

    /// What is told now shall be everything.
    pub(super) fn is_whole_due(&self, now: Instant) -> bool {
        self.whole <= now
    }

    /// So many others are there now. `chance` is from 0 to 1.
    pub(super) fn heard(&mut self, nodes: usize, now: Instant, chance: f64) {
        if nodes > self.nodes {
            let soon = now + NEWCOMER_WITHIN.mul_f64(chance);
            self.whole = self.whole.min(soon);
        }
        self.nodes = nodes;
    }

    /// Something was told, to so many others, in so many messages. `chance`, from
    /// 0 to 1, spreads the times when all tell everything.
    pub(super) fn told(&mut self, now: Instant, nodes: usize, parts: usize, chance: f64) {
        if self.is_whole_due(now) {
            // What is long is said less often where many hear it.
            let size = ((nodes + 1) * parts) as f64 / 100.0;
            self.whole = now + WHOLE_EVERY.mul_f64((1.0 + chance) * size.max(1.0));
        }
        self.nodes = nodes;
        self.last = now;
        self.is_untold = false;
        self.messages += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(span: u64) -> Duration {
        Duration::from_millis(span)
    }

    #[test]
    fn the_interval_grows_with_the_nodes_and_stays_below_the_heartbeat() {
        let with = |nodes| {
            let mut pace = Pace::new();
            pace.heard(nodes, Instant::now(), 0.0);
            pace.interval()
        };
        assert_eq!([0, 2, 9].map(with), [SHORTEST; 3]);
        assert_eq!(with(19), ms(20));
        assert_eq!(with(255), HEARTBEAT);
        // Three of them are missed before a node is given up, after 2 s at most.
        assert_eq!(HEARTBEAT * 3, mesh::Limits::default().node_patience);
    }

    #[test]
    fn changes_are_told_soon_and_silence_is_broken() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.told(start, 2, 1, 0.5);
        assert_eq!(pace.due(), start + HEARTBEAT);
        pace.untold();
        assert_eq!(pace.due(), start + SHORTEST);
        assert!(!pace.is_whole_due(start + ms(1_400)));
        assert!(pace.is_whole_due(start + ms(1_500)));
        pace.told(start + ms(1_400), 2, 1, 0.5);
        assert_eq!(pace.due(), start + ms(1_500));
    }

    #[test]
    fn a_newcomer_is_told_everything_soon() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.told(start, 0, 1, 1.0);
        pace.heard(1, start + ms(200), 0.5);
        assert_eq!(pace.due(), start + ms(250));
        assert!(pace.is_whole_due(start + ms(250)));
        // Not before its turn.
        pace.told(start + ms(249), 1, 1, 0.0);
        assert_eq!(pace.due(), start + ms(254));
    }

    #[test]
    fn much_is_not_said_often_to_many() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.told(start, 99, 2, 0.0);
        assert!(!pace.is_whole_due(start + ms(1_999)));
        assert!(pace.is_whole_due(start + ms(2_000)));
    }
}
