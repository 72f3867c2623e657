//! Faults: what breaks, dies and comes back.

use rand::RngExt;

use super::{Event, ROUTERS, World, millis};
use crate::router::Router;

impl World {
    pub(super) fn fault(&mut self) {
        if self.now < self.end {
            let span = self.about(millis(250));
            self.after(span, Event::Fault);
        }
        let router = self.rng.random_range(0..ROUTERS);
        match self.rng.random_range(0..24) {
            0..=9 => self.break_connection(router),
            10..=12 => self.die(router),
            13 => self.restart(),
            14..=17 => self.freeze(router),
            _ => {
                let alive = self.fleet.processes.iter().filter(|(_, p)| p.alive);
                let all: Vec<_> = alive.map(|(instance, _)| instance.clone()).collect();
                if !all.is_empty() {
                    let instance = all[self.rng.random_range(0..all.len())].clone();
                    self.say(|| format!("{instance} crashes"));
                    self.report.crashed += 1;
                    let running = self.fleet.crash(&instance);
                    self.lost(running);
                }
            }
        }
    }

    /// The worker is back before the grace is over, perhaps before the sidecar
    /// has noticed anything.
    fn break_connection(&mut self, router: usize) {
        // One that stands still would not be back in time.
        if self.routers[router].frozen.is_some() {
            return;
        }
        let Some(connection) = self.routers[router].disconnect() else {
            return;
        };
        self.say(|| format!("connection {connection} breaks"));
        self.report.broken += 1;
        let (noticed, back) = (self.rng.random_range(0..400), self.rng.random_range(1..400));
        self.forget_messages(connection);
        self.after(millis(noticed), Event::Noticed { connection });
        self.after(millis(back), Event::Connect { router });
    }

    /// What is on its way is lost.
    fn forget_messages(&mut self, connection: u64) {
        self.events.retain(|_, event| match event {
            Event::ToSidecar(to, _) => *to != connection,
            _ => true,
        });
    }

    /// The worker's process ends, and with it everything that it was doing.
    fn die(&mut self, router: usize) {
        self.report.died += 1;
        let dead = self.routers[router].worker;
        self.say(|| format!("worker {dead:?} dies"));
        for process in self.fleet.processes.values_mut() {
            process.running.retain(|(_, worker, _)| *worker != dead.0);
        }
        self.report.failed += self.routers[router].requests.len() as u64;
        let connection = self.routers[router].connection;
        self.workers += 1;
        let old = std::mem::replace(&mut self.routers[router], Router::new(self.workers));
        let connects = |event: &Event| matches!(event, Event::Connect { .. });
        if old.frozen.iter().flatten().any(connects) {
            self.after(millis(0), Event::Connect { router });
        }
        // Without a connection it was about to come back: so will the new one.
        if let Some(connection) = connection {
            self.forget_messages(connection);
            let back = self.rng.random_range(1..300);
            self.after(millis(back), Event::Connect { router });
            match self.chance(50.0) {
                true => self.sidecar.disconnected(connection, false, self.now),
                false => self.after(millis(back / 2), Event::Noticed { connection }),
            }
        }
        let known = self.rng.random_range(0..8_000);
        self.after(millis(known), Event::WorkerKnownDead(dead));
    }

    fn restart(&mut self) {
        if self.sidecar.mesh.is_none() {
            return;
        }
        self.report.restarts += 1;
        self.say(|| "the sidecar stops".into());
        self.sidecar.stop();
        self.forget_changes();
        for router in 0..ROUTERS {
            if let Some(connection) = self.routers[router].disconnect() {
                self.forget_messages(connection);
                let back = self.rng.random_range(1..1_000);
                self.after(millis(back), Event::Connect { router });
            }
        }
        let down = self.rng.random_range(1..1_000);
        self.after(millis(down), Event::SidecarStarts);
    }
}
