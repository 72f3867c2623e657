//! Changes of apps: from what was asked for to what an app shall be.
//!
//! [`Mesh::plan`] works on copies of the configuration and changes nothing, so
//! a change that is refused leaves no trace, and its operations take effect
//! together.

mod manage;

use std::collections::{BTreeMap, HashMap};

use crate::{
    Address, AppSpec, Auth, DynoKey, DynoSpec, DynoState, Limits, Mesh, Page, Rules, Settings,
    check_app_name, parse_domain,
    sticky::{check_sticky, settled},
};
pub use manage::Manage;

/// A change of one app.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which app.
    pub app: Box<str>,
    /// The version it was made for; `None`: any.
    pub base_version: Option<u64>,
    /// Take effect together, in this order.
    pub operations: Vec<Operation>,
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the names say it; proto/mesh/v1/control.proto has the details"
)]
pub enum Operation {
    CreateApp(Settings),
    DeleteApp,
    PutSettings(Settings),
    SetMaintenance(bool),
    AddDomain(Box<str>),
    RemoveDomain(Box<str>),
    /// Without an instance it is for [`Mesh::identify`] to give it one.
    PutDyno {
        dyno: DynoSpec,
        takeover: bool,
    },
    RemoveDyno(Box<str>),
    SetDynoState {
        dyno: Box<str>,
        state: DynoState,
    },
    Manage(Box<Manage>),
    /// Replaces all of them.
    PutRules(Rules),
    /// Without a body there is none any more.
    PutPage(Page),
    /// Likewise.
    PutAuth(Auth),
    /// Nothing is sticky if it is empty.
    PutSticky(Box<str>),
}

/// Why a change was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Malformed.
    #[error("{0}")]
    Invalid(String),
    /// No such app, domain or dyno.
    #[error("{0}")]
    NotFound(String),
    /// The name, domain or address is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// Made for another version of the app.
    #[error("app \"{app}\" is at version {current}, the change was made for {base}")]
    Conflict {
        /// Which app.
        app: Box<str>,
        /// Its version.
        current: u64,
        /// The version that the change expected.
        base: u64,
    },
    /// A limit is reached.
    #[error("{0}")]
    Exhausted(String),
}

/// What an app shall be from now on.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub enum Update {
    /// Like this.
    Put(AppSpec),
    /// Gone.
    Remove(Box<str>),
}

impl Update {
    /// Which app.
    pub fn app(&self) -> &str {
        match self {
            Self::Put(spec) => &spec.name,
            Self::Remove(name) => name,
        }
    }
}

/// Most operations in one change.
const MAX_OPERATIONS: usize = 1_000;

impl Mesh {
    /// Names the dynos of a change whose instance is not given: what has the name
    /// and the address of a dyno whose process is there is that dyno, with the
    /// requests that it has; anything else gets a `fresh` one.
    pub fn identify(&self, change: &mut Change, mut fresh: impl FnMut() -> Box<str>) {
        for operation in &mut change.operations {
            if let Operation::PutDyno { dyno, .. } = operation
                && dyno.instance.is_empty()
            {
                let here = [&self.addresses, &self.left];
                let known = self.instance_at(&here, &change.app, dyno);
                dyno.instance = known.unwrap_or_else(&mut fresh);
            }
        }
    }

    /// The same for a change that several meshes make: what it comes to depends
    /// on nothing but their configuration, which is the same, and not on the
    /// requests that each of them has. `fresh` has to name the process that an
    /// operation of this number puts.
    pub fn identify_shared(&self, change: &mut Change, fresh: impl Fn(usize) -> Box<str>) {
        for (number, operation) in change.operations.iter_mut().enumerate() {
            if let Operation::PutDyno { dyno, .. } = operation
                && dyno.instance.is_empty()
            {
                let known = self.instance_at(&[&self.addresses], &change.app, dyno);
                dyno.instance = known.unwrap_or_else(|| fresh(number));
            }
        }
    }

    /// Names the dynos of a shared change that were taken out of their app here,
    /// have requests still, and come back: only this mesh knows them. Says
    /// whether there are any; the change is then for this version of the app.
    pub fn recognise(&self, change: &mut Change) -> bool {
        let mut recognised = false;
        for operation in &mut change.operations {
            if let Operation::PutDyno { dyno, .. } = operation
                && dyno.instance.is_empty()
                && !self.addresses.contains_key(&dyno.address)
                && let Some(known) = self.instance_at(&[&self.left], &change.app, dyno)
            {
                dyno.instance = known;
                recognised = true;
            }
        }
        if recognised {
            let version = self.by_name.get(&*change.app);
            let version = version.map(|key| self.apps[key.0 as usize].version);
            change.base_version = change.base_version.or(version);
        }
        recognised
    }

    /// The process that this dyno's address is known to be.
    fn instance_at(
        &self,
        known: &[&HashMap<Address, DynoKey>],
        app: &str,
        dyno: &DynoSpec,
    ) -> Option<Box<str>> {
        let here = known.iter().filter_map(|known| known.get(&dyno.address));
        let mut infos = here.map(|key| self.info(*key));
        let same = infos.find(|info| *info.app == *app && info.name == dyno.name);
        same.map(|info| info.instance.clone())
    }

    /// Checks a change and says what it comes to: for its app first, then for
    /// apps that lose a dyno because its address was taken over.
    ///
    /// # Errors
    /// Why it can't be made.
    pub fn plan(&self, change: &Change) -> Result<Vec<Update>, ChangeError> {
        self.plan_within(change, &self.limits, false)
    }

    /// The same for a change that several meshes make: it is refused by all or
    /// by none, whatever limits each has and whichever requests.
    ///
    /// # Errors
    /// Why it can't be made.
    pub fn plan_shared(&self, change: &Change) -> Result<Vec<Update>, ChangeError> {
        self.plan_within(change, &Limits::LARGEST, true)
    }

    fn plan_within(
        &self,
        change: &Change,
        limits: &Limits,
        shared: bool,
    ) -> Result<Vec<Update>, ChangeError> {
        if change.operations.is_empty() || change.operations.len() > MAX_OPERATIONS {
            return Err(ChangeError::Invalid(format!(
                "a change has 1 to {MAX_OPERATIONS} operations, not {}",
                change.operations.len()
            )));
        }
        let before = self.spec(&change.app);
        let current = before.as_ref().map_or(0, |spec| spec.version);
        if let Some(base) = change.base_version.filter(|base| *base != current) {
            return Err(ChangeError::Conflict {
                app: change.app.clone(),
                current,
                base,
            });
        }
        let dynos_before = before.as_ref().map_or(0, |spec| spec.dynos.len());
        let others = BTreeMap::new();
        let mut plan = Plan {
            mesh: self,
            limits,
            shared,
            app: &change.app,
            dynos_before,
            draft: before,
            others,
        };
        for operation in &change.operations {
            plan.apply(operation)?;
        }
        plan.finish(current)
    }
}

struct Plan<'a> {
    mesh: &'a Mesh,
    limits: &'a Limits,
    /// Dynos that are there only because they have requests still do not count.
    shared: bool,
    app: &'a str,
    dynos_before: usize,
    draft: Option<AppSpec>,
    /// Apps that lose a dyno to this one.
    others: BTreeMap<Box<str>, AppSpec>,
}

impl Plan<'_> {
    fn apply(&mut self, operation: &Operation) -> Result<(), ChangeError> {
        match operation {
            Operation::CreateApp(settings) => return self.create(settings),
            Operation::DeleteApp => {
                self.draft()?;
                self.draft = None;
            }
            Operation::PutSettings(settings) => {
                settings.check()?;
                self.draft()?.settings = settings.clone();
            }
            Operation::SetMaintenance(on) => self.draft()?.maintenance = *on,
            Operation::AddDomain(domain) => self.add_domain(domain)?,
            Operation::RemoveDomain(domain) => self.remove_domain(domain)?,
            Operation::PutDyno { dyno, takeover } => self.put_dyno(dyno, *takeover)?,
            Operation::RemoveDyno(name) => {
                let index = self.dyno_index(name)?;
                self.draft()?.dynos.remove(index);
            }
            Operation::SetDynoState { dyno, state } => {
                let index = self.dyno_index(dyno)?;
                let mut spec = self.draft()?.dynos[index].clone();
                spec.state = *state;
                self.put_dyno(&spec, false)?;
            }
            Operation::Manage(manage) => self.manage(manage)?,
            Operation::PutRules(rules) => {
                rules.check()?;
                self.draft()?.rules = rules.clone();
            }
            Operation::PutSticky(sticky) => {
                check_sticky(sticky)?;
                let draft = self.draft()?;
                draft.sticky = settled(&draft.sticky, sticky);
            }
            Operation::PutPage(page) => {
                let draft = self.draft()?;
                draft.pages = draft.pages.with(page)?;
            }
            Operation::PutAuth(auth) => {
                auth.check()?;
                self.draft()?.auth = auth.clone();
            }
        }
        Ok(())
    }

    fn create(&mut self, settings: &Settings) -> Result<(), ChangeError> {
        check_app_name(self.app)?;
        settings.check()?;
        if self.draft.is_some() {
            return Err(ChangeError::AlreadyExists(format!(
                "app \"{}\" exists already",
                self.app
            )));
        }
        let max = self.limits.apps;
        // One that this change deletes makes room for itself.
        if self.mesh.by_name.len() >= max && !self.mesh.by_name.contains_key(self.app) {
            return Err(ChangeError::Exhausted(format!(
                "there are {max} apps, the most allowed"
            )));
        }
        let (name, settings) = (self.app.into(), settings.clone());
        self.draft = Some(AppSpec {
            name,
            settings,
            ..AppSpec::default()
        });
        Ok(())
    }

    fn draft(&mut self) -> Result<&mut AppSpec, ChangeError> {
        let app = self.app;
        self.draft
            .as_mut()
            .ok_or_else(|| ChangeError::NotFound(format!("there is no app \"{app}\"")))
    }

    fn add_domain(&mut self, domain: &str) -> Result<(), ChangeError> {
        let domain = parse_domain(domain)?;
        let max = self.limits.domains_per_app;
        let spec = self.draft()?;
        if spec.domains.contains(&domain) {
            return Err(ChangeError::AlreadyExists(format!(
                "app \"{}\" has domain \"{domain}\" already",
                spec.name
            )));
        }
        if spec.domains.len() >= max {
            return Err(ChangeError::Exhausted(format!(
                "an app may have {max} domains"
            )));
        }
        spec.domains.push(domain.clone());
        match self.mesh.directory.owner(&domain) {
            Some(key) if *self.mesh.apps[key.0 as usize].name != *self.app => {
                Err(ChangeError::AlreadyExists(format!(
                    "domain \"{domain}\" belongs to app \"{}\"",
                    self.mesh.apps[key.0 as usize].name
                )))
            }
            _ => Ok(()),
        }
    }

    fn remove_domain(&mut self, domain: &str) -> Result<(), ChangeError> {
        let domain = parse_domain(domain)?;
        let spec = self.draft()?;
        let index = spec
            .domains
            .iter()
            .position(|d| *d == domain)
            .ok_or_else(|| {
                ChangeError::NotFound(format!("app \"{}\" has no domain \"{domain}\"", spec.name))
            })?;
        spec.domains.remove(index);
        Ok(())
    }

    fn dyno_index(&mut self, name: &str) -> Result<usize, ChangeError> {
        let spec = self.draft()?;
        spec.dynos
            .iter()
            .position(|d| *d.name == *name)
            .ok_or_else(|| {
                ChangeError::NotFound(format!("app \"{}\" has no dyno \"{name}\"", spec.name))
            })
    }

    fn put_dyno(&mut self, dyno: &DynoSpec, takeover: bool) -> Result<(), ChangeError> {
        dyno.check()?;
        self.draft()?;
        self.check_instance(dyno)?;
        if dyno.state.is_alive() {
            self.claim_address(dyno, takeover)?;
        }
        let limits = &self.limits;
        let (per_app, all) = (limits.dynos_per_app, limits.dynos);
        let elsewhere = self.mesh.totals().dynos - self.dynos_before;
        let spec = self.draft()?;
        spec.released |= matches!(dyno.state, DynoState::Starting | DynoState::Up);
        if let Some(index) = spec.dynos.iter().position(|d| d.name == dyno.name) {
            spec.dynos.set(index, dyno.clone());
            return Ok(());
        }
        if spec.dynos.len() >= per_app || elsewhere + spec.dynos.len() >= all {
            return Err(ChangeError::Exhausted(format!(
                "an app may have {per_app} dynos, all apps together {all}"
            )));
        }
        spec.dynos.push(dyno.clone());
        Ok(())
    }

    /// An instance is one start of one process: it never moves.
    fn check_instance(&self, dyno: &DynoSpec) -> Result<(), ChangeError> {
        let taken = |app: &str, name: &str| {
            ChangeError::AlreadyExists(format!(
                "instance \"{}\" is dyno \"{name}\" of app \"{app}\"; each start of a process needs one of its own",
                dyno.instance
            ))
        };
        let known = self.mesh.instances.get(&dyno.instance);
        let is_retired = |key: &DynoKey| self.mesh.dynos[key.0 as usize].retired;
        if let Some(known) = known.filter(|key| !(self.shared && is_retired(key))) {
            let info = self.mesh.info(*known);
            if *info.app != *self.app || info.name != dyno.name {
                return Err(taken(&info.app, &info.name));
            }
            if info.address != dyno.address {
                return Err(ChangeError::Invalid(format!(
                    "instance \"{}\" has address {}; a process at another address is another instance",
                    dyno.instance, info.address
                )));
            }
        }
        let draft = self.draft.iter().flat_map(|spec| &spec.dynos);
        match draft
            .into_iter()
            .find(|d| d.instance == dyno.instance && d.name != dyno.name)
        {
            Some(other) => Err(taken(self.app, &other.name)),
            None => Ok(()),
        }
    }

    /// Two live dynos never have one address: a request for the one would reach
    /// the other.
    fn claim_address(&mut self, dyno: &DynoSpec, takeover: bool) -> Result<(), ChangeError> {
        let same = |d: &DynoSpec| d.state.is_alive() && d.address == dyno.address;
        let in_use = |app: &str, name: &str| {
            ChangeError::AlreadyExists(format!(
                "address {} is in use by dyno \"{name}\" of app \"{app}\"; remove it first, or take the address over if its process is gone",
                dyno.address
            ))
        };
        let app = self.app;
        let spec = self.draft()?;
        if let Some(index) = spec
            .dynos
            .iter()
            .position(|d| d.name != dyno.name && same(d))
        {
            if !takeover {
                return Err(in_use(app, &spec.dynos[index].name));
            }
            spec.dynos.remove(index);
        }
        let Some(key) = self.mesh.addresses.get(&dyno.address) else {
            return Ok(());
        };
        let other = self.mesh.info(*key);
        let taken_over = |spec: &AppSpec| !spec.dynos.iter().any(same);
        if *other.app == *app || self.others.get(&*other.app).is_some_and(taken_over) {
            return Ok(());
        }
        if !takeover {
            return Err(in_use(&other.app, &other.name));
        }
        let name: Box<str> = (*other.app).into();
        if let Some(mut spec) = self.others.remove(&name).or_else(|| self.mesh.spec(&name)) {
            while let Some(index) = spec.dynos.iter().position(same) {
                spec.dynos.remove(index);
            }
            self.others.insert(name, spec);
        }
        Ok(())
    }

    fn finish(self, current: u64) -> Result<Vec<Update>, ChangeError> {
        let own = match self.draft {
            Some(mut spec) => {
                spec.version = current + 1;
                Update::Put(spec)
            }
            None => Update::Remove(self.app.into()),
        };
        let others = self.others.into_values().map(|mut spec| {
            spec.version += 1;
            Update::Put(spec)
        });
        Ok([own].into_iter().chain(others).collect())
    }
}

#[cfg(test)]
mod tests;
