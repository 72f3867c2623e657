//! What other nodes do.

use std::collections::BTreeMap;

use mesh::{Output, Time};

use super::Reference;

/// Another node: what it said that counts.
pub(crate) struct Node {
    pub(crate) seq: u64,
    pub(crate) heard: Time,
    pub(crate) in_step: bool,
    pub(crate) loads: BTreeMap<Box<str>, u32>,
}

impl Reference {
    /// Requests of others at this dyno.
    pub(crate) fn elsewhere(&self, instance: &str) -> u32 {
        let loads = self.nodes.values().map(|node| node.loads.get(instance));
        loads.flatten().sum()
    }

    /// A node says what it has: everything, or what changed. Something that it said
    /// before may be `missing`.
    pub(crate) fn report(
        &mut self,
        node: u64,
        is_whole: bool,
        missing: bool,
        loads: &[(Box<str>, u32)],
    ) {
        let node = self.nodes.entry(node).or_insert_with(|| Node {
            seq: 0,
            heard: self.now,
            in_step: false,
            loads: BTreeMap::new(),
        });
        node.seq += 1 + u64::from(missing);
        node.heard = self.now;
        node.in_step = is_whole || node.in_step && !missing;
        if is_whole {
            node.loads.clear();
        }
        if node.in_step {
            node.loads.extend(loads.iter().cloned());
            node.loads.retain(|_, load| *load > 0);
        }
        self.serve_all();
    }

    pub(crate) fn node_gone(&mut self, node: u64) {
        self.nodes.remove(&node);
        self.serve_all();
    }

    /// Those who wait for what is less busy now; whose app is first does not matter.
    fn serve_all(&mut self) {
        while let Some(Output::Answer(answer)) = self.outputs.front() {
            let (session, ask) = (answer.session, answer.ask);
            let mut waiters = self.waiters.iter();
            let waiter = waiters.find(|w| (w.session, w.ask) == (session, ask));
            let app = waiter.expect("somebody who waits is served").app;
            self.serve(app);
        }
        for app in self.apps.iter().map(|app| app.id).collect::<Vec<_>>() {
            self.serve(app);
        }
    }
}
