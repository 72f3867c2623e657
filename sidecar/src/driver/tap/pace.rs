//! So many a second, and no more.

use std::time::Instant;

/// See the module's documentation. A second's worth may come at once.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    may_have: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            may_have: per_second,
            at: Instant::now(),
        }
    }

    /// There may be one more: then it counts.
    pub(super) fn may(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.may_have = (self.may_have + more).min(self.per_second);
        let may = self.may_have >= 1.0;
        if may {
            self.may_have -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_and_then_as_time_goes_by() {
        let mut pace = Pace::new(1_000);
        let began = Instant::now();
        let had = (0..100_000).filter(|_| pace.may()).count();
        let most = 1_001.0 + began.elapsed().as_secs_f64() * 1_000.0;
        assert!(had >= 1_000 && had as f64 <= most, "{had} of {most}");
    }
}
