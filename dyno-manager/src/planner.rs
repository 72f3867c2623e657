//! What to start and what to stop for one app: pure decisions.
//!
//! What happened and the time go in; what to do with processes comes out of
//! [`Planner::poll`], and [`Planner::dynos`] is what the sidecar shall know. So
//! nothing here waits, and a lost message is made good by telling it all again.

mod backoff;
mod dyno;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use crate::config::AppConfig;
use backoff::Backoff;
pub(crate) use dyno::{Action, Dyno, Input, Phase, Start, Time};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Planner {
    app: AppConfig,
    dynos: Vec<Dyno>,
    wanted: u32,
    backoff: Backoff,
    /// Starts so far.
    starts: u64,
    stopping: bool,
    actions: VecDeque<Action>,
}

impl Planner {
    /// `seed` is for the jitter.
    pub(crate) fn new(app: AppConfig, seed: u64) -> Self {
        Self {
            wanted: app.min,
            app,
            dynos: Vec::new(),
            backoff: Backoff::new(seed),
            starts: 0,
            stopping: false,
            actions: VecDeque::new(),
        }
    }

    pub(crate) fn dynos(&self) -> &[Dyno] {
        &self.dynos
    }

    /// Nothing is left to end.
    pub(crate) fn is_over(&self) -> bool {
        self.stopping && self.dynos.is_empty()
    }

    /// Until when nothing is started, and after how many crashes in a row.
    pub(crate) fn backoff(&self) -> (u32, Time) {
        self.backoff.state()
    }

    pub(crate) fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Need => self.wanted = self.wanted.max(1),
            Input::Scale {
                wanted,
                waiting: true,
            } => self.wanted = self.wanted.max(wanted),
            Input::Scale { wanted, .. } => self.wanted = self.wanted.min(wanted),
            Input::Idle => self.wanted = 0,
            Input::Healthy(start) => {
                if let Some(dyno) = self.find(start)
                    && matches!(dyno.phase, Phase::Starting { .. })
                {
                    dyno.phase = Phase::Up { since: now };
                }
            }
            Input::Drained(start) => {
                if let Some(dyno) = self.find(start)
                    && matches!(dyno.phase, Phase::Draining { .. })
                {
                    self.stop(start, false, now);
                }
            }
            Input::Exited(start) => self.exited(start, now),
            Input::Shutdown => self.stopping = true,
        }
        self.settle(now);
    }

    /// When to call [`Planner::pass`] if nothing happens before.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let limits = self.dynos.iter().filter_map(|dyno| match dyno.phase {
            Phase::Starting { limit } | Phase::Draining { limit } => Some(limit),
            Phase::Stopping { limit, .. } => Some(limit),
            Phase::Crashed => Some(self.backoff.until()),
            Phase::Up { .. } => None,
        });
        limits.min()
    }

    /// Time has passed.
    pub(crate) fn pass(&mut self, now: Time) {
        for dyno in self.dynos.clone() {
            match dyno.phase {
                // It gets no time to end well: it did not begin.
                Phase::Starting { limit } if limit <= now => {
                    self.stop(dyno.start, true, now);
                    self.crashed(None, now);
                }
                Phase::Draining { limit } if limit <= now => self.stop(dyno.start, false, now),
                Phase::Stopping { limit, .. } if limit <= now => self.kill(dyno.start, now),
                _ => {}
            }
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn find(&mut self, start: Start) -> Option<&mut Dyno> {
        self.dynos.iter_mut().find(|dyno| dyno.start == start)
    }

    /// How many shall be there.
    fn target(&self) -> u32 {
        match self.stopping {
            true => 0,
            false => self.wanted.clamp(self.app.min, self.app.max),
        }
    }

    fn exited(&mut self, start: Start, now: Time) {
        let stopping = self.stopping;
        let Some(dyno) = self.find(start) else { return };
        let (crash, up) = match dyno.phase {
            Phase::Starting { .. } => (true, None),
            Phase::Up { since } => (true, Some(now - since)),
            // This was said when its time was up.
            Phase::Stopping { crash: true, .. } if !stopping => {
                dyno.phase = Phase::Crashed;
                return;
            }
            Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Crashed => (false, None),
        };
        if crash && !stopping {
            dyno.phase = Phase::Crashed;
            self.crashed(up, now);
        } else {
            self.dynos.retain(|dyno| dyno.start != start);
        }
    }

    fn crashed(&mut self, up: Option<Duration>, now: Time) {
        self.backoff.crashed(up, now);
        // Who still wants an app that has nothing left will say so again.
        if self.coming() == 0 {
            self.wanted = 0;
        }
    }

    fn is_coming(dyno: &Dyno) -> bool {
        matches!(dyno.phase, Phase::Starting { .. } | Phase::Up { .. })
    }

    fn coming(&self) -> u32 {
        self.dynos
            .iter()
            .filter(|dyno| Self::is_coming(dyno))
            .count() as u32
    }

    /// Makes of what there is what shall be there.
    fn settle(&mut self, now: Time) {
        while self.coming() > self.target() {
            self.one_less(now);
        }
        if self.backoff.until() > now && !self.stopping {
            return;
        }
        while self.coming() < self.target() {
            self.one_more(now);
        }
        // They are tried again, or nobody needs them: what follows is another story.
        self.dynos.retain(|dyno| dyno.phase != Phase::Crashed);
    }

    fn one_more(&mut self, now: Time) {
        let taken = |slot: u32| self.dynos.iter().any(|dyno| dyno.slot == slot);
        let slot = (1..).find(|slot| !taken(*slot)).unwrap_or(u32::MAX);
        self.starts += 1;
        let start = Start(self.starts);
        let limit = now + self.app.boot_timeout;
        self.dynos.push(Dyno {
            start,
            slot,
            phase: Phase::Starting { limit },
        });
        self.actions.push_back(Action::Start(start));
    }

    /// One that is not up yet has nothing to lose; of the others the newest goes.
    fn one_less(&mut self, now: Time) {
        let is_starting = |dyno: &&Dyno| matches!(dyno.phase, Phase::Starting { .. });
        let starting = self.dynos.iter().rev().find(is_starting).copied();
        let newest = self.dynos.iter().rev().find(|dyno| Self::is_coming(dyno));
        match (starting, newest.copied()) {
            (Some(dyno), _) => self.stop(dyno.start, false, now),
            (None, Some(dyno)) => {
                let limit = now + self.app.drain_timeout;
                if let Some(dyno) = self.find(dyno.start) {
                    dyno.phase = Phase::Draining { limit };
                }
            }
            (None, None) => {}
        }
    }

    fn stop(&mut self, start: Start, crash: bool, now: Time) {
        let limit = now + self.app.stop_timeout;
        if let Some(dyno) = self.find(start) {
            dyno.phase = Phase::Stopping { limit, crash };
            let action = if crash {
                Action::Kill(start)
            } else {
                Action::Term(start)
            };
            self.actions.push_back(action);
        }
    }

    /// And again after the same time, should that not help.
    fn kill(&mut self, start: Start, now: Time) {
        let again = now + self.app.stop_timeout;
        if let Some(dyno) = self.find(start)
            && let Phase::Stopping { limit, .. } = &mut dyno.phase
        {
            *limit = again;
            self.actions.push_back(Action::Kill(start));
        }
    }
}
