//! Load between nodes: what others are told of the requests here, and what they
//! tell.
//!
//! What is known of others is never the latest, so it only helps to choose: the
//! least loaded dyno is the one with the least requests of everybody, and one that
//! is at its limit by the sum is left alone, as if all of them were from here.
//! Whoever waits for it is served when either changes. A node that is not heard any
//! more has no requests, so nobody waits for it for long. Leases and limits here
//! never depend on it.

use crate::{
    DynoKey, Mesh, Time,
    foreign::{Heard, LoadReport, MAX_SHARED, NodeId, NodeView, Sums},
    pool::Place,
    timers::Timer,
};

/// What others are to be told.
#[derive(Debug, Default)]
pub(crate) struct Share {
    on: bool,
    /// Dynos with another load than was told, or so it seemed; each once.
    untold: Vec<DynoKey>,
    /// Those that are forgotten, and others were told that they have requests.
    ended: Vec<Box<str>>,
    /// Dynos of which others were told that they have requests.
    told: usize,
    /// There was no room for some.
    left_out: bool,
}

impl Share {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn has_left_out(&self) -> bool {
        self.left_out
    }

    pub(crate) fn untold(&self, at: Place) -> Option<DynoKey> {
        self.untold.get(at.index()).copied()
    }

    pub(crate) fn check(&self, untold: usize, told: usize) -> Result<(), String> {
        match (untold, told) == (self.untold.len(), self.told) {
            true => Ok(()),
            false => Err(format!(
                "{untold} untold, {told} told, not {}, {}",
                self.untold.len(),
                self.told
            )),
        }
    }
}

impl Mesh {
    /// From now on it is remembered what others are to be told. To be called
    /// before anybody has a lease.
    pub fn share_load(&mut self) {
        self.share.on = true;
    }

    /// There is something to tell.
    pub fn has_untold(&self) -> bool {
        !self.share.untold.is_empty() || !self.share.ended.is_empty()
    }

    /// Something to tell: up to `most` dynos, by instance, with the requests that
    /// they have from here. What is reserved is none. At [`MAX_SHARED`] dynos,
    /// others that have requests are left out.
    pub fn poll_untold(&mut self, most: usize) -> Vec<(Box<str>, u32)> {
        let ended = self.share.ended.len().min(most);
        let ended = self.share.ended.drain(..ended);
        let mut loads: Vec<_> = ended.map(|instance| (instance, 0)).collect();
        while loads.len() < most
            && let Some(key) = self.share.untold.pop()
        {
            let dyno = &mut self.dynos[key.0 as usize];
            dyno.untold = None;
            let load = dyno.load - dyno.reserved;
            if load == dyno.told {
                continue;
            }
            if dyno.told == 0 && self.share.told >= MAX_SHARED {
                self.share.left_out = true;
                continue;
            }
            self.share.told += usize::from(dyno.told == 0);
            self.share.told -= usize::from(load == 0);
            dyno.told = load;
            loads.push((self.info(key).instance.clone(), load));
        }
        loads
    }

    /// The load of a dyno changes.
    pub(crate) fn note_untold(&mut self, key: DynoKey) {
        let dyno = &mut self.dynos[key.0 as usize];
        if self.share.on && dyno.untold.is_none() {
            self.share.untold.push(key);
            dyno.untold = Some(Place::last_of(&self.share.untold));
        }
    }

    /// A dyno is about to be forgotten.
    pub(crate) fn forget_untold(&mut self, key: DynoKey) {
        let dyno = &mut self.dynos[key.0 as usize];
        if std::mem::take(&mut dyno.told) > 0 {
            self.share.told -= 1;
            let instance = &self.identities[key.0 as usize].info.instance;
            self.share.ended.push(instance.clone());
        }
        if let Some(at) = dyno.untold.take() {
            self.share.untold.swap_remove(at.index());
            if let Some(moved) = self.share.untold(at) {
                self.dynos[moved.0 as usize].untold = Some(at);
            }
        }
    }

    /// Another node says what requests it has. It is believed for as long as
    /// [`crate::Limits::node_patience`], unless it says more.
    pub fn hear_load(&mut self, report: LoadReport, now: Time) -> Heard {
        let node = report.node;
        let before = self.foreign.heard_of(node);
        let mut changed = Sums::new();
        let heard = self.foreign.report(report, now, &mut changed);
        let after = self.foreign.heard_of(node);
        if before != after {
            self.set_node_timer(node, before, after);
        }
        self.set_elsewhere(changed, now);
        heard
    }

    /// Another node is gone, with all its requests.
    pub fn node_gone(&mut self, node: NodeId, now: Time) {
        self.set_node_timer(node, self.foreign.heard_of(node), None);
        self.drop_node(node, now);
    }

    pub(crate) fn drop_node(&mut self, node: NodeId, now: Time) {
        let mut changed = Sums::new();
        self.foreign.gone(node, &mut changed);
        self.set_elsewhere(changed, now);
    }

    fn set_node_timer(&mut self, node: NodeId, before: Option<Time>, after: Option<Time>) {
        let patience = self.limits.node_patience;
        if let Some(before) = before {
            self.timers.unset(before + patience, Timer::Node(node));
        }
        if let Some(after) = after {
            self.timers.set(after + patience, Timer::Node(node));
        }
    }

    /// Others have so many requests at these dynos now.
    fn set_elsewhere(&mut self, sums: Sums, now: Time) {
        let (mut freer, mut fuller) = (Vec::new(), Vec::new());
        for (instance, sum) in sums {
            // It may not be known here yet, or not any more.
            let Some(key) = self.instances.get(&instance).copied() else {
                continue;
            };
            self.unpool(key);
            let dyno = &mut self.dynos[key.0 as usize];
            let app = dyno.app;
            if self.apps[app.0 as usize].terms().exact.is_some() {
                self.repool(key);
                continue;
            }
            if sum < dyno.elsewhere && !self.apps[app.0 as usize].queue.is_empty() {
                freer.push(app);
            }
            let more = sum > dyno.elsewhere;
            dyno.elsewhere = sum;
            let limit = dyno.limit(self.apps[app.0 as usize].terms());
            if more && limit.is_some_and(|limit| dyno.sum() > limit) {
                fuller.push(app);
            }
            self.repool(key);
        }
        // Two nodes chose the same dyno: what it has too much is not handed on.
        fuller.sort_unstable();
        fuller.dedup();
        for app in fuller {
            self.renew_edition(app);
        }
        // Whoever waits has the best of all of them.
        freer.sort_unstable();
        freer.dedup();
        for app in freer {
            self.serve_free(app, now);
        }
    }

    /// Other nodes that were heard.
    pub fn nodes(&self, now: Time) -> Vec<NodeView> {
        self.foreign.view(now)
    }

    /// How many those are.
    pub fn node_count(&self) -> usize {
        self.foreign.len()
    }
}

#[cfg(test)]
mod tests;
