//! After a restart: nobody is given a dyno before every worker known from before
//! has said what it holds. One that died meanwhile will never say it, so it is
//! looked for.

use std::{sync::Arc, time::Duration};

use mesh::WorkerId;

use super::{Driver, workers::name};

/// How often processes are looked for.
const EVERY: Duration = Duration::from_millis(50);

/// Watches the workers that are waited for; `is_alive` says whether one may
/// still come. Returns when nobody is waited for any more.
pub async fn watch_recovery<P>(
    driver: Arc<Driver>,
    mut missing: Vec<(WorkerId, P)>,
    is_alive: impl Fn(&P) -> bool,
) {
    while !missing.is_empty() && driver.is_recovering() {
        tokio::time::sleep(EVERY).await;
        missing.retain(|(worker, _)| !driver.has_worker(*worker));
        let gone = missing.extract_if(.., |(_, process)| !is_alive(process));
        for (worker, _) in gone.collect::<Vec<_>>() {
            tracing::info!(worker = name(worker), "a worker from before is gone");
            driver.give_up_worker(worker);
        }
    }
    for (worker, _) in missing {
        if driver.give_up_worker(worker) {
            tracing::warn!(worker = name(worker), "a worker from before did not report");
        }
    }
}

impl Driver {
    fn is_recovering(&self) -> bool {
        self.act(None, |mesh, _| mesh.is_recovering())
    }

    fn has_worker(&self, worker: WorkerId) -> bool {
        self.act_on_state(None, |state, _| state.workers.contains_key(&worker))
    }
}
