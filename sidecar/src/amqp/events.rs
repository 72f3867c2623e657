//! Events for dyno managers that listen at the broker.
//!
//! Over a connection of its own: somebody's queue that is full or stuck must not
//! hold up the log. What was not confirmed is published again under its own id in
//! the next session, while it holds; what was lost with this process is said again
//! by those who say things again.
mod message;
mod session;

use std::sync::Arc;

use tokio::time::sleep;

use super::{Options, backoff::Backoff, topology::Names};
use crate::driver::Driver;
use session::Session;

/// Publishes the events of `driver` that are for it to tell. Returns when the
/// driver stops.
pub async fn announce_events(options: &Options, driver: &Arc<Driver>) {
    let exchange = Names::new(&options.prefix).events;
    let mut session = Session::new(options, driver, exchange);
    let mut backoff = Backoff::new();
    loop {
        let mut stopped = std::pin::pin!(driver.stopped());
        let before = session.confirmed();
        let Some(problem) = session.run(stopped.as_mut()).await else {
            return;
        };
        tracing::warn!(
            broker = options.address(),
            "managers at the broker hear nothing: {problem}"
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
