//! What operators see, taken in steps so that answers never wait for it.

use std::{sync::Arc, time::Duration};

use mesh::{AppFigures, AppView, Totals};

use super::{Driver, log::Stand};

/// Apps looked at under one lock.
const APPS_PER_STEP: usize = 256;
/// Dynos copied under one lock: an app may have thousands.
const DYNOS_PER_STEP: usize = 1_024;

/// A part of the list of apps.
#[derive(Debug)]
pub struct Step {
    /// The apps found.
    pub apps: Vec<AppView>,
    /// After which name to go on; `None`: that was all.
    pub next: Option<Box<str>>,
}

/// The figures of a part of the apps.
#[derive(Debug)]
pub struct Survey {
    /// Of these.
    pub apps: Vec<AppFigures>,
    /// After which name to go on; `None`: that was all.
    pub next: Option<Arc<str>>,
}

impl Driver {
    /// An app at this moment.
    pub fn view(&self, app: &str) -> Option<AppView> {
        self.act(None, |mesh, now| mesh.app(app, now))
    }

    /// The same with no more than so many of its dynos.
    pub fn glance(&self, app: &str, dynos: usize) -> Option<AppView> {
        self.act(None, |mesh, now| mesh.glance(app, dynos, now))
    }

    /// Some of the apps with `prefix` after the name `after`, at most `most`.
    pub fn scan(&self, prefix: &str, after: Option<&str>, most: usize, busy_only: bool) -> Step {
        let mut apps = Vec::new();
        let mut dynos = 0;
        let next = self.act(None, |mesh, now| {
            mesh.scan(prefix, after, APPS_PER_STEP, busy_only, now, |view| {
                dynos += view.dynos.len();
                apps.push(view);
                apps.len() < most && dynos < DYNOS_PER_STEP
            })
        });
        Step { apps, next }
    }

    /// The figures of some of the apps after the name `after`.
    pub fn survey(&self, after: Option<&str>) -> Survey {
        let mut apps = Vec::new();
        let mut dynos = 0;
        let next = self.act(None, |mesh, now| {
            mesh.survey(after, APPS_PER_STEP, now, |figures| {
                dynos += figures.dynos.sum() as usize;
                apps.push(figures);
                dynos < DYNOS_PER_STEP
            })
        });
        Survey { apps, next }
    }

    /// Some app has rules.
    pub fn has_rules(&self) -> bool {
        self.act(None, |mesh, _| mesh.has_rules())
    }

    /// Some app has pages of its own.
    pub fn has_pages(&self) -> bool {
        self.act(None, |mesh, _| mesh.has_pages())
    }

    /// The mesh as a whole, and whether it has its table and everybody known from
    /// before has reported.
    pub fn totals(&self) -> (Totals, bool) {
        let has_table = self.changes.stand().is_none_or(Stand::is_ready);
        self.act(None, |mesh, _| {
            (mesh.totals(), has_table && !mesh.is_recovering())
        })
    }

    /// Time since the start.
    pub fn up(&self) -> Duration {
        self.clock.up()
    }
}
