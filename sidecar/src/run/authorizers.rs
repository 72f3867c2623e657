//! The thread that asks authorizers, if there are any.

use std::{sync::Arc, thread::JoinHandle};

use anyhow::{Context as _, anyhow};
use tokio::runtime::Builder;

use super::spawn;
use crate::{
    config::{Authorizers, Config},
    driver::Driver,
    grpc::AuthorizerClients,
};

/// Starts it. It ends with the driver.
pub(super) fn start(
    config: &Config,
    driver: &Arc<Driver>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let authorizers = &config.authorizers;
    if authorizers.places.is_empty() {
        return Ok(None);
    }
    let tls = authorizers.load()?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let places = authorizers.places.iter().map(|(name, url)| {
        let tls = tls.clone().filter(|_| Authorizers::is_over_tls(url));
        (name.clone(), url.clone(), tls)
    });
    let clients = AuthorizerClients::new(runtime.handle().clone(), authorizers.within, places);
    let clients = clients.map_err(|why| anyhow!("authorizers: {why}"))?;
    driver.verifier().have_asked(Arc::new(clients));
    let driver = driver.clone();
    spawn("authorizers", move || {
        runtime.block_on(driver.stopped());
        // A name that is being looked up can take long, and nobody waits for it.
        runtime.shutdown_background();
    })
    .map(Some)
}
