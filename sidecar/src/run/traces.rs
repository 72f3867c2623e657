//! The thread that carries traces to their collector, if there is one.

use std::{sync::Arc, thread::JoinHandle};

use anyhow::{Context as _, anyhow};
use tokio::runtime::Builder;

use super::spawn;
use crate::{
    config::Config,
    driver::{Driver, TraceOrder},
    grpc::Collector,
};

/// Starts it, before any router comes. It ends with the driver.
pub(super) fn start(
    config: &Config,
    driver: &Arc<Driver>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(traces) = &config.traces else {
        return Ok(None);
    };
    let tls = traces.load()?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let collector = {
        let _entered = runtime.enter();
        Collector::new(&traces.url, tls, traces.headers.clone(), &config.node)
    };
    let collector = collector.map_err(|why| anyhow!("otlp-endpoint: {why}"))?;
    let order = TraceOrder {
        sample: traces.sample,
        per_second: traces.per_second,
    };
    let Some(from) = driver.trace(order) else {
        return Ok(None);
    };
    tracing::info!(to = traces.url, "requests are traced");
    let driver = driver.clone();
    spawn("traces", move || {
        runtime.block_on(collector.carry(driver, from));
        // A name that is being looked up can take long, and nobody waits for it.
        runtime.shutdown_background();
    })
    .map(Some)
}
