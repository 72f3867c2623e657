//! Time passes.

use mesh::Output;

use super::{Reference, Session};

impl Reference {
    /// Everything due at this very moment.
    pub(crate) fn timeout(&mut self) {
        let now = self.now;
        loop {
            // Those with the same deadline give up in any order.
            let due: Vec<_> = self
                .waiters
                .iter()
                .filter(|w| w.deadline <= now)
                .cloned()
                .collect();
            if due.is_empty() {
                break;
            }
            let next = match self.outputs.front() {
                Some(Output::Answer(a)) => (a.session, a.ask),
                other => panic!("{} waited too long, and {other:?} is said", due.len()),
            };
            let waiter = due
                .iter()
                .find(|w| (w.session, w.ask) == next)
                .expect("it is due");
            let reason = self.too_late(waiter.app);
            self.refuse(waiter, reason);
            self.end_episode(waiter.app);
        }
        for id in self.apps.iter().map(|app| app.id).collect::<Vec<_>>() {
            let index = self.index(id).unwrap();
            for dyno in 0..self.apps[index].dynos.len() {
                if self.apps[index].dynos[dyno]
                    .quarantine
                    .is_some_and(|until| until <= now)
                {
                    self.apps[index].dynos[dyno].quarantine = None;
                    self.serve(id);
                }
            }
        }
        let over = |s: &&Session| s.lost_until.is_some_and(|until| until <= now);
        for session in self
            .sessions
            .iter()
            .filter(over)
            .map(|s| s.key)
            .collect::<Vec<_>>()
        {
            self.close(session);
        }
        let patience = self.limits.node_patience;
        let nodes = self.nodes.iter();
        let silent = nodes.filter(|(_, node)| node.heard + patience <= now);
        for node in silent.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.node_gone(node);
        }
        if self
            .recovery
            .as_ref()
            .is_some_and(|(_, until)| *until <= now)
        {
            self.end_recovery();
        }
        self.hint();
    }
}
