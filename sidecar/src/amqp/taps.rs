//! Requests of apps that want it, for whoever listens at the broker.
//!
//! Over a connection of its own, which is there only while some app wants it. Nothing
//! of this is kept or said again: what the broker does not take in time is lost, and it
//! is said how much that was.
mod message;
mod session;

use std::sync::Arc;

use tokio::time::sleep;

use super::{Options, backoff::Backoff, topology::Names};
use crate::driver::Driver;
use session::Session;

/// Publishes requests of `driver`, of the apps that want it. Returns when the driver
/// stops.
pub async fn tell_requests(options: &Options, driver: &Arc<Driver>) {
    let exchange = Names::new(&options.prefix).taps;
    let mut session = Session::new(options, driver, exchange);
    let mut backoff = Backoff::new();
    let mut stopped = std::pin::pin!(driver.stopped());
    loop {
        tokio::select! {
            () = driver.until_fed() => {}
            () = &mut stopped => return,
        }
        let before = session.confirmed();
        let ended = tokio::select! {
            ended = session.run() => ended,
            () = &mut stopped => return,
        };
        let Err(problem) = ended else { continue };
        tracing::warn!(
            broker = options.address(),
            "who listens to requests at the broker hears nothing: {problem}"
        );
        if session.confirmed() > before {
            backoff.reset();
        }
        tokio::select! {
            () = sleep(backoff.next(rand::random())) => {}
            () = &mut stopped => return,
        }
    }
}
