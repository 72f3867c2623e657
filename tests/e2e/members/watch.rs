//! No two may grant for one shard: asked again and again while things happen.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::NodesResponse;
use e2e::harness::{Control, Sidecar};
use tokio::{sync::watch, task::JoinHandle};

use super::granted;

/// Between two questions to one sidecar.
const STEP: Duration = Duration::from_millis(4);

/// One answer, and between which moments it was true.
struct Reading {
    asked: Instant,
    answered: Instant,
    epoch: u64,
    granted: Vec<usize>,
}

/// Asks several sidecars, until it is checked.
pub(super) struct Watch {
    over: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Vec<Reading>>>,
}

impl Watch {
    pub(super) fn new(sidecars: &[Sidecar]) -> Self {
        let (over, is_over) = watch::channel(false);
        let read = |it: &Sidecar| tokio::spawn(read(it.control().clone(), is_over.clone()));
        let tasks = sidecars.iter().map(read).collect();
        Self { over, tasks }
    }

    /// Never two at one moment.
    pub(super) async fn check(self) {
        self.over.send_replace(true);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        let granting = all.iter().flatten().filter(|it| !it.granted.is_empty());
        let count = granting.count();
        assert!(count > 100, "only {count} answers: this was no test");
        for (at, readings) in all.iter().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            for (other, others) in others {
                for reading in readings {
                    let shards = both(reading, others);
                    assert!(
                        shards.is_empty(),
                        "{at} and {other} may grant at one moment for {shards:?}"
                    );
                }
            }
        }
    }
}

async fn read(control: Control, is_over: watch::Receiver<bool>) -> Vec<Reading> {
    let mut readings = Vec::new();
    while !*is_over.borrow() {
        let asked = Instant::now();
        if let Ok(nodes) = control.try_nodes().await {
            readings.push(Reading {
                asked,
                answered: Instant::now(),
                epoch: epoch(&nodes),
                granted: granted(&nodes).collect(),
            });
        }
        tokio::time::sleep(STEP).await;
    }
    readings
}

fn epoch(nodes: &NodesResponse) -> u64 {
    nodes.membership.as_ref().map_or(0, |own| own.epoch)
}

/// What another one may grant for, too: it has said so before and after, in one epoch,
/// in which no shard comes back to who has lost it.
fn both(reading: &Reading, others: &[Reading]) -> Vec<usize> {
    let before = others.iter().rfind(|it| it.answered <= reading.asked);
    let after = others.iter().find(|it| it.asked >= reading.answered);
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let is_in_both = |shard: &usize| {
        let has = |it: &Reading| it.granted.contains(shard);
        before.epoch == after.epoch && has(before) && has(after)
    };
    let granted = reading.granted.iter().copied();
    granted.filter(is_in_both).collect()
}
