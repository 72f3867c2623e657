//! Session after session, for as long as the driver lives.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{interval, sleep};

use super::{
    Options, backoff::Backoff, publish::Publisher, session::Common, stumble::Stumble,
    topology::Names, waiting::Waiting,
};
use crate::{
    convert::Table,
    driver::{Driver, Position, Proposals, Standing, Sync},
};

/// How often it is looked at who has waited too long.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);

/// Keeps the table of `driver`, which is at `position` of its log, in step with
/// the broker's, which may begin with one that a peer has `offered`, and publishes what is proposed. Returns when the driver stops.
pub async fn serve(
    options: Options,
    driver: Arc<Driver>,
    mut proposals: Proposals,
    position: Option<Position>,
    offered: Option<(Position, Table)>,
) {
    let names = Names::new(&options.prefix);
    let waiting = Arc::new(Waiting::default());
    let mut publisher = Publisher::new(
        &options.node,
        names.clone(),
        driver.clone(),
        waiting.clone(),
    );
    let common = Common {
        options,
        names,
        driver: driver.clone(),
        waiting: waiting.clone(),
        position: Cell::new(position),
        left: Cell::new(None),
        vain: Cell::new(0),
        offered: Cell::new(offered),
        without_snapshot: Cell::new(false),
        stumble: Cell::new(Stumble::default()),
        started: Instant::now(),
        was_in_sync: Cell::new(false),
    };
    tokio::select! {
        () = keep(&common, &mut publisher, &mut proposals) => {}
        () = expire(&waiting) => {}
    }
}

async fn keep(common: &Common, publisher: &mut Publisher, proposals: &mut Proposals) {
    let mut backoff = Backoff::new();
    let mut stopped = std::pin::pin!(common.driver.stopped());
    loop {
        let problem = common.session(publisher, proposals, stopped.as_mut()).await;
        let Some(problem) = problem else {
            return;
        };
        let stumble = common.stumble.get();
        let here = common.position.get();
        common
            .stumble
            .set(stumble.ended(here, problem.is_unreadable));
        tracing::warn!(broker = common.options.address(), "no route log: {problem}");
        proposals.set(Standing {
            sync: Sync::Away,
            problem: problem.to_string().into(),
        });
        proposals.turn_away(common.driver.changes()).await;
        common.driver.tell_here();
        if common.was_in_sync.take() {
            backoff.reset();
        }
        tokio::select! {
            () = sleep(backoff.next(rand::random())) => {}
            () = &mut stopped => return,
        }
    }
}

async fn expire(waiting: &Waiting) {
    let mut looks = interval(EXPIRE_EVERY);
    loop {
        looks.tick().await;
        waiting.expire();
    }
}
