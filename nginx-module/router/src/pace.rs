//! So many a second, and no more.

use crate::session::Millis;

/// What one costs who may have one a second, each millisecond.
const ONE: u64 = 1_000;

/// See the module's documentation. A second's worth may come at once.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u64,
    /// How many there may be now, in parts of [`ONE`].
    may_have: u64,
    at: Millis,
}

impl Pace {
    pub(crate) fn new(per_second: u32, now: Millis) -> Self {
        let per_second = per_second.into();
        Self {
            per_second,
            may_have: per_second * ONE,
            at: now,
        }
    }

    /// There may be one more: then it counts.
    pub(crate) fn may(&mut self, now: Millis) -> bool {
        let more = now.saturating_sub(self.at).saturating_mul(self.per_second);
        self.at = self.at.max(now);
        let most = self.per_second * ONE;
        self.may_have = self.may_have.saturating_add(more).min(most);
        match self.may_have.checked_sub(ONE) {
            Some(left) => {
                self.may_have = left;
                true
            }
            None => false,
        }
    }
}
