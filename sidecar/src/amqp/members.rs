//! Members: sidecars say in one stream that they are there, and read what all say.
//!
//! Over a connection and on a thread of its own, so that nothing delays it: who is not
//! heard for long is out. What is written may be lost, and is neither confirmed nor
//! written again. What is read must be whole: the stream is resumed *at* the last
//! entry, and where that is not there, or something is missing behind it, this sidecar
//! joins anew.
mod message;
mod session;
mod trail;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Options, backoff::Backoff, topology::Names};
use crate::driver::Driver;
use session::Session;

/// A member is not away for longer than it has to be, and they all come back at nearly the
/// same time, before one takes the others for dead.
const LONGEST: Duration = Duration::from_millis(250);

/// Keeps the membership of `driver` up to date. Returns when the driver stops.
pub async fn keep_membership(options: &Options, driver: &Arc<Driver>) {
    let mut session = Session::new(options, driver, Names::new(&options.prefix).members);
    let mut backoff = Backoff::up_to(LONGEST);
    let mut told = String::new();
    loop {
        let mut stopped = std::pin::pin!(driver.stopped());
        let was_read = session.entries();
        let Some(problem) = session.run(stopped.as_mut()).await else {
            return;
        };
        let problem = problem.to_string();
        if session.entries() > was_read {
            backoff.reset();
            told.clear();
        }
        // It is tried again often.
        if told != problem {
            tracing::warn!(
                broker = options.address(),
                "cut off from the members: {problem}"
            );
            told.clone_from(&problem);
        }
        driver.set_members_problem(Some(problem.into()));
        tokio::select! {
            () = sleep(backoff.next(rand::random())) => {}
            () = &mut stopped => return,
        }
    }
}
