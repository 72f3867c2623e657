//! Where several meshes share one table: what the table says, which is so
//! everywhere, and what is so here.

use std::sync::Arc;

use crate::{AppKey, BY_NAME, DynoInfo, DynoKey, DynoState, Event, Mesh, app::App};

impl Mesh {
    /// By the table, a request of this app waits for a dyno to be started.
    pub fn would_wake(&self, app: &str) -> bool {
        self.named(app).is_some_and(|(_, app)| {
            let none = app.census.expected() == 0 && app.census.crashed == 0;
            app.settings().wake && !app.maintenance && none
        })
    }

    /// There is such an app.
    pub fn has_app(&self, app: &str) -> bool {
        self.by_name.contains_key(app)
    }

    /// By the table, the app has a dyno that is up or starting.
    pub fn has_dyno(&self, app: &str) -> bool {
        self.named(app)
            .is_some_and(|(_, app)| app.census.expected() > 0)
    }

    /// By the table, the app's dynos may be stopped when nobody asks for it.
    pub fn may_idle(&self, app: &str) -> bool {
        let set = |app: &App| app.settings().idle_timeout.is_some();
        self.has_dyno(app) && self.named(app).is_some_and(|(_, app)| set(app))
    }

    /// Requests wait here for somebody to start a dyno of this app.
    pub fn need_of(&self, app: &str) -> Option<Event> {
        let (key, app) = self.named(app)?;
        app.dyno_needed.then(|| self.need(key))
    }

    /// The apps of which that is so.
    pub fn needy(&self) -> impl Iterator<Item = &Arc<str>> {
        let names = |key: &AppKey| &self.apps[key.0 as usize].name;
        self.needy.iter().map(names)
    }

    /// Nobody has asked here for this app for its `idle_timeout`.
    pub fn is_idle(&self, app: &str) -> bool {
        self.named(app).is_some_and(|(_, app)| app.idle.said)
    }

    /// The dyno of this instance, if it drains.
    pub fn draining(&self, instance: &str) -> Option<&Arc<DynoInfo>> {
        let key = *self.instances.get(instance)?;
        let dyno = &self.dynos[key.0 as usize];
        let drains = dyno.state == DynoState::Draining && !dyno.retired;
        drains.then(|| self.info(key))
    }

    /// The dyno of this instance may have leases here.
    pub fn may_hold(&self, instance: &str) -> bool {
        let load = |key: &DynoKey| self.dynos[key.0 as usize].load;
        let here = self.instances.get(instance);
        let mut away = self.away.requests.values();
        self.is_recovering()
            || here.is_some_and(|key| load(key) > 0)
            || away.any(|away| away.lease.as_deref() == Some(instance))
    }

    /// The app that a router asks for: by a domain, or as `@app`.
    pub(crate) fn find(&self, name: &str) -> Option<AppKey> {
        match name.strip_prefix(BY_NAME) {
            Some(app) => self.by_name.get(app).copied(),
            None => self.directory.lookup(name),
        }
    }

    fn named(&self, app: &str) -> Option<(AppKey, &App)> {
        let key = *self.by_name.get(app)?;
        Some((key, &self.apps[key.0 as usize]))
    }
}
