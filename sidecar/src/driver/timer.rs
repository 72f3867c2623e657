//! The timer task.

use std::sync::Arc;

use super::Driver;

/// Tells the core when time has passed; returns when the driver is stopped.
pub async fn keep_time(driver: Arc<Driver>) {
    let mut stopped = std::pin::pin!(driver.stopped());
    loop {
        let next = driver.pass_time();
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(driver.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = driver.earlier.notified() => {}
            () = &mut stopped => return,
        }
    }
}
