//! What the tests of several modules need: a mesh, a clock, a router.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use crate::{
    Answer, Ask, AskId, Change, ChangeError, DynoSpec, DynoState, Event, Limits, Mesh, Operation,
    Outcome, Output, Refusal, SessionKey, Settings, Time, WorkerId,
};

pub(crate) struct Lab {
    pub(crate) mesh: Mesh,
    pub(crate) now: Time,
    /// Of the worker that asks unless said otherwise.
    pub(crate) session: SessionKey,
    asks: u64,
}

/// A dyno that is up. Its instance is its name with a number, its address its own.
pub(crate) fn dyno(name: &str) -> DynoSpec {
    DynoSpec {
        name: name.into(),
        instance: format!("{name}-1").into(),
        address: format!("unix:/run/{name}").parse().unwrap(),
        limit: None,
        state: DynoState::Up,
    }
}

pub(crate) fn put(name: &str) -> Operation {
    Operation::PutDyno {
        dyno: dyno(name),
        takeover: false,
    }
}

pub(crate) fn set(name: &str, state: DynoState) -> Operation {
    Operation::SetDynoState {
        dyno: name.into(),
        state,
    }
}

impl Lab {
    /// An app "a" with domain "a.test" and these dynos.
    pub(crate) fn new(settings: Settings, dynos: &[&str]) -> Self {
        Self::with(Limits::default(), settings, dynos)
    }

    pub(crate) fn with(limits: Limits, settings: Settings, dynos: &[&str]) -> Self {
        let now = Time::from_micros(3_600_000_000);
        let mut mesh = Mesh::new(limits, 1);
        let session = mesh.hello(WorkerId(1), [], now).unwrap();
        let mut lab = Self {
            mesh,
            now,
            session,
            asks: 0,
        };
        lab.create("a", settings, dynos);
        lab
    }

    pub(crate) fn create(&mut self, app: &str, settings: Settings, dynos: &[&str]) {
        let domain = Operation::AddDomain(format!("{app}.test").into());
        let mut operations = vec![Operation::CreateApp(settings), domain];
        operations.extend(dynos.iter().map(|name| put(name)));
        self.change(app, operations).unwrap();
    }

    pub(crate) fn change(
        &mut self,
        app: &str,
        operations: Vec<Operation>,
    ) -> Result<u64, ChangeError> {
        let change = Change {
            app: app.into(),
            base_version: None,
            operations,
        };
        for update in self.mesh.plan(&change)? {
            self.mesh.apply(&update, self.now);
        }
        self.mesh.check_invariants().unwrap();
        Ok(self.mesh.spec(app).map_or(0, |spec| spec.version))
    }

    pub(crate) fn ask(&mut self) -> AskId {
        self.ask_with(Duration::ZERO, &[])
    }

    pub(crate) fn ask_with(&mut self, waited: Duration, tried: &[&str]) -> AskId {
        let tried = tried.iter().map(|t| (*t).into()).collect();
        self.ask_as(Ask {
            waited,
            tried,
            ..Ask::new(AskId(0), "a.test")
        })
    }

    /// Asks for one that waited so long while there was nobody to ask.
    pub(crate) fn ask_again(&mut self, waited: Duration) -> AskId {
        self.ask_as(Ask {
            waited,
            held: true,
            ..Ask::new(AskId(0), "a.test")
        })
    }

    /// Asks so; the number is the next one.
    pub(crate) fn ask_as(&mut self, ask: Ask<'_>) -> AskId {
        self.asks += 1;
        let id = AskId(self.asks);
        assert!(self.mesh.ask(self.session, Ask { id, ..ask }, self.now));
        self.mesh.check_invariants().unwrap();
        id
    }

    pub(crate) fn checkin(&mut self, ask: AskId, outcome: Outcome) {
        self.mesh.checkin(self.session, ask, outcome, self.now);
        self.mesh.check_invariants().unwrap();
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.mesh.handle_timeout(self.now);
        self.mesh.check_invariants().unwrap();
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.mesh.poll_output()).collect()
    }

    /// Routers have done what they were told. All outputs so far are dropped.
    pub(crate) fn obey(&mut self) {
        for output in self.outputs() {
            if let Output::Recall(recall) = output {
                self.mesh.recalled(recall.session, recall.recall);
            }
        }
        self.outputs();
    }

    /// All answers so far, as ask and dyno or reason. Events are dropped.
    pub(crate) fn answers(&mut self) -> Vec<(AskId, Result<Box<str>, Refusal>)> {
        let short = |a: Answer| (a.ask, a.result.map(|route| route.dyno.name.clone()));
        let answers = self
            .outputs()
            .into_iter()
            .filter_map(|output| match output {
                Output::Answer(answer) => Some(short(answer)),
                _ => None,
            });
        answers.collect()
    }

    /// The only thing said, which is the answer to this.
    pub(crate) fn answer(&mut self, ask: AskId) -> Result<Box<str>, Refusal> {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let (answered, result) = answers.remove(0);
        assert_eq!(answered, ask);
        result
    }

    /// All events so far. Answers are dropped.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let events = self
            .outputs()
            .into_iter()
            .filter_map(|output| match output {
                Output::Event(event) => Some(event),
                _ => None,
            });
        events.collect()
    }

    pub(crate) fn loads(&self, app: &str) -> Vec<u32> {
        let view = self.mesh.app(app, self.now).unwrap();
        view.dynos.iter().map(|dyno| dyno.load).collect()
    }
}
