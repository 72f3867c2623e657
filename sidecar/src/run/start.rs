//! From the disk copy to a driver.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt as _, sync::Arc};

use anyhow::Context as _;
use members::Known;
use mesh::{Mesh, PeerId, Update, WorkerId};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rand::random;

use crate::{
    config::Config,
    driver::{Changes, Clock, Driver, History, Inbox, Proposals, Workers},
    grpc::Identity,
    panics,
    store::{Store, WorkerProcess, Write},
};

/// What there is after loading.
pub(super) struct Started {
    pub(super) driver: Arc<Driver>,
    pub(super) store: Store,
    pub(super) inbox: Inbox,
    pub(super) identity: Identity,
    /// Workers from before that may still hold leases.
    pub(super) awaited: Vec<(WorkerId, WorkerProcess)>,
    /// All that are on disk.
    pub(super) workers: Workers,
    /// How far the table is along the log that makes it.
    pub(super) history: History,
    /// What callers want in the log, if there is one.
    pub(super) proposals: Option<Proposals>,
    pub(super) node_id: u64,
    /// The other members, as they were known last.
    pub(super) known: Known,
}

/// Each worker is an open file; the usual soft limit of 1,024 is for programs
/// that use `select`.
pub(super) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit on open files: {error}");
    }
}

pub(super) fn load(config: &Config, clock: Clock) -> anyhow::Result<Started> {
    if let Some(directory) = &config.own_directory {
        let mut builder = DirBuilder::new();
        // The sockets in it say who may connect.
        let made = builder.recursive(true).mode(0o755).create(directory);
        made.with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let mut store = Store::open(&config.data_dir)?;
    let mut mesh = Mesh::new(config.limits.clone(), random());
    let loaded = store.load(|spec| {
        panics::in_core(|| _ = mesh.apply(&Update::Put(spec), clock.now()));
    })?;
    // Those that died with the machine, or since, hold nothing.
    let (awaited, gone): (Vec<_>, Vec<_>) = loaded
        .workers
        .into_iter()
        .partition(|(_, process)| process.may_live());
    let known: Vec<_> = awaited.iter().map(|(worker, _)| *worker).collect();
    mesh.recover(known, clock.now() + config.limits.recovery);
    if config.broker.is_some() {
        mesh.share_load();
        mesh.share_apps(PeerId::of(&config.node));
    }

    let (changes, inbox, proposals) = match &config.broker {
        Some(_) => {
            let (changes, inbox, proposals) = Changes::by_log(loaded.position, loaded.queued);
            (changes, inbox, Some(proposals))
        }
        None => {
            if !loaded.queued.is_empty() {
                let queued = loaded.queued.len();
                tracing::warn!(
                    queued,
                    "changes are queued for a route log, and there is no broker-url"
                );
            }
            let (changes, inbox) = Changes::new();
            (changes, inbox, None)
        }
    };
    if config.broker.is_none() && loaded.position.is_some() {
        // From now on it is not what the log says.
        store.commit(&[Write::Log(None)])?;
    }
    let history = History::new(loaded.position, loaded.seen);
    for (worker, _) in &gone {
        changes.forget(*worker);
    }
    let driver = Driver::new(mesh, config.limits.clone(), clock, changes);
    let identity = Identity {
        node: config.node.as_str().into(),
        epoch: random(),
    };
    let workers = awaited.iter().chain(&gone).copied().collect();
    Ok(Started {
        driver,
        store,
        inbox,
        identity,
        awaited,
        workers,
        history,
        proposals,
        node_id: loaded.node,
        known: loaded.known,
    })
}

impl Started {
    /// The one line per start.
    pub(super) fn log(&self, config: &Config, sockets: &str, clock: Clock) {
        let (totals, _) = self.driver.totals();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            node = config.node,
            node_id = format!("{:016x}", self.node_id),
            apps = totals.apps,
            dynos = totals.dynos,
            workers_awaited = self.awaited.len(),
            took_ms = u64::try_from(clock.up().as_millis()).unwrap_or(u64::MAX),
            store = %self.store.path().display(),
            "meshd serves {sockets}",
        );
    }
}
