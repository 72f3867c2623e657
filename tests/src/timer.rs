//! A sleep that is exact. The runtime's own is rounded up to a millisecond, which
//! is much of what a dyno works for a request.

use std::{io, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::readable::Readable;

/// A timer of the kernel.
#[derive(Debug)]
pub(crate) struct Timer(Readable);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(Readable::new(fd)?))
    }

    /// Waits this long; a time of zero would be for ever.
    pub(crate) async fn sleep(&self, duration: Duration) -> io::Result<()> {
        let duration = duration.max(Duration::from_nanos(1));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: duration.as_secs().try_into().map_err(io::Error::other)?,
                tv_nsec: duration.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.0.fd(), TimerfdTimerFlags::empty(), &once)?;
        let mut expirations = [0; 8];
        self.0.read(&mut expirations).await.map(drop)
    }
}
