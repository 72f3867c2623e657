//! One app: carries out what its planner decides, and keeps the mesh's idea of its
//! dynos right.

mod processes;
mod telling;

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::{
    app::{Told, dyno_name},
    config::AppConfig,
    mesh::Mesh,
    planner::{Dyno, Input, Phase, Planner, Start, Time},
    run::Shared,
};

/// What a keeper is told.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Happened(Input),
    /// The dyno of this instance has finished its last request.
    Drained(String),
    /// The mesh is there (again), or something it said was lost.
    Connected,
}

/// Messages that a keeper may be behind; whoever sends more waits.
pub(crate) const INBOX: usize = 256;
/// A process, or one that was.
struct Running {
    instance: String,
    port: u16,
    pid: Option<u32>,
    since: Time,
    /// Looks whether it is up.
    probe: Option<AbortHandle>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(probe) = &self.probe {
            probe.abort();
        }
    }
}

pub(crate) struct Keeper<M> {
    app: AppConfig,
    planner: Planner,
    mesh: M,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    own: mpsc::Sender<Message>,
    running: BTreeMap<Start, Running>,
    /// `None`: it has to be asked first.
    told: Option<Told>,
    connected: bool,
    /// When to try again what was refused.
    again: Option<Time>,
    /// When to tell it all once more, whatever was told.
    anew: Option<Time>,
}

impl<M: Mesh> Keeper<M> {
    pub(crate) fn new(
        app: AppConfig,
        mesh: M,
        shared: Arc<Shared>,
        (own, inbox): (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    ) -> Self {
        Self {
            planner: Planner::new(app.clone(), rand::random()),
            app,
            mesh,
            shared,
            inbox,
            own,
            running: BTreeMap::new(),
            told: None,
            connected: false,
            again: None,
            anew: None,
        }
    }

    /// Returns when everything has ended after a shutdown.
    pub(crate) async fn run(mut self) {
        self.planner.pass(self.shared.now());
        loop {
            self.carry_out();
            self.tell().await;
            if self.planner.is_over() {
                return;
            }
            let next = self
                .planner
                .poll_timeout()
                .into_iter()
                .chain(self.again)
                .chain(self.anew)
                .min();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.hear(message),
                    None => return,
                },
                () = until(self.shared.start, next) => {
                    let now = self.shared.now();
                    self.again = self.again.filter(|at| *at > now);
                    if self.anew.is_some_and(|at| at <= now) {
                        (self.anew, self.told) = (None, None);
                    }
                    self.planner.pass(now);
                }
            }
        }
    }

    fn hear(&mut self, message: Message) {
        let now = self.shared.now();
        match message {
            Message::Happened(input) => {
                self.log(input, now);
                self.planner.handle(input, now);
                self.log_crash(input, now);
            }
            Message::Drained(instance) => {
                let found = self.running.iter().find(|(_, r)| r.instance == instance);
                if let Some((start, _)) = found {
                    self.planner.handle(Input::Drained(*start), now);
                }
            }
            Message::Connected => {
                (self.connected, self.told, self.again) = (true, None, None);
                self.anew = M::LATE.map(|late| now + late);
            }
        }
    }

    fn log(&self, input: Input, now: Time) {
        let app = &self.app.name;
        let find = |start| self.planner.dynos().iter().find(|dyno| dyno.start == start);
        let took = |start| {
            let since = self.running.get(&start).map_or(now, |r| r.since);
            u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX)
        };
        match input {
            Input::Healthy(start) => {
                let dyno = find(start).map(|dyno| dyno_name(dyno.slot));
                tracing::info!(app, dyno, took_ms = took(start), "up");
            }
            Input::Exited(_) | Input::Drained(_) => {}
            other => tracing::debug!(app, "{other:?}"),
        }
    }

    fn log_crash(&self, input: Input, now: Time) {
        let Input::Exited(start) = input else { return };
        let crashed = |dyno: &&Dyno| dyno.start == start && dyno.phase == Phase::Crashed;
        if let Some(dyno) = self.planner.dynos().iter().find(crashed) {
            let (crashes, until) = self.planner.backoff();
            let pause_ms = u64::try_from(until.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
            let (app, dyno) = (&self.app.name, dyno_name(dyno.slot));
            tracing::warn!(app, dyno, crashes, pause_ms, "crashed");
        }
    }
}

async fn until(start: Instant, at: Option<Time>) {
    match at {
        Some(at) => sleep_until(start + at).await,
        None => std::future::pending().await,
    }
}
