//! An app of a mesh under test.

use dynomesh_proto::v1::{
    AppStatus, Auth, DynoState, Page, Policy, Rules, Settings, operation::Kind,
};

use super::{Control, Dyno, Program};

/// An app that answers to `NAME.test`.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name.
    pub name: String,
    control: Control,
    limit: u32,
}

impl App {
    pub(super) async fn create(control: &Control, name: &str, settings: Settings) -> Self {
        let app = Self {
            name: name.to_owned(),
            control: control.clone(),
            limit: limit(&settings),
        };
        control.create_app(name, settings, &[&app.host()]).await;
        app
    }

    /// The name that it answers to.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.test", self.name)
    }

    /// Starts a dyno and registers it as up.
    pub async fn dyno(&self, name: &str) -> Dyno {
        self.run(self.program(name)).await
    }

    /// So many dynos, `web.1` and on.
    pub async fn dynos(&self, count: usize) -> Vec<Dyno> {
        let mut dynos = Vec::new();
        for number in 1..=count {
            dynos.push(self.dyno(&format!("web.{number}")).await);
        }
        dynos
    }

    /// How [`App::dyno`] starts one.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        Program {
            limit: self.limit,
            ..Program::new(&self.name, name)
        }
    }

    /// Starts this program and registers it as up.
    pub async fn run(&self, program: Program) -> Dyno {
        let dyno = program.start().await;
        self.register(&dyno.name, &dyno.address).await;
        dyno
    }

    /// Registers whatever is at this address as a dyno that is up.
    pub async fn register(&self, name: &str, address: &str) {
        self.control.add_dyno(&self.name, name, address).await;
    }

    /// Makes these changes.
    pub async fn apply(&self, kinds: Vec<Kind>) {
        self.control.apply(&self.name, kinds).await;
    }

    /// One more name that it answers to.
    pub async fn add_domain(&self, domain: &str) {
        self.apply(vec![Kind::AddDomain(domain.to_owned())]).await;
    }

    /// These are its rules from now on.
    pub async fn rules(&self, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.apply(vec![Kind::PutRules(Rules { lines })]).await;
    }

    /// What its clients see for this code from now on; nothing: the mesh's page.
    pub async fn page(&self, code: &str, content_type: &str, body: &str) {
        let page = Page {
            code: code.to_owned(),
            content_type: content_type.to_owned(),
            body: body.to_owned(),
            size: 0,
        };
        self.apply(vec![Kind::PutPage(page)]).await;
    }

    /// These say who may use it from now on; none: anybody may.
    pub async fn auth(&self, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.apply(vec![Kind::PutAuth(Auth { lines })]).await;
    }

    /// Takes a dyno out; its process goes on.
    pub async fn remove(&self, dyno: &str) {
        self.apply(vec![Kind::RemoveDyno(dyno.to_owned())]).await;
    }

    /// Says what became of a dyno.
    pub async fn set_state(&self, dyno: &str, state: DynoState) {
        self.control.set_state(&self.name, dyno, state).await;
    }

    /// What the mesh knows of it.
    pub async fn status(&self) -> AppStatus {
        self.control.app(&self.name).await
    }

    /// Waits until so many requests hold a dyno and so many wait.
    pub async fn until_load(&self, in_flight: u32, waiting: u32) {
        self.control
            .until_load(&self.name, in_flight, waiting)
            .await;
    }
}

/// How many requests at once a dyno may be given under these settings.
fn limit(settings: &Settings) -> u32 {
    match (settings.dyno_limit, settings.policy()) {
        (0, Policy::IdleOnly | Policy::Unspecified) => 1,
        (0, _) => u32::MAX,
        (limit, _) => limit,
    }
}
