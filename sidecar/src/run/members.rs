//! The thread that keeps this sidecar a member.

use std::{sync::Arc, thread::JoinHandle};

use anyhow::Context as _;
use members::Known;
use tokio::runtime::Builder;

use super::{
    log::{StopAtEnd, options},
    spawn,
};
use crate::{amqp, config::Config, driver::Driver};

/// Starts it, if this sidecar takes part. `port`: the one that peers come to; `known`: who
/// the others were.
pub(super) fn start(
    config: &Config,
    driver: &Arc<Driver>,
    port: Option<u16>,
    known: Known,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let (broker, address) = match (&config.broker, &config.peer_address, port) {
        (Some(broker), Some(address), Some(port)) => (broker, address.with(port)),
        (None, ..) => {
            driver.take_no_part("it is alone: there is no broker-url");
            return Ok(None);
        }
        _ => {
            driver.take_no_part("the others can't reach it: there is no peer-tcp");
            return Ok(None);
        }
    };
    driver.take_part(&config.node, &address, known);
    let options = options(broker, &config.node)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let driver = driver.clone();
    let keeping = move || {
        let stop = StopAtEnd(driver.clone());
        runtime.block_on(amqp::keep_membership(&options, &driver));
        drop(stop);
    };
    spawn("members", keeping).map(Some)
}
