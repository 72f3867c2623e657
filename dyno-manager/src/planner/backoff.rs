//! How long an app that crashes is left alone.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use super::Time;

/// After the first crash; it doubles with each one in a row.
const FIRST: Duration = Duration::from_secs(1);
/// At most.
const LONGEST: Duration = Duration::from_secs(60);
/// A dyno that was up for so long has shown that the app works.
const PROVEN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Backoff {
    crashes: u32,
    until: Time,
    rng: SmallRng,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            crashes: 0,
            until: Time::ZERO,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Nothing is started before.
    pub(super) fn until(&self) -> Time {
        self.until
    }

    pub(super) fn state(&self) -> (u32, Time) {
        (self.crashes, self.until)
    }

    /// A dyno crashed, after so long a time up.
    pub(super) fn crashed(&mut self, up: Option<Duration>, now: Time) {
        if up.is_some_and(|up| up >= PROVEN) {
            self.crashes = 0;
        }
        // Several dynos of one app that die together are one crash.
        if self.until > now {
            return;
        }
        self.crashes = self.crashes.saturating_add(1);
        let factor = 1_u32 << (self.crashes - 1).min(6);
        // Apps that crashed together, of whatever it was, shall not come together.
        let jitter = self.rng.random_range(0.8..1.2);
        self.until = now + (FIRST * factor).min(LONGEST).mul_f64(jitter);
    }
}
