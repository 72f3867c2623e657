//! The state of a sidecar, as far as operators see it, and its faults.

use std::collections::BTreeMap;

use dynomesh_proto::v1::{
    App, AppStatus, Applied, Change, DynoLoad, DynoState, Event, Page, PutDyno, event,
    operation::Kind,
};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tonic::Status;

use super::Watched;

type Result<T> = std::result::Result<T, Status>;

pub(crate) struct Mesh {
    pub(crate) apps: Mutex<BTreeMap<String, AppStatus>>,
    pub(crate) faults: Watched<Faults>,
    pub(crate) events: broadcast::Sender<Event>,
}

/// What a test makes of the sidecar.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) not_ready: bool,
    /// It does not answer anything.
    pub(crate) silent: bool,
    /// So many changes meet someone else's change first.
    pub(crate) races: u32,
    /// `ListApps` refuses larger pages.
    pub(crate) largest_page: Option<u32>,
    /// `ApplyMany` takes what it can get before it answers.
    pub(crate) greedy: bool,
    /// `ApplyMany` ends after so many answers.
    pub(crate) ends_after: Option<usize>,
    /// Most changes that `ApplyMany` had and had not answered.
    pub(crate) most_unanswered: usize,
    /// How often an app was asked for, or a page of them.
    pub(crate) looks: u32,
    /// How often `GetStatus` was asked.
    pub(crate) status_looks: u32,
    /// How many watches have begun.
    pub(crate) watches: u32,
}

impl Default for Mesh {
    fn default() -> Self {
        Self {
            apps: Mutex::default(),
            faults: Watched::default(),
            events: broadcast::channel(1_024).0,
        }
    }
}

impl Mesh {
    pub(crate) fn app(&self, name: &str) -> Option<App> {
        self.apps
            .lock()
            .get(name)
            .and_then(|status| status.app.clone())
    }

    /// All apps as a change log cannot change them: without versions.
    pub(crate) fn contents(&self) -> Vec<App> {
        let apps = self.apps.lock();
        let apps = apps.values().filter_map(|status| status.app.clone());
        apps.map(|app| App { version: 0, ..app }).collect()
    }

    /// Requests that hold a dyno.
    pub(crate) fn load(&self, app: &str, dyno: &str, load: u32, routed: u64) {
        let mut apps = self.apps.lock();
        let status = apps.get_mut(app).expect("the app");
        status.in_flight = load;
        status.dynos = vec![DynoLoad {
            name: dyno.into(),
            load,
            limit: 4,
            elsewhere: 0,
            quarantine_ms: 0,
        }];
        status.counters.get_or_insert_default().routed = routed;
    }

    /// All of a change, or nothing of it.
    pub(crate) fn apply(&self, change: &Change) -> Result<Applied> {
        let mut apps = self.apps.lock();
        let mut after = apps.clone();
        let old = apps.get(&change.app).and_then(|status| status.app.as_ref());
        let version = old.map_or(0, |app| app.version);
        if change.base_version != 0 && change.base_version != version {
            return Err(Status::aborted(format!(
                "app {} is in version {version}",
                change.app
            )));
        }
        for operation in &change.operations {
            let kind = operation.kind.as_ref();
            let kind = kind.ok_or_else(|| Status::invalid_argument("an operation of no kind"))?;
            perform(&mut after, &change.app, kind)?;
        }
        let mut applied = Applied {
            app: change.app.clone(),
            ..Applied::default()
        };
        if let Some(app) = after
            .get_mut(&change.app)
            .and_then(|status| status.app.as_mut())
        {
            app.version = version + 1;
            applied.version = app.version;
        }
        *apps = after;
        let event = Event {
            kind: Some(event::Kind::Changed(change.clone())),
        };
        // Nobody has to watch.
        let _ = self.events.send(event);
        Ok(applied)
    }
}

fn perform(apps: &mut BTreeMap<String, AppStatus>, name: &str, kind: &Kind) -> Result<()> {
    if let Kind::CreateApp(create) = kind {
        if apps.contains_key(name) {
            return Err(Status::already_exists(format!("app {name}")));
        }
        let app = App {
            name: name.into(),
            settings: create.settings,
            ..Default::default()
        };
        let status = AppStatus {
            app: Some(app),
            ..Default::default()
        };
        apps.insert(name.into(), status);
        return Ok(());
    }
    match kind {
        Kind::AddDomain(domain) => domain_is_free(apps, domain)?,
        Kind::PutDyno(put) => address_is_free(apps, name, put)?,
        _ => {}
    }
    let app = apps.get_mut(name).and_then(|status| status.app.as_mut());
    let app = app.ok_or_else(|| Status::not_found(format!("app {name}")))?;
    match kind {
        Kind::CreateApp(_) => {}
        Kind::DeleteApp(_) => {
            apps.remove(name);
        }
        Kind::PutSettings(settings) => app.settings = Some(*settings),
        Kind::SetMaintenance(on) => app.maintenance = *on,
        Kind::AddDomain(domain) => app.domains.push(domain.clone()),
        Kind::RemoveDomain(domain) => {
            let at = app.domains.iter().position(|known| known == domain);
            app.domains
                .remove(at.ok_or_else(|| Status::not_found(format!("domain {domain}")))?);
        }
        Kind::PutDyno(put) => put_dyno(app, put),
        Kind::RemoveDyno(dyno) => {
            let at = dyno_at(app, dyno)?;
            app.dynos.remove(at);
        }
        Kind::SetDynoState(set) => {
            let at = dyno_at(app, &set.dyno)?;
            app.dynos[at].state = set.state;
        }
        Kind::PutRules(rules) => match rules.lines.iter().position(|line| line == "wrong") {
            Some(at) => {
                let at = at + 1;
                return Err(Status::invalid_argument(format!(
                    "line {at}, column 1: wrong"
                )));
            }
            None => app.rules = rules.lines.clone(),
        },
        Kind::PutSticky(sticky) => app.sticky = sticky.clone(),
        Kind::PutPage(page) => {
            let same =
                |other: &Page| other.code == page.code && other.content_type == page.content_type;
            app.pages.retain(|other| !same(other));
            if !page.body.is_empty() {
                app.pages.push(page.clone());
            }
        }
        Kind::PutAuth(auth) => app.auth = auth.lines.clone(),
        Kind::Manage(_) => return Err(Status::unimplemented("no command says this")),
    }
    Ok(())
}

fn dyno_at(app: &App, name: &str) -> Result<usize> {
    let at = app.dynos.iter().position(|dyno| dyno.name == name);
    at.ok_or_else(|| Status::not_found(format!("dyno {name} of app {}", app.name)))
}

fn put_dyno(app: &mut App, put: &PutDyno) {
    let mut dyno = put.dyno.clone().unwrap_or_default();
    if dyno.instance.is_empty() {
        dyno.instance = format!("instance-{}", app.version + 1);
    }
    app.released |= matches!(dyno.state(), DynoState::Starting | DynoState::Up);
    app.dynos.retain(|other| other.name != dyno.name);
    app.dynos.push(dyno);
}

fn domain_is_free(apps: &BTreeMap<String, AppStatus>, domain: &String) -> Result<()> {
    let mut all = apps.values().filter_map(|status| status.app.as_ref());
    match all.find(|app| app.domains.contains(domain)) {
        Some(app) => Err(Status::already_exists(format!(
            "domain {domain} of app {}",
            app.name
        ))),
        None => Ok(()),
    }
}

fn address_is_free(
    apps: &mut BTreeMap<String, AppStatus>,
    name: &str,
    put: &PutDyno,
) -> Result<()> {
    let dyno = put
        .dyno
        .as_ref()
        .ok_or_else(|| Status::invalid_argument("no dyno"))?;
    if dyno.address.is_empty() {
        return Err(Status::invalid_argument("a dyno has an address"));
    }
    for app in apps.values_mut().filter_map(|status| status.app.as_mut()) {
        let same = app.name == name;
        let taken = app
            .dynos
            .iter()
            .position(|other| other.address == dyno.address && !(same && other.name == dyno.name));
        match taken {
            Some(at) if put.takeover => drop(app.dynos.remove(at)),
            Some(_) => return Err(Status::already_exists(format!("address {}", dyno.address))),
            None => {}
        }
    }
    Ok(())
}
