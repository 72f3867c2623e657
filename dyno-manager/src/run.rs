//! Everything together: the keepers, what the mesh says to them, and the end.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    args::Args,
    config::{AppConfig, Config},
    keeper::{INBOX, Keeper, Message},
    mesh::{Error, Event, Mesh, broker::Broker, control::Control},
    planner::{Input, Time},
    port,
    state::State,
};

/// Between two tries to reach the mesh: it doubles from the first to the longest.
const FIRST_TRY: Duration = Duration::from_millis(100);
const LONGEST_TRY: Duration = Duration::from_secs(5);

/// What all keepers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The origin of [`Time`].
    pub(crate) start: Instant,
    pub(crate) state: State,
    /// Ports that were given to a dyno which is not gone.
    ports: Mutex<HashSet<u16>>,
    /// This run of the manager.
    run: u32,
    instances: AtomicU64,
}

impl Shared {
    pub(crate) fn now(&self) -> Time {
        self.start.elapsed()
    }

    /// What one start of one process is called, and no other ever.
    pub(crate) fn instance(&self) -> String {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        format!("dm-{:08x}-{number}", self.run)
    }

    /// A port for a dyno, until [`Shared::free_port`].
    pub(crate) fn port(&self, address: IpAddr) -> io::Result<u16> {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let port = port::free(address, &ports)?;
        ports.insert(port);
        Ok(port)
    }

    pub(crate) fn free_port(&self, port: u16) {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.remove(&port);
    }
}

type Inboxes = BTreeMap<String, mpsc::Sender<Message>>;

/// Runs until a signal says stop and everything has ended.
pub(crate) fn run(args: &Args, config: Config) -> anyhow::Result<()> {
    let state = State::open(&args.state_dir)?;
    // One thread, which starts every process: see `process::start`.
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot make a runtime")?.block_on(async {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            state,
            ports: Mutex::default(),
            run: rand::random(),
            instances: AtomicU64::new(1),
        });
        let apps = config.apps;
        let result = match config.broker {
            Some(broker) => {
                let place = format!("the broker at {}:{}", broker.host, broker.port);
                let names = apps.iter().map(|app| app.name.clone()).collect();
                let mesh = Broker::new(broker, names);
                serve(args, apps, (mesh, place), &shared).await
            }
            None => {
                let place = format!("the sidecar at {}", args.control_socket.display());
                let mesh = Control::new(&args.control_socket);
                serve(args, apps, (mesh, place), &shared).await
            }
        };
        shared.state.kill_all();
        result
    })
}

async fn serve<M: Mesh>(
    args: &Args,
    apps: Vec<AppConfig>,
    (mesh, place): (M, String),
    shared: &Arc<Shared>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot take SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot take SIGINT")?;
    let limit = longest_end(&apps);
    let mut inboxes = Inboxes::new();
    let mut keepers = JoinSet::new();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        apps = apps.len(),
        "dyno-manager runs the apps of {}",
        args.file.display()
    );
    for app in apps {
        let inbox = mpsc::channel(INBOX);
        inboxes.insert(app.name.clone(), inbox.0.clone());
        keepers.spawn(Keeper::new(app, mesh.clone(), shared.clone(), inbox).run());
    }
    let link = tokio::spawn(listen(mesh, place, inboxes.clone()));
    // Outside of systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    stop().await;
    tracing::info!("stopping: every dyno finishes what it has");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    for inbox in inboxes.values() {
        // An error means that this keeper has gone.
        let _ = inbox.send(Message::Happened(Input::Shutdown)).await;
    }
    tokio::select! {
        ended = timeout(limit, async { while keepers.join_next().await.is_some() {} }) => {
            if ended.is_err() {
                tracing::warn!("some dynos did not end in time and are killed");
            }
        }
        () = stop() => tracing::warn!("stopping at once"),
    }
    link.abort();
    Ok(())
}

/// How long the last requests and the processes may take.
fn longest_end(apps: &[AppConfig]) -> Duration {
    let longest = apps
        .iter()
        .map(|app| app.drain_timeout + app.stop_timeout * 2)
        .max();
    longest.unwrap_or_default() + Duration::from_secs(5)
}

/// Passes on what the mesh says, for as long as the keepers are there.
async fn listen<M: Mesh>(mesh: M, place: String, inboxes: Inboxes) {
    let mut pause = FIRST_TRY;
    let mut last = String::new();
    loop {
        match mesh.watch().await {
            Ok(mut events) => {
                tracing::info!("connected to {place}");
                pause = FIRST_TRY;
                let error = pass_on(&mut events, &inboxes).await;
                tracing::warn!("{place}: {error}; trying again");
                last.clear();
            }
            Err(error) => {
                let words = error.to_string();
                if words != last {
                    tracing::warn!("{place}: {words}; trying again");
                    last = words;
                }
            }
        }
        // So that those who lost it together do not come back together.
        sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = (pause * 2).min(LONGEST_TRY);
    }
}

async fn pass_on(events: &mut impl crate::mesh::Events, inboxes: &Inboxes) -> Error {
    connected(inboxes).await;
    loop {
        let event = match events.next().await {
            Ok(event) => event,
            Err(error) => return error,
        };
        let happened = Message::Happened;
        let (app, message) = match event {
            Event::Need { app } => (app, happened(Input::Need)),
            Event::Idle { app } => (app, happened(Input::Idle)),
            Event::Drained { app, instance } => (app, Message::Drained(instance)),
            Event::Scale {
                app,
                wanted,
                waiting,
            } => (app, happened(Input::Scale { wanted, waiting })),
            Event::Missed => {
                connected(inboxes).await;
                continue;
            }
        };
        if let Some(inbox) = inboxes.get(&app) {
            // An error means that this keeper has gone.
            let _ = inbox.send(message).await;
        }
    }
}

async fn connected(inboxes: &Inboxes) {
    for inbox in inboxes.values() {
        let _ = inbox.send(Message::Connected).await;
    }
}
