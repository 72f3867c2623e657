//! The process: what starts when, on which thread, and how it ends.
//!
//! Three threads, and up to five more. The main one serves the routers and keeps time:
//! nothing else is on it, so that nothing else delays an answer. A second one serves the
//! operators. The third one writes changes to disk. With a broker the fourth one
//! speaks with it, and where this sidecar is a member of several the fifth one does
//! nothing but say so. Other sidecars have one as well, if they may come, and so have
//! authorizers and the collector of traces, if there are any.
mod authorizers;
mod links;
mod log;
mod members;
mod peers;
mod plane;
mod signals;
mod sockets;
mod start;
mod traces;
mod watchdog;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use sd_notify::NotifyState;

use crate::{
    config::{Config, Secret},
    driver::{Clock, Driver, Writer, keep_time, watch_recovery},
    grpc::{ControlService, Identity, RouterService},
    store::WorkerProcess,
    web::{Guard, Site},
};
use plane::Plane;
use signals::Signals;
use sockets::Sockets;
use start::Started;

/// Sessions and calls under way have this long to end.
const END_WITHIN: Duration = Duration::from_millis(1_000);

/// Runs until a signal says stop.
///
/// # Errors
/// Why it could not start, or what failed.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let clock = Clock::new();
    start::raise_file_limit();
    let started = start::load(config, clock)?;
    let routers = Plane::new(&started.driver, config.pings)?;
    let operators = Plane::new(&started.driver, config.pings)?;
    // Before anybody can see that there is a process to be stopped.
    let signals = routers.within(Signals::take)?;
    let sockets = Sockets::bind(config)?;
    started.log(config, &sockets.to_string(), clock);

    let Started {
        driver,
        store,
        inbox,
        identity,
        awaited,
        workers,
        history,
        proposals,
        node_id,
        known,
        ..
    } = started;
    driver.verifier().allow(config.auth_threads);
    let authorizers = authorizers::start(config, &driver)?;
    let traces = traces::start(config, &driver)?;
    let log = log::start(config, &driver, proposals, history.position(), node_id)?;
    let members = members::start(config, &driver, sockets.peer_port(), known)?;
    let writer = Writer::new(driver.clone(), store, inbox, workers).following(history);
    let writer = spawn("store", move || drop(writer.run()))?;
    let Sockets {
        router,
        control,
        peer,
        web,
        files,
    } = sockets;
    let service = ControlService::new(driver.clone(), identity.clone());
    let site = site(config, &driver, &identity);
    operators.spawn(watch_recovery(
        driver.clone(),
        awaited,
        WorkerProcess::may_live,
    ));
    let operators = spawn("control", move || {
        operators.run(async |plane| {
            let web = plane.serve_web(site, web);
            plane.serve_operators(service, control, web).await
        })
    })?;
    let peers = links::start(config, &driver, peer, identity.epoch)?;

    let service = RouterService::new(driver.clone(), identity);
    routers.spawn(keep_time(driver.clone()));
    routers.spawn(stop_on(signals, driver.clone()));
    notify(NotifyState::Ready);
    if let Some(silence) = sd_notify::watchdog_enabled() {
        routers.spawn(watchdog::keep_saying(driver.clone(), silence));
    }
    let served = routers.run(async |plane| plane.serve_routers(service, router).await);
    // Also after an error: what can end in good order shall.
    let operators = operators.join();
    let log = log.map(std::thread::JoinHandle::join).transpose();
    let members = members.map(std::thread::JoinHandle::join).transpose();
    let peers = peers.map(std::thread::JoinHandle::join).transpose();
    let authorizers = authorizers.map(std::thread::JoinHandle::join).transpose();
    let traces = traces.map(std::thread::JoinHandle::join).transpose();
    routers.block_on(driver.changes().stop());
    let written = writer.join();
    drop(files);
    served?;
    operators.map_err(|_| anyhow!("the thread for operators panicked"))??;
    log.map_err(|_| anyhow!("the thread for the log panicked"))?;
    members.map_err(|_| anyhow!("the thread for members panicked"))?;
    let peers = peers.map_err(|_| anyhow!("the thread for other sidecars panicked"))?;
    peers.transpose()?;
    authorizers.map_err(|_| anyhow!("the thread for authorizers panicked"))?;
    traces.map_err(|_| anyhow!("the thread for traces panicked"))?;
    written.map_err(|_| anyhow!("the thread for the store panicked"))?;
    tracing::info!("stopped");
    Ok(())
}

/// What is shown over HTTP.
fn site(config: &Config, driver: &Arc<Driver>, identity: &Identity) -> Site {
    let web = config.web.as_ref();
    let token = web.and_then(|web| web.token.as_ref());
    if let Some(web) = web {
        driver.keep_tallies(web.apps);
    }
    Site {
        driver: driver.clone(),
        node: identity.node.clone(),
        guard: Guard::new(token.map(Secret::expose)),
    }
}

/// Waits for a signal, unless something else stops everything.
async fn stop_on(mut signals: Signals, driver: Arc<Driver>) {
    tokio::select! {
        () = signals.came() => {}
        () = driver.stopped() => {}
    }
    tracing::info!("stopping");
    notify(NotifyState::Stopping);
    // Routers are served meanwhile.
    tokio::select! {
        () = async {
            driver.leave().await;
            driver.until_told().await;
        } => {}
        () = driver.stopped() => {}
    }
    driver.stop();
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    let thread = thread::Builder::new().name(name.into());
    thread
        .spawn(body)
        .with_context(|| format!("cannot start the thread \"{name}\""))
}
