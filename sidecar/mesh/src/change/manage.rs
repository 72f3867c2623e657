//! All that an app's manager has to say, whatever the app was before.

use std::{collections::HashSet, time::Duration};

use super::{ChangeError, MAX_OPERATIONS, Plan};
use crate::{DynoSpec, Settings, parse_domain};

/// What an app shall be as far as it is its manager's. Nothing of it is refused
/// because it is so already, so whoever can't look may say it, and say it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manage {
    /// A request may start the app. Here and below: what is not given stays.
    pub wake: Option<bool>,
    /// Most requests at once for a dyno.
    pub dyno_limit: Option<Option<u32>>,
    /// Longest wait for an app that is asleep or booting.
    pub boot_timeout: Option<Option<Duration>>,
    /// The app is said to be idle after so long without a request.
    pub idle_timeout: Option<Option<Duration>>,
    /// More dynos are hinted at when somebody waits longer.
    pub scale_wait: Option<Option<Duration>>,
    /// Added, but for those that another app has.
    pub domains: Vec<Box<str>>,
    /// Dynos whose names begin like this are the manager's, ...
    pub dyno_prefix: Box<str>,
    /// ... and there are these of them, each with its instance.
    pub dynos: Vec<DynoSpec>,
}

impl Manage {
    fn settings(&self, old: &Settings) -> Settings {
        Settings {
            wake: self.wake.unwrap_or(old.wake),
            dyno_limit: self.dyno_limit.unwrap_or(old.dyno_limit),
            boot_timeout: self.boot_timeout.unwrap_or(old.boot_timeout),
            idle_timeout: self.idle_timeout.unwrap_or(old.idle_timeout),
            scale_wait: self.scale_wait.unwrap_or(old.scale_wait),
            ..old.clone()
        }
    }

    fn check(&self) -> Result<(), ChangeError> {
        let (dynos, domains) = (self.dynos.len(), self.domains.len());
        if dynos.max(domains) > 2 * MAX_OPERATIONS {
            return Err(ChangeError::Invalid(format!(
                "a manager names up to {} dynos and as many domains, not {dynos} and {domains}",
                2 * MAX_OPERATIONS
            )));
        }
        let foreign = |dyno: &&DynoSpec| !dyno.name.starts_with(&*self.dyno_prefix);
        match self.dynos.iter().find(foreign) {
            Some(dyno) => Err(ChangeError::Invalid(format!(
                "dyno \"{}\" does not begin with \"{}\" as the manager's do",
                dyno.name, self.dyno_prefix
            ))),
            None => Ok(()),
        }
    }
}

impl Plan<'_> {
    pub(super) fn manage(&mut self, manage: &Manage) -> Result<(), ChangeError> {
        manage.check()?;
        if self.draft.is_none() {
            self.create(&Settings::default())?;
        }
        let spec = self.draft()?;
        spec.settings = manage.settings(&spec.settings);
        spec.settings.check()?;
        for domain in &manage.domains {
            self.claim_domain(domain)?;
        }
        self.keep_dynos(manage)?;
        for dyno in &manage.dynos {
            self.put_dyno(dyno, true)?;
        }
        Ok(())
    }

    fn claim_domain(&mut self, domain: &str) -> Result<(), ChangeError> {
        let plain = parse_domain(domain)?;
        let owner = self.mesh.directory.owner(&plain);
        let owner = owner.map(|key| &*self.mesh.apps[key.0 as usize].name);
        let elsewhere = owner.is_some_and(|owner| *owner != *self.app);
        if elsewhere || self.draft()?.domains.contains(&plain) {
            return Ok(());
        }
        self.add_domain(domain)
    }

    /// The manager's dynos that are not there any more go.
    fn keep_dynos(&mut self, manage: &Manage) -> Result<(), ChangeError> {
        let stay: HashSet<_> = manage.dynos.iter().map(|dyno| &dyno.name).collect();
        let spec = self.draft()?;
        let is_gone = |dyno: &DynoSpec| {
            dyno.name.starts_with(&*manage.dyno_prefix) && !stay.contains(&dyno.name)
        };
        while let Some(index) = spec.dynos.iter().position(is_gone) {
            spec.dynos.remove(index);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
