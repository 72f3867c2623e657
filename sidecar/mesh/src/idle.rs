//! Apps that nobody asks for, so that their dynos can be stopped.
//!
//! One timer for each app that has the setting and a dyno, and no other work: the
//! end of a request leaves its time, and the timer, when it fires, looks whether
//! that was long enough ago, or when it will be.

use crate::{AppKey, Event, Mesh, Output, Settings, Time, timers::Timer};

#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// When it last had a request in flight or waiting, or got its first dyno.
    pub(crate) last_active: Time,
    /// It was said to be idle in this episode.
    pub(crate) said: bool,
}

impl Mesh {
    /// A request of this app ended just now, perhaps its last.
    pub(crate) fn note_active(&mut self, key: AppKey, now: Time) {
        self.apps[key.0 as usize].idle.last_active = now;
    }

    /// It has a request: the episode is over.
    pub(crate) fn end_idle(&mut self, key: AppKey) {
        let idle = &mut self.apps[key.0 as usize].idle;
        if idle.said {
            idle.said = false;
            self.idle.remove(&key);
        }
    }

    /// After a change of the app: shall it be looked at?
    pub(crate) fn review_idle(&mut self, key: AppKey, old: &Settings, dynos: u32, now: Time) {
        let app = &mut self.apps[key.0 as usize];
        let wanted = app.settings().idle_timeout;
        let wanted = wanted.filter(|_| app.census.expected() > 0);
        if dynos == 0 {
            app.idle.last_active = now;
        }
        if wanted.is_none()
            || app.requests() + app.away > 0
            || app.settings().idle_timeout != old.idle_timeout
        {
            self.end_idle(key);
        }
        let app = &mut self.apps[key.0 as usize];
        let look = wanted.map(|span| app.idle.last_active + span);
        let kept = app.settings().idle_timeout == old.idle_timeout && app.idle_look.is_some();
        match look {
            Some(_) if kept => {}
            Some(at) if at <= now => self.look_idle(key, now),
            look => self.set_idle_look(key, look),
        }
    }

    /// The timer fired.
    pub(crate) fn look_idle(&mut self, key: AppKey, now: Time) {
        // Who holds what is not known yet.
        let recovering = self.is_recovering();
        let app = &mut self.apps[key.0 as usize];
        let Some(span) = app.settings().idle_timeout else {
            return;
        };
        let requests = app.requests() + app.away > 0 || !app.queue.is_empty();
        if recovering || requests {
            app.idle.last_active = now;
        }
        let due = app.idle.last_active + span;
        if due > now {
            return self.set_idle_look(key, Some(due));
        }
        if !app.idle.said {
            app.idle.said = true;
            self.idle.insert(key);
            let event = self.idle_event(key);
            self.outputs.push_back(Output::Event(event));
        }
        self.set_idle_look(key, Some(now + span));
    }

    pub(crate) fn idle_event(&self, key: AppKey) -> Event {
        let app = self.apps[key.0 as usize].name.clone();
        Event::Idle { app }
    }

    pub(crate) fn set_idle_look(&mut self, key: AppKey, look: Option<Time>) {
        let app = &mut self.apps[key.0 as usize];
        let old = std::mem::replace(&mut app.idle_look, look);
        self.timers.replace(old, look, Timer::Idle(key));
    }
}

#[cfg(test)]
mod tests;
