//! The process around the core: connections, and what is on disk.

use std::{collections::BTreeMap, time::Duration};

use mesh::{
    AppSpec, Ask, AskId, Change, ChangeError, Limits, Mesh, Operation, Outcome, Prefer, RecallId,
    SessionKey, Time, Update, WorkerId,
};

/// What a router says. `Hello` is the first on each connection.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Hello {
        worker: WorkerId,
        held: Vec<(AskId, Box<str>)>,
    },
    Ask {
        ask: AskId,
        name: String,
        waited: Duration,
        held: bool,
        tried: Vec<Box<str>>,
        passes_on: bool,
    },
    Cancel(AskId),
    Checkin(AskId, Outcome),
    /// A lease, and who has it now.
    HandOn(AskId, AskId),
    Reserve {
        first: AskId,
        count: u32,
        name: String,
    },
    Taken(Vec<AskId>),
    Passed(AskId),
    Recalled(RecallId),
}

pub(crate) struct Sidecar {
    /// `None` while it is down.
    pub(crate) mesh: Option<Mesh>,
    /// Survives a restart.
    disk: BTreeMap<Box<str>, AppSpec>,
    pub(crate) sessions: BTreeMap<u64, SessionKey>,
    pub(crate) connections: BTreeMap<SessionKey, u64>,
    seed: u64,
}

impl Sidecar {
    pub(crate) fn new(seed: u64) -> Self {
        let mesh = Some(Mesh::new(Limits::default(), seed));
        let (disk, sessions, connections) = Default::default();
        Self {
            mesh,
            disk,
            sessions,
            connections,
            seed,
        }
    }

    pub(crate) fn spec(&self, app: &str) -> Option<&AppSpec> {
        self.disk.get(app)
    }

    /// Down: every connection is gone, what is on disk stays.
    pub(crate) fn stop(&mut self) {
        self.mesh = None;
        self.sessions.clear();
        self.connections.clear();
    }

    pub(crate) fn start(&mut self, workers: Vec<WorkerId>, until: Time, now: Time) {
        self.seed += 1;
        let mut mesh = Mesh::new(Limits::default(), self.seed);
        mesh.recover(workers, until);
        for spec in self.disk.values() {
            mesh.apply(&Update::Put(spec.clone()), now);
        }
        self.mesh = Some(mesh);
    }

    /// Returns what has to be over before the change is in effect everywhere.
    pub(crate) fn change(
        &mut self,
        app: &str,
        operations: Vec<Operation>,
        now: Time,
    ) -> Result<Vec<RecallId>, ChangeError> {
        let mut recalls = Vec::new();
        let Some(mesh) = &mut self.mesh else {
            return Ok(recalls);
        };
        let change = Change {
            app: app.into(),
            base_version: None,
            operations,
        };
        for update in mesh.plan(&change)? {
            recalls.extend(mesh.apply(&update, now));
            match update {
                Update::Put(spec) => self.disk.insert(spec.name.clone(), spec),
                Update::Remove(name) => self.disk.remove(&name),
            };
        }
        Ok(recalls)
    }

    pub(crate) fn hear(&mut self, connection: u64, message: Message, now: Time) {
        let Some(mesh) = &mut self.mesh else { return };
        if let Message::Hello { worker, held } = message {
            let key = mesh.hello(worker, held, now).unwrap();
            self.sessions.insert(connection, key);
            self.connections.insert(key, connection);
            return;
        }
        let Some(key) = self.sessions.get(&connection).copied() else {
            return;
        };
        match message {
            Message::Hello { .. } => {}
            Message::Ask {
                ask,
                name,
                waited,
                held,
                tried,
                passes_on,
            } => {
                let asked = Ask {
                    waited,
                    held,
                    tried,
                    passes_on,
                    // Some have a preference.
                    prefer: (ask.0 % 3 == 0).then_some(Prefer::Hash(ask.0 % 7)),
                    ..Ask::new(ask, &name)
                };
                assert!(mesh.ask(key, asked, now), "{ask:?} is ignored");
            }
            Message::Cancel(ask) => mesh.cancel(key, ask, now),
            Message::Checkin(ask, outcome) => mesh.checkin(key, ask, outcome, now),
            Message::HandOn(ask, next) => mesh.hand_on(key, ask, next, now),
            Message::Reserve { first, count, name } => {
                assert!(mesh.reserve(key, first, count, &name), "{first:?} is used");
            }
            Message::Taken(asks) => asks.into_iter().for_each(|ask| mesh.taken(key, ask, now)),
            Message::Passed(ask) => mesh.passed(key, ask),
            Message::Recalled(recall) => mesh.recalled(key, recall),
        }
    }

    /// The other side closed the connection, or it broke.
    pub(crate) fn disconnected(&mut self, connection: u64, broken: bool, now: Time) {
        let Some(key) = self.sessions.remove(&connection) else {
            return;
        };
        self.connections.remove(&key);
        let Some(mesh) = &mut self.mesh else { return };
        match broken {
            true => mesh.lose_session(key, now),
            false => mesh.close_session(key, now),
        }
    }
}
