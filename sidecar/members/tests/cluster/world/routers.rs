//! Routers: requests come, are answered, and end.

use std::time::Duration;

use mesh::{AskId, Outcome, WorkerId};
use rand::RngExt;

use super::{
    APPS, DYNOS, LONG, LOOSE, ROUTERS, SELDOM, SERVICE, SHORT, STEP, World, app_name, name,
};
use crate::{node::Said, router::Request};

impl World {
    pub(super) fn routers(&mut self, at: usize) {
        for router in 0..ROUTERS {
            self.read_answers(at, router);
            self.finish(at, router);
            if self.nodes[at].routers[router].connects_at <= self.now
                && self.nodes[at].core.is_some()
            {
                self.connect(at, router);
            }
            let capacity = (APPS * DYNOS) as f64 / SERVICE;
            let routers = (self.nodes.len() * ROUTERS) as f64;
            let chance = (self.load * capacity * STEP as f64 / routers).min(1.0);
            if self.rng.random_bool(chance) {
                self.arrive(at, router);
            }
        }
    }

    pub(super) fn connect(&mut self, at: usize, index: usize) {
        let (node, now) = (&mut self.nodes[at], self.now);
        let router = &mut node.routers[index];
        router.connects_at = u64::MAX;
        let held = router.requests.iter().filter_map(|(ask, request)| {
            let (instance, _) = request.at.as_ref()?;
            Some((*ask, instance.clone()))
        });
        node.said.push_back(Said::Hello {
            router: index,
            worker: router.worker,
            held: held.collect(),
        });
        let again = std::mem::replace(&mut router.again, true);
        for (ask, request) in router.requests.iter().filter(|(_, it)| it.at.is_none()) {
            node.said.push_back(Said::Ask {
                router: index,
                ask: *ask,
                app: request.app,
                arrived: request.arrived.min(now),
                held: again,
            });
        }
    }

    pub(super) fn is_connected(&self, at: usize, router: usize) -> bool {
        let node = &self.nodes[at];
        node.core.is_some() && node.routers[router].connects_at == u64::MAX
    }

    pub(super) fn arrive(&mut self, at: usize, index: usize) {
        let app = self.rng.random_range(0..APPS);
        self.report.asked += 1;
        let (now, connected) = (self.now, self.is_connected(at, index));
        let node = &mut self.nodes[at];
        let router = &mut node.routers[index];
        router.last += 1;
        let ask = AskId(router.last);
        let request = Request {
            app,
            arrived: now,
            at: None,
            overtaken_at: None,
        };
        router.requests.insert(ask, request);
        if connected {
            node.said.push_back(Said::Ask {
                router: index,
                ask,
                app,
                arrived: now,
                held: false,
            });
        }
    }

    pub(super) fn read_answers(&mut self, at: usize, index: usize) {
        loop {
            let router = &mut self.nodes[at].routers[index];
            let due = router.answers.iter().position(|(due, _)| *due <= self.now);
            let Some((_, answer)) = due.and_then(|due| router.answers.remove(due)) else {
                return;
            };
            let Some(request) = router.requests.get(&answer.ask).cloned() else {
                continue;
            };
            self.say(|| format!("{at}/{index}: {:?} {:?}", answer.ask, answer.result));
            match answer.result {
                Err(_) => {
                    self.report.refused += 1;
                    self.nodes[at].routers[index].requests.remove(&answer.ask);
                }
                Ok(route) => {
                    self.check_order(&request);
                    let owner = self.owner(request.app);
                    self.report.far += u64::from(owner.is_some_and(|owner| owner != at));
                    let end = self.now + self.service();
                    let instance = route.dyno.instance.clone();
                    self.begin(request.app, &instance);
                    let router = &mut self.nodes[at].routers[index];
                    if let Some(request) = router.requests.get_mut(&answer.ask) {
                        request.at = Some((instance, end));
                    }
                }
            }
        }
    }

    fn service(&mut self) -> u64 {
        match self.rng.random_range(0..SELDOM) {
            0 => self.rng.random_range(1..LONG),
            _ => self.about(SHORT),
        }
    }

    /// A worker has lost its session, and comes again.
    pub(crate) fn break_session(&mut self, at: usize, index: usize) {
        let time = self.time(at);
        if !self.works(at) || !self.is_connected(at, index) {
            return;
        }
        let pause = self.rng.random_range(1_000..800_000);
        let node = &mut self.nodes[at];
        let router = &mut node.routers[index];
        let (Some(core), Some(key)) = (&mut node.core, router.session.take()) else {
            return;
        };
        router.connects_at = self.now + pause;
        router.answers.clear();
        node.said.retain(|said| said.router() != index);
        node.sessions.remove(&key);
        core.lose_session(key, time);
        // It is seen to live.
        core.keep_lost(key, time + Duration::from_secs(5));
        self.report.broken += 1;
        self.say(|| format!("router {index} of {at} is back after {pause}"));
    }

    pub(super) fn owner(&self, app: usize) -> Option<usize> {
        let shard = mesh::Shard::of(&app_name(app));
        let memberships = self
            .nodes
            .iter()
            .filter_map(|node| node.membership.as_ref());
        let owner = memberships.filter_map(|it| it.owner(shard)).next()?;
        (0..self.nodes.len()).find(|at| *name(*at) == *owner.node.name)
    }

    /// Nobody who came before this one waits for long after it: answers of one owner
    /// have several ways.
    pub(super) fn check_order(&mut self, request: &Request) {
        if !self.strict_order {
            return;
        }
        let overtaken = request.overtaken_at.unwrap_or(self.now);
        assert!(overtaken + 10_000 > self.now, "{request:?} is overtaken");
        let routers = self.nodes.iter_mut().flat_map(|node| &mut node.routers);
        let requests = routers.flat_map(|router| router.requests.values_mut());
        let waiting = requests.filter(|it| it.at.is_none() && it.app == request.app);
        for before in waiting.filter(|it| it.arrived + 5_000 < request.arrived) {
            before.overtaken_at.get_or_insert(self.now);
        }
    }

    pub(super) fn begin(&mut self, app: usize, instance: &str) {
        let running = self.running.entry(instance.into()).or_default();
        *running += 1;
        if *running > 1 {
            assert!(app == LOOSE, "{instance} has two requests at {}", self.now);
            self.report.doubled += 1;
        }
    }

    pub(super) fn end(&mut self, instance: &str) {
        *self.running.get_mut(instance).unwrap() -= 1;
    }

    pub(super) fn finish(&mut self, at: usize, index: usize) {
        let router = &self.nodes[at].routers[index];
        let over = |request: &Request| request.at.as_ref().is_some_and(|it| it.1 <= self.now);
        let all = router.requests.iter();
        let done: Vec<_> = all
            .filter(|(_, it)| over(it))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in done {
            let request = self.nodes[at].routers[index].requests.remove(&ask).unwrap();
            let (instance, _) = request.at.unwrap();
            self.end(&instance);
            self.report.served += 1;
            if self.is_connected(at, index) {
                let outcome = Outcome::Done;
                let router = index;
                self.nodes[at].said.push_back(Said::Done {
                    router,
                    ask,
                    outcome,
                });
            }
        }
        // Now and then a client does not want to wait any more.
        if self.chance(400) {
            let router = &self.nodes[at].routers[index];
            let mut waiting = router.requests.iter();
            let answered = |ask: &AskId| router.answers.iter().any(|(_, it)| it.ask == *ask);
            let leaves = waiting.find(|(ask, it)| it.at.is_none() && !answered(ask));
            if let Some(ask) = leaves.map(|(ask, _)| *ask) {
                self.nodes[at].routers[index].requests.remove(&ask);
                if self.is_connected(at, index) {
                    let said = Said::Cancel { router: index, ask };
                    self.nodes[at].said.push_back(said);
                }
            }
        }
    }

    /// A worker dies, with all that it did; another one takes its place.
    pub(crate) fn kill_worker(&mut self, at: usize, index: usize) {
        self.report.dead_workers += 1;
        self.say(|| format!("router {index} of {at} dies"));
        let new = self.new_router();
        let connected = self.is_connected(at, index);
        let old = std::mem::replace(&mut self.nodes[at].routers[index], new);
        for request in old.requests.values() {
            if let Some((instance, _)) = &request.at {
                self.end(instance);
            }
        }
        let time = self.time(at);
        let node = &mut self.nodes[at];
        node.routers[index].session = old.session;
        if connected {
            node.said.push_back(Said::Gone { router: index });
        } else if let Some(core) = &mut node.core {
            core.worker_gone(WorkerId(old.worker), time);
        }
    }
}
