//! The log of apps: each sidecar reads it at its own pace, so one may give out a dyno that
//! another one does not know yet, or any more.

use std::time::Duration;

use mesh::{AppSpec, DynoSpec, DynoState, Exact, Mesh, Settings, Update};
use rand::RngExt;

use super::{APPS, DYNOS, LOOSE, World, app_name};

/// As it is configured, with its dynos in these lives.
pub(super) fn spec(app: usize, version: u64, lives: &[u32; DYNOS]) -> AppSpec {
    let exact = match app {
        LOOSE => Exact::Available,
        _ => Exact::Strict,
    };
    let dyno = |(n, life): (usize, &u32)| DynoSpec {
        name: format!("d{n}").into(),
        instance: format!("{app}-{n}-{life}").into(),
        address: format!("unix:/{app}/{n}/{life}").parse().unwrap(),
        limit: Some(1),
        state: DynoState::Up,
    };
    AppSpec {
        name: app_name(app).into(),
        version,
        settings: Settings {
            exact: Some(exact),
            queue_timeout: Some(Duration::from_secs(60)),
            queue_depth: Some(100_000),
            ..Settings::default()
        },
        released: true,
        domains: vec![format!("{app}.test").into()],
        dynos: lives.iter().enumerate().map(dyno).collect(),
        ..AppSpec::default()
    }
}

/// The log, from its beginning.
pub(super) fn first() -> Vec<Update> {
    let put = |app| Update::Put(spec(app, 1, &[0; DYNOS]));
    (0..APPS).map(put).collect()
}

impl World {
    /// An app is deleted and made again, or one of its dynos is another process.
    pub(crate) fn change_app(&mut self) {
        let app = self.rng.random_range(0..APPS);
        let dyno = self.rng.random_range(0..DYNOS);
        let again = self.rng.random_bool(0.3);
        self.report.changes += 1;
        self.say(|| format!("app {app}: dyno {dyno} is new, or all of it: {again}"));
        match again {
            true => self.changes.push(Update::Remove(app_name(app).into())),
            false => self.lives[app][dyno] += 1,
        }
        let version = self.changes.len() as u64;
        let spec = spec(app, version, &self.lives[app]);
        self.changes.push(Update::Put(spec));
    }

    /// It begins with what is on its disk, which may not be all that it had read.
    pub(super) fn load_apps(&mut self, at: usize, core: &mut Mesh) {
        let lost = match self.faults {
            true => self.rng.random_range(0..3),
            false => 0,
        };
        let time = self.time(at);
        let node = &mut self.nodes[at];
        node.applied = node.applied.saturating_sub(lost).max(APPS);
        for update in &self.changes[..node.applied] {
            core.apply(update, time);
        }
    }

    pub(super) fn read_apps(&mut self, at: usize) {
        while self.nodes[at].applied < self.changes.len()
            && self.nodes[at].deaf_until <= self.now
            && self.nodes[at].reads_at <= self.now
        {
            let (time, delay) = (self.time(at), self.latency());
            let node = &mut self.nodes[at];
            let Some(core) = &mut node.core else { return };
            core.apply(&self.changes[node.applied], time);
            node.applied += 1;
            node.reads_at = self.now + delay;
        }
    }
}
