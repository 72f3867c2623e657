//! What goes wrong.

use std::time::Duration;

use rand::RngExt;

use crate::world::World;

impl World {
    pub(crate) fn go_wrong(&mut self) {
        if !self.chance(2_000) {
            return;
        }
        let at = self.rng.random_range(0..self.nodes.len());
        let span = self.rng.random_range(1_000..5_000_000);
        match self.rng.random_range(0..11) {
            0 | 1 => self.crash(at, span),
            2 => self.freeze(at, span),
            3 => self.cut(at, self.now + span),
            4 => {
                self.report.stalls += 1;
                self.say(|| format!("the log stands still for {span}"));
                self.stalled_until = self.now + span;
            }
            5 => self.leave(at, Duration::from_micros(span)),
            6 => self.join_anew(at),
            7 => {
                let router = self.rng.random_range(0..self.nodes[at].routers.len());
                self.break_session(at, router);
            }
            8 | 9 => self.change_app(),
            _ => {
                let router = self.rng.random_range(0..self.nodes[at].routers.len());
                self.kill_worker(at, router);
            }
        }
    }

    /// From the others, from the log, or from all.
    fn cut(&mut self, at: usize, until: u64) {
        self.report.cuts += 1;
        let kind = self.rng.random_range(0..3);
        let node = &mut self.nodes[at];
        if kind != 1 {
            node.cut_until = until;
        }
        if kind != 2 {
            node.deaf_until = until;
        }
        self.say(|| format!("{at} is cut off until {until}, in way {kind}"));
    }

    fn crash(&mut self, at: usize, span: u64) {
        if self.nodes[at].core.is_none() {
            return;
        }
        self.report.crashes += 1;
        self.say(|| format!("{at} dies, back after {span}"));
        self.stop(at, Some(self.now + span));
    }

    /// What the core has said may not have left the process yet.
    fn freeze(&mut self, at: usize, span: u64) {
        if !self.works(at) {
            return;
        }
        self.report.freezes += 1;
        self.say(|| format!("{at} stands still for {span}"));
        let (now, until) = (self.now, self.now + span);
        self.nodes[at].frozen_until = until;
        if self.rng.random_bool(0.5) {
            for router in &mut self.nodes[at].routers {
                let late = router.answers.iter_mut().filter(|(due, _)| *due > now);
                late.for_each(|(due, _)| *due = until + 100);
            }
        }
    }

    /// It says so, goes on for a moment, and is started again.
    pub(crate) fn leave(&mut self, at: usize, back: Duration) {
        if !self.works(at) || self.nodes[at].stops_at.is_some() {
            return;
        }
        let time = self.time(at);
        let Some(membership) = &mut self.nodes[at].membership else {
            return;
        };
        membership.leave(time);
        self.report.leaves += 1;
        self.say(|| format!("{at} leaves"));
        self.seat(at);
        let stop = self.now + 300_000;
        let back = u64::try_from(back.as_micros()).unwrap_or(u64::MAX);
        self.nodes[at].stops_at = Some((stop, stop.saturating_add(back)));
    }
}
