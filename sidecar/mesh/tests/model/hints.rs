//! The model's idea of what dyno managers are told.

use std::time::Duration;

use mesh::{
    CATCH_UP, DynoState, Event, HINT_EVERY, Output, Policy, SCALE_WINDOW, ScaleHint, Settings, Time,
};

use crate::reference::{App, Reference};

#[derive(Default)]
pub(crate) struct Hints {
    /// It had requests when last seen.
    active: bool,
    last_active: Time,
    said_idle: bool,
    routed: u64,
    peak: u32,
    /// Next look at who waits, since when is counted, and from what.
    look: Option<Time>,
    since: Time,
    routed_then: u64,
    window: Option<Time>,
}

/// What an app's dynos get at most, if it is hinted for.
fn scales(settings: &Settings) -> Option<u32> {
    let usual = (settings.policy == Policy::IdleOnly).then_some(1);
    let limit = settings.dyno_limit.or(usual);
    limit.filter(|_| settings.scale_wait.is_some())
}

impl Reference {
    pub(crate) fn expected(&self, index: usize) -> u32 {
        let coming = |state| matches!(state, DynoState::Up | DynoState::Starting);
        let dynos = &self.apps[index].spec.dynos;
        dynos.iter().filter(|d| coming(d.state)).count() as u32
    }

    fn running(app: &App) -> u32 {
        let dynos = app.spec.dynos.iter().zip(&app.dynos);
        dynos
            .filter(|(d, trust)| d.state == DynoState::Up && trust.quarantine.is_none())
            .count() as u32
    }

    fn idle_due(&self, app: &App) -> Option<Time> {
        let index = self.index(app.id).unwrap();
        let span = app.spec.settings.idle_timeout?;
        let quiet = !app.hints.active && !app.hints.said_idle && self.expected(index) > 0;
        quiet.then(|| app.hints.last_active + span)
    }

    pub(crate) fn next_hints(&self, app: &App) -> impl Iterator<Item = Time> + use<> {
        let idle = self.idle_due(app);
        idle.into_iter()
            .chain(app.hints.look)
            .chain(app.hints.window)
    }

    /// Some timer of the mesh may be there for nothing.
    pub(crate) fn may_be_idle(&self) -> bool {
        let mut apps = self.apps.iter().enumerate();
        apps.any(|(index, app)| {
            app.spec.settings.idle_timeout.is_some() && self.expected(index) > 0
        })
    }

    /// After each step: who has requests, or had until now?
    pub(crate) fn settle(&mut self) {
        for index in 0..self.apps.len() {
            let app = &self.apps[index];
            let active =
                self.in_flight(app) > 0 || self.waiting(app) > 0 || self.recovery.is_some();
            let now = self.now;
            let hints = &mut self.apps[index].hints;
            if active || hints.active {
                hints.last_active = now;
            }
            hints.said_idle &= !active;
            hints.active = active;
        }
    }

    pub(crate) fn note_lease(&mut self, id: u64, routed: u64) {
        if let Some(index) = self.index(id) {
            let in_flight = self.in_flight(&self.apps[index]);
            let hints = &mut self.apps[index].hints;
            hints.routed += routed;
            hints.peak = hints.peak.max(in_flight);
        }
    }

    pub(crate) fn watch_wait(&mut self, id: u64) {
        let (index, now) = (self.index(id).unwrap(), self.now);
        let app = &mut self.apps[index];
        let settings = &app.spec.settings;
        if scales(settings).is_some() && app.hints.look.is_none() {
            app.hints.look = settings.scale_wait.map(|span| now + span);
            (app.hints.since, app.hints.routed_then) = (now, app.hints.routed);
        }
    }

    /// An app was changed.
    pub(crate) fn review(&mut self, index: usize, old: &Settings, dynos: u32) {
        self.settle();
        let (now, expected) = (self.now, self.expected(index));
        let in_flight = self.in_flight(&self.apps[index]);
        let app = &mut self.apps[index];
        let settings = app.spec.settings.clone();
        let new_timeout = settings.idle_timeout != old.idle_timeout;
        app.hints.said_idle &= !new_timeout && expected > 0;
        if dynos == 0 {
            app.hints.last_active = now;
        }
        if new_timeout {
            self.say_idle();
        }
        let app = &mut self.apps[index];
        if scales(&settings).is_none() {
            (app.hints.look, app.hints.window) = (None, None);
            return;
        }
        app.hints.peak = app.hints.peak.max(in_flight);
        let before = (dynos, old.scale_wait, scales(old));
        if before != (expected, settings.scale_wait, scales(&settings)) {
            app.hints.peak = in_flight;
            app.hints.window = (expected > 1).then(|| now + SCALE_WINDOW);
        }
        let id = app.id;
        if self.waiting(&self.apps[index]) > 0 {
            self.watch_wait(id);
        }
    }

    /// Everything to be said at this very moment.
    pub(crate) fn hint(&mut self) {
        self.settle();
        self.say_idle();
        let busy: Vec<_> = (0..self.apps.len()).filter_map(|i| self.look(i)).collect();
        self.say_scale(busy);
        let spare: Vec<_> = (0..self.apps.len())
            .filter_map(|i| self.window(i))
            .collect();
        self.say_scale(spare);
    }

    /// All that are due, in any order.
    fn say_idle(&mut self) {
        let is_due = |app: &&App| self.idle_due(app).is_some_and(|at| at <= self.now);
        let due = self.apps.iter().filter(is_due);
        let mut due: Vec<_> = due.map(|app| app.spec.name.clone()).collect();
        while !due.is_empty() {
            let said = self.outputs.pop_front();
            let Some(Output::Event(Event::Idle { app })) = &said else {
                panic!("{due:?} are idle, and {said:?} is said");
            };
            let at = due.iter().position(|name| **name == **app).unwrap();
            let name = due.swap_remove(at);
            let app = self.apps.iter_mut().find(|app| app.spec.name == name);
            app.unwrap().hints.said_idle = true;
        }
    }

    fn say_scale(&mut self, mut due: Vec<ScaleHint>) {
        while !due.is_empty() {
            let said = self.outputs.pop_front();
            let Some(Output::Event(Event::Scale(hint))) = &said else {
                panic!("{due:?} are due, and {said:?} is said");
            };
            let at = due.iter().position(|other| other == hint);
            due.swap_remove(at.unwrap_or_else(|| panic!("{hint:?} is not among {due:?}")));
        }
    }

    fn scale_hint(&self, index: usize, oldest_wait: Duration, wanted: u32) -> ScaleHint {
        let app = &self.apps[index];
        ScaleHint {
            app: (*app.spec.name).into(),
            waiting: self.waiting(app),
            oldest_wait,
            in_flight: self.in_flight(app),
            dynos: self.expected(index),
            wanted,
        }
    }

    fn look(&mut self, index: usize) -> Option<ScaleHint> {
        let (now, app) = (self.now, &self.apps[index]);
        app.hints.look.filter(|at| *at <= now)?;
        let (running, waiting) = (Self::running(app), self.waiting(app));
        let in_flight = self.in_flight(app);
        let (wait, span) = (self.first_wait(app), app.spec.settings.scale_wait?);
        let recovering = self.recovery.is_some();
        let hints = &mut self.apps[index].hints;
        if waiting == 0 {
            hints.look = None;
            return None;
        }
        let (time, taken) = (now.since(hints.since), hints.routed - hints.routed_then);
        let said = wait >= span && running > 0 && !recovering;
        if said || time >= HINT_EVERY {
            (hints.since, hints.routed_then) = (now, hints.routed);
        }
        let next = if said {
            HINT_EVERY
        } else {
            span.min(HINT_EVERY)
        };
        hints.look = Some(now + next);
        if !said {
            return None;
        }
        let (dynos, waiting) = (f64::from(running), f64::from(waiting));
        let each = (f64::from(in_flight) / dynos).max(1.0);
        let arriving = waiting / wait.as_secs_f64() + waiting / CATCH_UP.as_secs_f64();
        let keeping_up = dynos * (arriving / (taken as f64 / time.as_secs_f64()));
        let at_once = (f64::from(in_flight) + waiting) / each;
        let wanted = keeping_up.min(at_once).ceil() as u32;
        Some(self.scale_hint(index, wait, wanted.max(running + 1)))
    }

    fn window(&mut self, index: usize) -> Option<ScaleHint> {
        let (now, app) = (self.now, &self.apps[index]);
        app.hints.window.filter(|at| *at <= now)?;
        let limit = scales(&app.spec.settings)?;
        let wanted = app.hints.peak.div_ceil(limit).max(1);
        let quiet = self.waiting(app) == 0 && self.recovery.is_none();
        let in_flight = self.in_flight(app);
        let hints = &mut self.apps[index].hints;
        hints.peak = in_flight;
        hints.window = Some(now + SCALE_WINDOW);
        let few = f64::from(wanted) <= f64::from(self.expected(index)) * 0.75;
        (few && quiet).then(|| self.scale_hint(index, Duration::ZERO, wanted))
    }
}
