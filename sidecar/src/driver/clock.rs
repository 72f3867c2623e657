//! The clock: the only place that reads one for the core.

use std::time::{Duration, Instant};

use mesh::Time;

/// What the core's time is when the process starts. A request may have waited
/// elsewhere before, at most this long (`Ask.waited_ms`), and keeps its place
/// only if the moment of its arrival is one that the core can tell.
const START: Duration = Duration::from_millis(u32::MAX as u64);

/// Monotonic time since [`START`] before the process started.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// The process starts now.
    #[expect(
        clippy::new_without_default,
        reason = "starting a clock is no default value"
    )]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// The moment.
    pub fn now(self) -> Time {
        let since = START + self.up();
        Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Time since the start.
    pub fn up(self) -> Duration {
        self.0.elapsed()
    }

    /// A moment of the core as one to sleep until.
    pub(super) fn instant(self, at: Time) -> Instant {
        self.0 + Duration::from_micros(at.as_micros()).saturating_sub(START)
    }
}
