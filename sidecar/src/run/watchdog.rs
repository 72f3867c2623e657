//! A sidecar that stands still is worse than one that is gone: its routers wait for it,
//! and for what it decides so do all. So whoever started it may end it when it is
//! silent (systemd's `WatchdogSec=`), and it has to say that it is not.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::notify;
use crate::driver::Driver;

/// Says so in time, while routers are answered: on their thread, and only after the
/// core was free for a moment. `silence` is how long nothing may be heard.
pub(super) async fn keep_saying(driver: Arc<Driver>, silence: Duration) {
    // Twice, as systemd's manual advises, and once for what gets lost in waiting.
    let mut beat = interval((silence / 3).max(Duration::from_millis(1)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = driver.stopped() => return,
        }
        driver.touch();
        notify(NotifyState::Watchdog);
    }
}
