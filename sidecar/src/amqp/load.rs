//! Load: sidecars tell each other what requests they have.
//!
//! Over a connection of its own, so that a log that is far behind delays nothing,
//! and nothing here ends the log's session. What is lost is said again within
//! seconds, so nothing is confirmed, acknowledged or kept.
mod message;
mod pace;
mod session;
mod teller;

use std::sync::Arc;

use mesh::NodeId;
use tokio::time::sleep;

use super::{Options, backoff::Backoff, topology::Names};
use crate::driver::Driver;
use pace::Pace;
use session::Session;
use teller::Teller;

/// Tells others of the load of `driver`, which is that of `node`, and takes what
/// they tell. Returns when the driver stops.
pub async fn share_load(options: &Options, driver: &Arc<Driver>, node: NodeId) {
    let mut session = Session {
        options,
        driver,
        exchange: Names::new(&options.prefix).load,
        teller: Teller::new(node, &options.node, pace::epoch()),
        pace: Pace::new(),
        twin: false,
    };
    let mut backoff = Backoff::new();
    session.note(Some("not connected yet".into()));
    loop {
        let mut stopped = std::pin::pin!(driver.stopped());
        let was_shared = session.pace.messages();
        let Some(problem) = session.run(stopped.as_mut()).await else {
            return;
        };
        tracing::warn!(broker = options.address(), "load is not shared: {problem}");
        session.note(Some(problem.to_string().into()));
        if session.pace.messages() > was_shared {
            backoff.reset();
        }
        tokio::select! {
            () = sleep(backoff.next(rand::random())) => {}
            () = &mut stopped => return,
        }
    }
}
