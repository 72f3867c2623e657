use super::*;

/// Two nodes that speak, and one that listens.
#[derive(Default)]
struct Ear {
    foreign: Foreign,
    now: u64,
}

fn part(first: bool, last: bool) -> Extent {
    Extent::Part { first, last }
}

impl Ear {
    fn hear(
        &mut self,
        (node, epoch, seq): (u64, u64, u64),
        extent: Extent,
        loads: &[(&str, u32)],
    ) -> Heard {
        self.now += 1;
        let report = LoadReport {
            node: NodeId(node),
            name: format!("n{node}").into(),
            epoch,
            seq,
            extent,
            loads: loads.iter().map(|(i, n)| ((*i).into(), *n)).collect(),
        };
        let before = self.foreign.sums.clone();
        let mut changed = Sums::new();
        let now = Time::from_micros(self.now);
        let heard = self.foreign.report(report, now, &mut changed);
        self.same(before, changed);
        heard
    }

    /// What was said to have changed is what has changed.
    fn same(&self, before: HashMap<Box<str>, u32>, changed: Sums) {
        let mut told = before;
        told.extend(changed);
        told.retain(|_, sum| *sum > 0);
        assert_eq!(told, self.foreign.sums);
        assert_eq!(self.foreign.check(), Ok(()));
    }

    fn gone(&mut self, node: u64) {
        let before = self.foreign.sums.clone();
        let mut changed = Sums::new();
        self.foreign.gone(NodeId(node), &mut changed);
        self.same(before, changed);
    }

    fn sums(&self, instances: &[&str]) -> Vec<u32> {
        instances.iter().map(|i| self.foreign.at(i)).collect()
    }
}

#[test]
fn a_dynos_load_is_the_sum_over_nodes() {
    let mut ear = Ear::default();
    assert_eq!(
        ear.hear((1, 1, 1), WHOLE, &[("a", 2), ("b", 1)]),
        Heard::Taken
    );
    assert_eq!(ear.hear((2, 9, 7), WHOLE, &[("a", 3)]), Heard::Taken);
    assert_eq!(ear.sums(&["a", "b", "c"]), [5, 1, 0]);
    // Absolute numbers: the same again is the same.
    let changes = Extent::Changes;
    assert_eq!(ear.hear((2, 9, 8), changes, &[("a", 3)]), Heard::Taken);
    assert_eq!(
        ear.hear((1, 1, 2), changes, &[("a", 0), ("c", 4)]),
        Heard::Taken
    );
    assert_eq!(ear.sums(&["a", "b", "c"]), [3, 1, 4]);
    ear.gone(1);
    assert_eq!(ear.sums(&["a", "b", "c"]), [3, 0, 0]);
    ear.gone(1);
    ear.gone(2);
    assert!(ear.foreign.sums.is_empty());
}

#[test]
fn what_is_old_is_nothing() {
    let mut ear = Ear::default();
    ear.hear((1, 5, 10), WHOLE, &[("a", 2)]);
    for (epoch, seq) in [(5, 10), (5, 3), (4, 11)] {
        assert_eq!(ear.hear((1, epoch, seq), WHOLE, &[("a", 9)]), Heard::Stale);
    }
    assert_eq!(ear.sums(&["a"]), [2]);
    // Who says only old things is not heard.
    assert_eq!(ear.foreign.heard_of(NodeId(1)), Some(Time::from_micros(1)));
    // A later start: what was before is over, whatever it says first.
    assert_eq!(
        ear.hear((1, 6, 1), Extent::Changes, &[("b", 1)]),
        Heard::Waits
    );
    assert_eq!(ear.sums(&["a", "b"]), [0, 0]);
    assert_eq!(ear.hear((1, 6, 2), WHOLE, &[("b", 1)]), Heard::Taken);
    assert_eq!(ear.sums(&["a", "b"]), [0, 1]);
}

#[test]
fn after_a_gap_the_next_whole_report_is_waited_for() {
    let mut ear = Ear::default();
    let changes = Extent::Changes;
    ear.hear((1, 1, 1), WHOLE, &[("a", 2), ("b", 2)]);
    assert_eq!(ear.hear((1, 1, 3), changes, &[("a", 7)]), Heard::Gap);
    assert_eq!(ear.hear((1, 1, 4), changes, &[("a", 8)]), Heard::Waits);
    // What was known stands for as long, and the node lives.
    assert_eq!(ear.sums(&["a", "b"]), [2, 2]);
    assert_eq!(ear.foreign.heard_of(NodeId(1)), Some(Time::from_micros(3)));
    assert!(!ear.foreign.view(Time::ZERO)[0].in_step);
    // A gap before a whole report is none.
    assert_eq!(ear.hear((1, 1, 9), WHOLE, &[("a", 3)]), Heard::Taken);
    assert_eq!(ear.sums(&["a", "b"]), [3, 0]);
    assert_eq!(ear.hear((1, 1, 10), changes, &[]), Heard::Taken);
    assert!(ear.foreign.view(Time::ZERO)[0].in_step);
}

#[test]
fn a_whole_report_may_have_parts() {
    let mut ear = Ear::default();
    ear.hear((1, 1, 1), WHOLE, &[("old", 1), ("a", 1)]);
    assert_eq!(
        ear.hear((1, 1, 2), part(true, false), &[("a", 2)]),
        Heard::Taken
    );
    // Nothing is idle before all was said.
    assert_eq!(ear.sums(&["old", "a"]), [1, 2]);
    assert_eq!(
        ear.hear((1, 1, 3), part(false, false), &[("b", 3)]),
        Heard::Taken
    );
    assert_eq!(
        ear.hear((1, 1, 4), part(false, true), &[("c", 4)]),
        Heard::Taken
    );
    assert_eq!(ear.sums(&["old", "a", "b", "c"]), [0, 2, 3, 4]);
    // One that lacks a part ends nothing.
    ear.hear((1, 1, 5), part(true, false), &[("a", 5)]);
    assert_eq!(
        ear.hear((1, 1, 7), part(false, true), &[("d", 1)]),
        Heard::Gap
    );
    assert_eq!(ear.sums(&["a", "b", "c", "d"]), [5, 3, 4, 0]);
    assert_eq!(
        ear.hear((1, 1, 8), part(false, true), &[("d", 1)]),
        Heard::Waits
    );
    assert_eq!(ear.hear((1, 1, 9), part(true, true), &[]), Heard::Taken);
    assert!(ear.foreign.sums.is_empty());
}

#[test]
fn there_is_a_limit_on_everything() {
    let mut ear = Ear::default();
    for node in 0..MAX_NODES as u64 {
        assert_eq!(
            ear.hear((node, 1, 1), WHOLE, &[("a", u32::MAX)]),
            Heard::Taken
        );
    }
    assert_eq!(ear.foreign.at("a"), MAX_NODES as u32 * MAX_LOAD);
    assert_eq!(ear.hear((999, 1, 1), WHOLE, &[("a", 1)]), Heard::TooMany);
    ear.gone(0);
    assert_eq!(ear.hear((999, 1, 1), WHOLE, &[("a", 1)]), Heard::Taken);

    let mut ear = Ear::default();
    let names: Vec<_> = (0..MAX_SHARED + 2).map(|n| n.to_string()).collect();
    let loads: Vec<_> = names.iter().map(|name| (&**name, 1)).collect();
    ear.hear((1, 1, 1), WHOLE, &loads);
    assert_eq!(ear.foreign.sums.len(), MAX_SHARED);
}
