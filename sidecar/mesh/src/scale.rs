//! Hints how many dynos an app wants, for apps with the setting and a limit on
//! what a dyno gets at once: without one nobody ever waits.
//!
//! **More.** Whoever came since the first in the queue came waits still, so as many
//! requests arrive in that time. Beside what the dynos took in a time that was
//! measured while somebody waited, it says how many times as many dynos keep up; a
//! few more catch up with the queue within [`CATCH_UP`]. It is never more than
//! would have everybody served at once.
//!
//! **Fewer.** When most requests in flight at any moment of a [`SCALE_WINDOW`]
//! would have fitted on three quarters of the dynos.

use std::time::Duration;

use crate::{AppKey, Event, Mesh, Output, ScaleHint, Settings, Time, app::App, timers::Timer};

/// While somebody waits too long, it is said once in this time.
pub const HINT_EVERY: Duration = Duration::from_secs(1);
/// The time in which so many dynos would have caught up with the queue.
pub const CATCH_UP: Duration = Duration::from_secs(10);
/// How long an app had more dynos than it needed before that is said. It begins
/// anew whenever a dyno comes or goes.
pub const SCALE_WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Scale {
    /// The next look at who waits; only while somebody may.
    pub(crate) look: Option<Time>,
    /// End of the window; only with dynos to spare.
    pub(crate) window: Option<Time>,
    /// Since when it is counted what the dynos take, and the count then.
    since: Time,
    routed: u64,
}

impl Mesh {
    /// Somebody waits: in a while, look how long.
    pub(crate) fn watch_wait(&mut self, key: AppKey, now: Time) {
        let app = &mut self.apps[key.0 as usize];
        let routed = app.counters.routed;
        let Some(scale) = app.scale.as_deref_mut().filter(|s| s.look.is_none()) else {
            return;
        };
        (scale.since, scale.routed) = (now, routed);
        let span = app.settings().scale_wait.unwrap_or(HINT_EVERY);
        self.set_busy_look(key, Some(now + span));
    }

    /// The timer fired: somebody waited, and may wait still.
    pub(crate) fn look_busy(&mut self, key: AppKey, now: Time) {
        self.set_busy_look(key, None);
        let recovering = self.is_recovering();
        let app = &mut self.apps[key.0 as usize];
        let (Some(span), Some(first)) = (app.settings().scale_wait, app.queue.first()) else {
            return;
        };
        let oldest_wait = self.waiters[first.0 as usize].request.wait(now);
        let routed = app.counters.routed;
        let Some(scale) = app.scale.as_deref_mut() else {
            return;
        };
        let taken = (now.since(scale.since), routed - scale.routed);
        // Who waits for a dyno to come up, or for workers to report, is another matter.
        let hint = oldest_wait >= span && app.census.running() > 0 && !recovering;
        if hint || taken.0 >= HINT_EVERY {
            (scale.since, scale.routed) = (now, routed);
        }
        let next = match hint {
            true => HINT_EVERY,
            false => span.min(HINT_EVERY),
        };
        if hint {
            let wanted = more(app, oldest_wait, taken);
            self.say_scale(key, oldest_wait, wanted);
        }
        self.set_busy_look(key, Some(now + next));
    }

    /// The timer fired: were there dynos to spare?
    pub(crate) fn end_window(&mut self, key: AppKey, now: Time) {
        self.set_window(key, None);
        let recovering = self.is_recovering();
        let app = &mut self.apps[key.0 as usize];
        let limit = app.terms().limit.unwrap_or(u32::MAX);
        let wanted = app.peak.div_ceil(limit).max(1);
        let spare = u64::from(wanted) * 4 <= u64::from(app.census.expected()) * 3;
        app.peak = app.requests();
        if spare && app.queue.is_empty() && !recovering {
            self.say_scale(key, Duration::ZERO, wanted);
        }
        self.set_window(key, Some(now + SCALE_WINDOW));
    }

    /// After a change of the app: what shall be looked at?
    pub(crate) fn review_scale(&mut self, key: AppKey, old: &Settings, dynos: u32, now: Time) {
        let app = &mut self.apps[key.0 as usize];
        let limit = app.terms().limit;
        if app.settings().scale_wait.is_none() || limit.is_none() {
            return self.stop_scale(key);
        }
        app.scale.get_or_insert_default();
        let same = dynos == app.census.expected()
            && (old.scale_wait, old.default_limit()) == (app.settings().scale_wait, limit);
        // A dyno that comes back brings its leases.
        app.peak = app.peak.max(app.requests());
        if !same {
            app.peak = app.requests();
            let window = (app.census.expected() > 1).then(|| now + SCALE_WINDOW);
            self.set_window(key, window);
        }
        if !self.apps[key.0 as usize].queue.is_empty() {
            self.watch_wait(key, now);
        }
    }

    /// Nobody is told of this app any more.
    pub(crate) fn stop_hints(&mut self, key: AppKey) {
        self.end_idle(key);
        self.set_idle_look(key, None);
        self.stop_scale(key);
    }

    fn stop_scale(&mut self, key: AppKey) {
        self.set_busy_look(key, None);
        self.set_window(key, None);
        self.apps[key.0 as usize].scale = None;
    }

    fn say_scale(&mut self, key: AppKey, oldest_wait: Duration, wanted: u32) {
        let app = &self.apps[key.0 as usize];
        let hint = ScaleHint {
            app: app.name.clone(),
            waiting: app.queue.len(),
            oldest_wait,
            in_flight: app.requests(),
            dynos: app.census.expected(),
            wanted,
        };
        self.outputs.push_back(Output::Event(Event::Scale(hint)));
    }

    fn set_busy_look(&mut self, key: AppKey, look: Option<Time>) {
        if let Some(scale) = &mut self.apps[key.0 as usize].scale {
            let old = std::mem::replace(&mut scale.look, look);
            self.timers.replace(old, look, Timer::Busy(key));
        }
    }

    fn set_window(&mut self, key: AppKey, window: Option<Time>) {
        if let Some(scale) = &mut self.apps[key.0 as usize].scale {
            let old = std::mem::replace(&mut scale.window, window);
            self.timers.replace(old, window, Timer::Window(key));
        }
    }
}

/// How many dynos keep up and catch up. `taken`: how many requests got a dyno, in
/// what time.
fn more(app: &App, oldest_wait: Duration, taken: (Duration, u64)) -> u32 {
    let (running, in_flight) = (f64::from(app.census.running()), f64::from(app.requests()));
    let waiting = f64::from(app.queue.len());
    let each = (in_flight / running).max(1.0);
    let all_at_once = (in_flight + waiting) / each;
    let wait = oldest_wait.as_secs_f64();
    let arriving = waiting / wait + waiting / CATCH_UP.as_secs_f64();
    let taking = taken.1 as f64 / taken.0.as_secs_f64();
    // None was taken: the ratio is infinite, or none at all.
    let keeping_up = running * (arriving / taking);
    let wanted = keeping_up.min(all_at_once).ceil();
    // What there is does not do.
    (wanted as u32).max(app.census.running() + 1)
}

#[cfg(test)]
mod tests;
