//! What other nodes do: the requests that each has at which dyno, as it reports
//! them, and whether a report is to be believed.
//!
//! A node says absolute numbers, in messages that it counts: what changed, and now
//! and then everything, in one or several parts. Whoever missed a message believes
//! nothing more of that node before it says everything again; what it said before
//! stands for as long. Nothing here decides about requests.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{MAX_LOAD, Time};

/// Another sidecar: the same after it restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Most other nodes; one more is not listened to.
pub const MAX_NODES: usize = 256;
/// Most dynos that one node has requests at, for others; the rest of them look
/// idle from there.
pub const MAX_SHARED: usize = 16_384;

/// What a node says of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Who.
    pub node: NodeId,
    /// The same, for people.
    pub name: Box<str>,
    /// Greater each time that it starts.
    pub epoch: u64,
    /// One more with each message of this epoch.
    pub seq: u64,
    /// How much of it this is.
    pub extent: Extent,
    /// Requests at each dyno, by its instance.
    pub loads: Vec<(Box<str>, u32)>,
}

/// How much of a node's requests a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What has changed since the message before; also nothing.
    Changes,
    /// A part of everything: what is in none of the parts is idle.
    Part {
        /// It is the first one.
        first: bool,
        /// It is the last one.
        last: bool,
    },
}

/// Everything, in one message.
pub const WHOLE: Extent = Extent::Part {
    first: true,
    last: true,
};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Taken,
    /// A message before it is missing, so the node's next whole report is waited
    /// for.
    Gap,
    /// That whole report is still waited for.
    Waits,
    /// The node has said something newer.
    Stale,
    /// There are too many nodes.
    TooMany,
}

/// Another node, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Who.
    pub node: NodeId,
    /// What it calls itself.
    pub name: Box<str>,
    /// When it was last heard.
    pub age: Duration,
    /// Nothing that it said is missing.
    pub in_step: bool,
    /// Dynos that it has requests at.
    pub dynos: usize,
}

/// How far a node's reports can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something is missing.
    Lost,
    /// It is in the middle of saying everything.
    Filling,
    Whole,
}

#[derive(Debug)]
struct Node {
    name: Box<str>,
    epoch: u64,
    seq: u64,
    step: Step,
    /// Counts whole reports.
    round: u64,
    heard: Time,
    /// By instance, none of them zero.
    shares: HashMap<Box<str>, Share>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    load: u32,
    /// The whole report that it was last said in, or after.
    round: u64,
}

/// New sums, by instance.
pub(crate) type Sums = Vec<(Box<str>, u32)>;

/// All other nodes.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    nodes: BTreeMap<NodeId, Node>,
    /// Requests of all of them, by instance, none of them zero.
    sums: HashMap<Box<str>, u32>,
}

impl Foreign {
    /// Requests that others have at this dyno.
    pub(crate) fn at(&self, instance: &str) -> u32 {
        self.sums.get(instance).copied().unwrap_or(0)
    }

    /// When each was last heard.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (NodeId, Time)> {
        self.nodes.iter().map(|(node, known)| (*node, known.heard))
    }

    pub(crate) fn heard_of(&self, node: NodeId) -> Option<Time> {
        self.nodes.get(&node).map(|known| known.heard)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Takes a report, and adds to `changed` whose sum is another one now.
    pub(crate) fn report(&mut self, report: LoadReport, now: Time, changed: &mut Sums) -> Heard {
        let id = report.node;
        match self.nodes.get(&id) {
            None if self.nodes.len() >= MAX_NODES => return Heard::TooMany,
            Some(node) if report.epoch < node.epoch => return Heard::Stale,
            Some(node) if report.epoch == node.epoch && report.seq <= node.seq => {
                return Heard::Stale;
            }
            // It was started again: what it did before is over.
            Some(node) if report.epoch > node.epoch => self.gone(id, changed),
            _ => {}
        }
        let node = self.nodes.entry(id).or_insert_with(|| Node {
            name: report.name,
            epoch: report.epoch,
            // Whatever came before was not heard.
            seq: report.seq.saturating_sub(1),
            step: Step::Lost,
            round: 0,
            heard: now,
            shares: HashMap::new(),
        });
        let heard = node.advance(report.seq, report.extent, now);
        if heard != Heard::Taken {
            return heard;
        }
        for (instance, load) in report.loads {
            node.set(&mut self.sums, instance, load, changed);
        }
        if let Extent::Part { last: true, .. } = report.extent {
            node.step = Step::Whole;
            let round = node.round;
            let old = node.shares.extract_if(|_, share| share.round != round);
            for (instance, share) in old {
                changed.push(take_off(&mut self.sums, instance, share.load));
            }
        }
        Heard::Taken
    }

    /// A node is gone, with all its requests.
    pub(crate) fn gone(&mut self, node: NodeId, changed: &mut Sums) {
        let shares = self.nodes.remove(&node).map(|node| node.shares);
        for (instance, share) in shares.into_iter().flatten() {
            changed.push(take_off(&mut self.sums, instance, share.load));
        }
    }

    /// All of them, for people.
    pub(crate) fn view(&self, now: Time) -> Vec<NodeView> {
        let view = |(id, node): (&NodeId, &Node)| NodeView {
            node: *id,
            name: node.name.clone(),
            age: now.since(node.heard),
            in_step: node.step != Step::Lost,
            dynos: node.shares.len(),
        };
        self.nodes.iter().map(view).collect()
    }

    /// The sums, computed anew.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut sums: HashMap<Box<str>, u32> = HashMap::new();
        for node in self.nodes.values() {
            if node.shares.len() > MAX_SHARED {
                return Err(format!("{} has too many shares", node.name));
            }
            for (instance, share) in &node.shares {
                *sums.entry(instance.clone()).or_default() += share.load;
                if share.load == 0 {
                    return Err(format!("{} has no request at {instance}", node.name));
                }
            }
        }
        match sums == self.sums {
            true => Ok(()),
            false => Err(format!("{sums:?} elsewhere, not {:?}", self.sums)),
        }
    }
}

impl Node {
    /// The next message. `Taken`: it counts.
    fn advance(&mut self, seq: u64, extent: Extent, now: Time) -> Heard {
        let follows = seq == self.seq.wrapping_add(1);
        let was_lost = self.step == Step::Lost;
        self.seq = seq;
        self.heard = now;
        let counts = match extent {
            Extent::Part { first: true, .. } => {
                self.round += 1;
                self.step = Step::Filling;
                true
            }
            Extent::Part { first: false, .. } => follows && self.step == Step::Filling,
            Extent::Changes => follows && self.step == Step::Whole,
        };
        if counts {
            return Heard::Taken;
        }
        self.step = Step::Lost;
        match was_lost {
            true => Heard::Waits,
            false => Heard::Gap,
        }
    }

    fn set(
        &mut self,
        sums: &mut HashMap<Box<str>, u32>,
        instance: Box<str>,
        load: u32,
        changed: &mut Sums,
    ) {
        let load = load.min(MAX_LOAD);
        let was = self.shares.get(&instance).map_or(0, |share| share.load);
        if was == 0 && (load == 0 || self.shares.len() >= MAX_SHARED) {
            return;
        }
        match load {
            0 => drop(self.shares.remove(&instance)),
            load => {
                let round = self.round;
                self.shares.insert(instance.clone(), Share { load, round });
            }
        }
        if was != load {
            *sums.entry(instance.clone()).or_default() += load;
            changed.push(take_off(sums, instance, was));
        }
    }
}

/// Returns what is left.
fn take_off(sums: &mut HashMap<Box<str>, u32>, instance: Box<str>, load: u32) -> (Box<str>, u32) {
    let left = match sums.get_mut(&instance) {
        Some(sum) => {
            *sum -= load;
            *sum
        }
        None => 0,
    };
    if left == 0 {
        sums.remove(&instance);
    }
    (instance, left)
}

#[cfg(test)]
mod tests;
