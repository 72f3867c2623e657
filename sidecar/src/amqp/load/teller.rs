//! What this node tells others: messages from changes. Pure.

use std::collections::HashMap;

use mesh::{Extent, LoadReport, NodeId};

use crate::convert::{MAX_LOADS, load_report_to_bytes};

/// A message, ready to be sent. They are sent in order.
#[derive(Debug)]
pub(super) struct Message(pub(super) Vec<u8>);

/// What was told so far.
#[derive(Debug)]
pub(super) struct Teller {
    node: NodeId,
    name: Box<str>,
    epoch: u64,
    seq: u64,
    /// Requests, by instance; none of them zero.
    loads: HashMap<Box<str>, u32>,
}

impl Teller {
    pub(super) fn new(node: NodeId, name: &str, epoch: u64) -> Self {
        Self {
            node,
            name: name.into(),
            epoch,
            seq: 0,
            loads: HashMap::new(),
        }
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// These have changed.
    pub(super) fn learn(&mut self, changes: &[(Box<str>, u32)]) {
        for (instance, load) in changes {
            match load {
                0 => drop(self.loads.remove(instance)),
                load => drop(self.loads.insert(instance.clone(), *load)),
            }
        }
    }

    /// Only these changes, or that there are none.
    pub(super) fn changes(&mut self, changes: Vec<(Box<str>, u32)>) -> Vec<Message> {
        let messages = split(changes).into_iter();
        messages.map(|loads| self.message(loads, (0, 0))).collect()
    }

    /// Everything.
    pub(super) fn whole(&mut self) -> Vec<Message> {
        let all = self.loads.iter();
        let parts = split(all.map(|(i, load)| (i.clone(), *load)).collect());
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        (1..=count)
            .zip(parts)
            .map(|(part, loads)| self.message(loads, (part, count)))
            .collect()
    }

    fn message(&mut self, loads: Vec<(Box<str>, u32)>, place: (u32, u32)) -> Message {
        self.seq += 1;
        let report = LoadReport {
            node: self.node,
            name: self.name.clone(),
            epoch: self.epoch,
            seq: self.seq,
            // What is sent says it by its place.
            extent: Extent::Changes,
            loads,
        };
        Message(load_report_to_bytes(report, place))
    }
}

/// At least one, which may be empty.
fn split(mut loads: Vec<(Box<str>, u32)>) -> Vec<Vec<(Box<str>, u32)>> {
    let mut parts = Vec::new();
    while loads.len() > MAX_LOADS {
        parts.push(loads.split_off(loads.len() - MAX_LOADS));
    }
    parts.push(loads);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::load::message::{KIND, report};

    fn heard(messages: Vec<Message>) -> Vec<LoadReport> {
        let read = |message: Message| report(Some(KIND), &message.0).expect("a report");
        messages.into_iter().map(read).collect()
    }

    fn loads(range: std::ops::Range<usize>, load: u32) -> Vec<(Box<str>, u32)> {
        // The longest instances there are.
        range.map(|n| (format!("{n:0>128}").into(), load)).collect()
    }

    #[test]
    fn what_is_told_arrives() {
        let mut teller = Teller::new(NodeId(7), "a", 3);
        let nothing = heard(teller.changes(Vec::new()));
        let one = LoadReport {
            node: NodeId(7),
            name: "a".into(),
            epoch: 3,
            seq: 1,
            extent: Extent::Changes,
            loads: Vec::new(),
        };
        assert_eq!(nothing, [one]);
        teller.learn(&loads(0..3, 2));
        teller.learn(&loads(1..2, 0));
        let changes = heard(teller.changes(loads(0..2, 2)));
        assert_eq!((changes[0].seq, changes[0].loads.len()), (2, 2));
        let whole = heard(teller.whole());
        assert_eq!((whole[0].seq, whole[0].extent), (3, mesh::WHOLE));
        assert_eq!(whole[0].loads.len(), 2, "who has none is not in it");
    }

    #[test]
    fn what_is_long_comes_in_parts_that_can_be_read() {
        let mut teller = Teller::new(NodeId(7), "a", 3);
        teller.learn(&loads(0..MAX_LOADS * 2 + 1, 1));
        let parts = heard(teller.whole());
        let part = |first, last| Extent::Part { first, last };
        let extents: Vec<_> = parts.iter().map(|part| part.extent).collect();
        assert_eq!(
            extents,
            [part(true, false), part(false, false), part(false, true)]
        );
        let seqs: Vec<_> = parts.iter().map(|part| part.seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
        let mut all: Vec<_> = parts.into_iter().flat_map(|part| part.loads).collect();
        all.sort();
        assert_eq!(all, loads(0..MAX_LOADS * 2 + 1, 1));
        assert_eq!(heard(teller.changes(all)).len(), 3);
    }

    #[test]
    fn what_is_no_report_is_said_to_be_none() {
        let mut teller = Teller::new(NodeId(7), "a", 3);
        let bytes = teller.changes(loads(0..1, 1)).remove(0).0;
        assert!(report(Some(KIND), &bytes).is_ok());
        assert!(report(Some("load.report.v2"), &bytes).is_err());
        assert!(report(None, &bytes).is_err());
        assert!(report(Some(KIND), b"\xff\xff").is_err());
        assert!(report(Some(KIND), &vec![0; 1 << 20]).is_err());
        for place in [(0, 1), (2, 1), (1, 0)] {
            let bytes = teller.message(Vec::new(), place).0;
            assert!(report(Some(KIND), &bytes).is_err(), "{place:?}");
        }
        for loads in [loads(0..MAX_LOADS + 1, 1), vec![("".into(), 1)]] {
            let bytes = teller.message(loads, (0, 0)).0;
            assert!(report(Some(KIND), &bytes).is_err());
        }
    }
}
