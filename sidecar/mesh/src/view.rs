//! What the mesh looks like at this moment, for people and tools.

use std::{ops::Bound, sync::Arc, time::Duration};

use crate::{AppKey, AppSpec, DynoKey, DynoState, Mesh, Time, dyno::Dyno};

pub use choice::{Candidate, Choice};

/// What happened to requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counters {
    /// Got a dyno.
    pub routed: u64,
    /// Of these, had to wait.
    pub queued: u64,
    /// Got none.
    pub refused: u64,
    /// The client left while it waited.
    pub cancelled: u64,
    /// Of those that got a dyno, without the app's owner: a limit may have been passed.
    pub loose: u64,
}

/// An app, and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct AppView {
    /// As configured.
    pub spec: AppSpec,
    /// Leases out.
    pub in_flight: u32,
    /// Requests waiting.
    pub waiting: u32,
    /// How long the first one has waited.
    pub oldest_wait: Duration,
    /// In the order of `spec.dynos`, all or the first.
    pub dynos: Vec<DynoView>,
    /// Since the start.
    pub counters: Counters,
}

/// A dyno, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynoView {
    /// Leases that it has. What routers have reserved of it counts only when it is not
    /// up: no more is given out, and whoever stops it must not be too early.
    pub load: u32,
    /// Requests that other nodes have there.
    pub elsewhere: u32,
    /// The limit in force.
    pub limit: Option<u32>,
    /// Time left in quarantine.
    pub quarantine: Duration,
}

/// What an app does, in figures alone: they are taken of all apps again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFigures {
    /// Which app.
    pub name: Arc<str>,
    /// Leases out.
    pub in_flight: u32,
    /// Requests that other nodes have at its dynos.
    pub elsewhere: u32,
    /// Requests waiting.
    pub waiting: u32,
    /// How long the first one has waited.
    pub oldest_wait: Duration,
    /// Requests that its dynos that are up may have at once; `None`: any number.
    pub capacity: Option<u32>,
    /// Its dynos.
    pub dynos: DynoCounts,
}

/// How many dynos are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "see `DynoState`")]
pub struct DynoCounts {
    pub starting: u32,
    /// Without those in quarantine.
    pub up: u32,
    pub quarantined: u32,
    pub draining: u32,
    pub down: u32,
    pub crashed: u32,
}

impl DynoCounts {
    fn count(&mut self, dyno: &Dyno) {
        let field = match (dyno.state, dyno.quarantine) {
            (DynoState::Up, Some(_)) => &mut self.quarantined,
            (DynoState::Up, None) => &mut self.up,
            (DynoState::Starting, _) => &mut self.starting,
            (DynoState::Draining, _) => &mut self.draining,
            (DynoState::Down, _) => &mut self.down,
            (DynoState::Crashed, _) => &mut self.crashed,
        };
        *field += 1;
    }

    /// More of them.
    pub fn add(&mut self, more: &Self) {
        self.starting += more.starting;
        self.up += more.up;
        self.quarantined += more.quarantined;
        self.draining += more.draining;
        self.down += more.down;
        self.crashed += more.crashed;
    }

    /// All of them.
    pub fn sum(&self) -> u32 {
        self.starting + self.up + self.quarantined + self.draining + self.down + self.crashed
    }
}

/// The mesh as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Apps.
    pub apps: usize,
    /// Dynos of all apps.
    pub dynos: usize,
    /// Sessions, broken ones in their grace included.
    pub sessions: usize,
    /// Leases out.
    pub leases: usize,
    /// Requests waiting.
    pub waiting: usize,
    /// Requests and leases of which others decide.
    pub away: usize,
    /// Of all apps, deleted ones included.
    pub counters: Counters,
}

impl Mesh {
    /// An app by name.
    pub fn app(&self, name: &str, now: Time) -> Option<AppView> {
        self.glance(name, usize::MAX, now)
    }

    /// The same with what no more than so many of its dynos do.
    pub fn glance(&self, name: &str, dynos: usize, now: Time) -> Option<AppView> {
        let key = self.by_name.get(name)?;
        Some(self.view(*key, dynos, now))
    }

    /// As configured, without what it does.
    pub fn spec(&self, name: &str) -> Option<AppSpec> {
        self.by_name.get(name).map(|key| self.spec_of(*key))
    }

    /// Looks at up to `steps` apps in the order of their names, from after
    /// `after`, and hands them (or only the busy ones) to `each`, until it says
    /// `false`. Returns what to pass as `after` to go on, or `None` at the end.
    pub fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        steps: usize,
        busy_only: bool,
        now: Time,
        mut each: impl FnMut(AppView) -> bool,
    ) -> Option<Box<str>> {
        let start = match after {
            Some(name) if name >= prefix => Bound::Excluded(name),
            _ => Bound::Included(prefix),
        };
        let range = self.by_name.range::<str, _>((start, Bound::Unbounded));
        let mut here = range
            .take_while(|(name, _)| name.starts_with(prefix))
            .peekable();
        for step in 1.. {
            let (name, key) = here.next()?;
            let app = &self.apps[key.0 as usize];
            let busy = app.requests() > 0 || !app.queue.is_empty();
            let more = !busy && busy_only || each(self.view(*key, usize::MAX, now));
            if !more || step >= steps {
                return here.peek().map(|_| (**name).into());
            }
        }
        None
    }

    /// The figures of up to `steps` apps from after `after`, in the order of their names,
    /// until `each` says `false`. Returns what to pass as `after` to go on.
    pub fn survey(
        &self,
        after: Option<&str>,
        steps: usize,
        now: Time,
        mut each: impl FnMut(AppFigures) -> bool,
    ) -> Option<Arc<str>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut here = self.by_name.range::<str, _>((start, Bound::Unbounded));
        for step in 1.. {
            let (_, key) = here.next()?;
            let figures = self.figures(*key, now);
            let name = figures.name.clone();
            if !each(figures) || step >= steps {
                return Some(name);
            }
        }
        None
    }

    fn figures(&self, key: AppKey, now: Time) -> AppFigures {
        let app = &self.apps[key.0 as usize];
        let mut figures = AppFigures {
            name: app.name.clone(),
            in_flight: app.requests(),
            elsewhere: 0,
            waiting: app.queue.len(),
            oldest_wait: self.oldest_wait(key, now),
            capacity: Some(0),
            dynos: DynoCounts::default(),
        };
        for dyno in app.dynos.iter().map(|d| &self.dynos[d.0 as usize]) {
            figures.dynos.count(dyno);
            figures.elsewhere = figures.elsewhere.saturating_add(dyno.elsewhere);
            if dyno.state == DynoState::Up {
                let limit = dyno.limit(app.terms());
                let sum = |all: u32| limit.map(|limit| all.saturating_add(limit));
                figures.capacity = figures.capacity.and_then(sum);
            }
        }
        figures
    }

    fn oldest_wait(&self, key: AppKey, now: Time) -> Duration {
        let first = self.apps[key.0 as usize].queue.first();
        first.map_or(Duration::ZERO, |w| {
            now.since(self.waiters[w.0 as usize].request.arrived)
        })
    }

    /// The mesh as a whole.
    pub fn totals(&self) -> Totals {
        Totals {
            apps: self.by_name.len(),
            dynos: self.dynos.len() - self.retired,
            sessions: self.sessions.len(),
            leases: self.leases - self.reserved,
            waiting: self.waiters.len(),
            away: self.away.requests.len(),
            counters: self.counters,
        }
    }

    fn view(&self, key: AppKey, dynos: usize, now: Time) -> AppView {
        let app = &self.apps[key.0 as usize];
        let view = |key: DynoKey, dyno: &Dyno| DynoView {
            load: dyno.visible_load(),
            elsewhere: self.foreign.at(&self.info(key).instance),
            limit: dyno.limit(app.terms()),
            quarantine: dyno
                .quarantine
                .map_or(Duration::ZERO, |until| until.since(now)),
        };
        AppView {
            spec: self.spec_of(key),
            in_flight: app.requests(),
            waiting: app.queue.len(),
            oldest_wait: self.oldest_wait(key, now),
            dynos: app
                .dynos
                .iter()
                .take(dynos)
                .map(|d| view(*d, &self.dynos[d.0 as usize]))
                .collect(),
            counters: app.counters,
        }
    }

    pub(crate) fn spec_of(&self, key: AppKey) -> AppSpec {
        let app = &self.apps[key.0 as usize];
        let dynos = app.dynos.iter().map(|key| self.dyno_spec(*key));
        AppSpec {
            name: (*app.name).into(),
            version: app.version,
            settings: app.settings().clone(),
            maintenance: app.maintenance,
            released: app.released,
            domains: app.domains.clone(),
            rules: app.rules.clone(),
            pages: app.pages.clone(),
            auth: app.auth.clone(),
            sticky: app.sticky.clone(),
            dynos: match app.specs.is_empty() {
                true => dynos.collect(),
                false => app.specs.clone(),
            },
        }
    }
}

mod choice;
#[cfg(test)]
mod tests;
