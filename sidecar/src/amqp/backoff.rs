//! How long to wait before the next session.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles with each failure in a row, for ever.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self::up_to(LONGEST)
    }

    /// Never waits for longer than this.
    pub(super) fn up_to(longest: Duration) -> Self {
        let next = FIRST.min(longest);
        Self { next, longest }
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.longest);
    }

    /// The next wait. `chance`, from 0 to 1, spreads those who failed together.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let wait = self.next.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(self.longest);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_get_longer_and_stay_bounded() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.next(1.0), FIRST);
        assert_eq!(backoff.next(0.0), FIRST);
        for _ in 0..40 {
            assert!(backoff.next(1.0) <= LONGEST);
        }
        assert_eq!(backoff.next(0.0), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.next(1.0), FIRST);
    }
}
