//! The dynos as they really are, whatever the mesh believes.

use std::collections::{BTreeMap, BTreeSet};

use mesh::{Address, AppSpec, AskId, Policy, Time};

pub(crate) struct Process {
    pub(crate) app: Box<str>,
    pub(crate) address: Address,
    /// Dead ones refuse connections until somebody cleans up.
    pub(crate) alive: bool,
    /// Router, generation of its worker, ask.
    pub(crate) running: BTreeSet<(usize, u64, AskId)>,
}

#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) processes: BTreeMap<Box<str>, Process>,
    started: u64,
    ports: u16,
    /// Ports of processes that are gone, and since when.
    free: Vec<(u16, Time)>,
    /// A limit that was in force, and until when.
    former_limits: BTreeMap<Box<str>, (u32, Time)>,
}

/// What travels at that time was decided before.
const TRAVEL: std::time::Duration = std::time::Duration::from_millis(20);

impl Fleet {
    /// A new process, at an address of its own. Addresses are used again, if that is
    /// allowed, once nothing is on its way to them any more.
    pub(crate) fn start(&mut self, app: &str, reuse: bool, now: Time) -> (Box<str>, Address) {
        self.started += 1;
        let instance: Box<str> = format!("i-{}", self.started).into();
        let free = self
            .free
            .iter()
            .position(|(_, since)| reuse && *since + TRAVEL < now);
        let port = match free {
            Some(at) => self.free.swap_remove(at).0,
            None => {
                self.ports += 1;
                self.ports
            }
        };
        let address: Address = format!("10.0.0.1:{port}").parse().unwrap();
        let (app, running) = (app.into(), BTreeSet::new());
        let process = Process {
            app,
            address: address.clone(),
            alive: true,
            running,
        };
        self.processes.insert(instance.clone(), process);
        (instance, address)
    }

    /// Dies, and refuses connections. Returns what it was doing.
    pub(crate) fn crash(&mut self, instance: &str) -> BTreeSet<(usize, u64, AskId)> {
        let Some(process) = self.processes.get_mut(instance) else {
            return BTreeSet::new();
        };
        process.alive = false;
        std::mem::take(&mut process.running)
    }

    /// As `crash`, and its address may be used by another one.
    pub(crate) fn remove(&mut self, instance: &str, now: Time) -> BTreeSet<(usize, u64, AskId)> {
        let lost = self.crash(instance);
        if let Some(process) = self.processes.remove(instance)
            && let Address::Ip(socket) = process.address
        {
            self.free.push((socket.port(), now));
        }
        lost
    }

    pub(crate) fn at(&mut self, address: &Address) -> Option<(&str, &mut Process)> {
        let mut all = self.processes.iter_mut();
        let found = all.find(|(_, process)| process.address == *address);
        found.map(|(instance, process)| (&**instance, process))
    }

    /// Requests decided before now may be on their way under the old limit.
    pub(crate) fn limits_change(&mut self, spec: &AppSpec, now: Time) {
        for dyno in &spec.dynos {
            let limit = self.limit(spec, &dyno.instance, now);
            self.former_limits
                .insert(dyno.instance.clone(), (limit, now + TRAVEL));
        }
    }

    /// Most requests that this dyno may really have now.
    pub(crate) fn limit(&self, spec: &AppSpec, instance: &str, now: Time) -> u32 {
        let former = self
            .former_limits
            .get(instance)
            .filter(|(_, until)| now <= *until);
        let dyno = spec.dynos.iter().find(|d| *d.instance == *instance);
        let usual = match spec.settings.policy {
            Policy::IdleOnly => 1,
            _ => u32::MAX,
        };
        let own = dyno.and_then(|dyno| dyno.limit);
        let limit = own.or(spec.settings.dyno_limit).unwrap_or(usual);
        former.map_or(limit, |(former, _)| limit.max(*former))
    }
}
