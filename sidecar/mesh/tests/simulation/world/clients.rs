//! Clients and routers: requests come, are tried and end.

use std::{collections::BTreeSet, time::Duration};

use mesh::{Answer, AskId, DynoInfo, Outcome, Refusal, WorkerId};
use rand::RngExt;

use super::{APPS, Event, LATENCY, ROUTERS, TRIES, World, app_name, millis};
use crate::{router::Request, sidecar::Message};

impl World {
    pub(super) fn arrive(&mut self) {
        if self.now < self.end {
            let span = self.about(Duration::from_micros(2_500));
            self.after(span, Event::Arrival);
        }
        let name = match self.chance(1.0) {
            true => "nobody.test".into(),
            false => format!("{}.test", app_name(self.rng.random_range(0..APPS))),
        };
        let service = self.about(millis(25));
        let (arrived, tried) = (self.now, vec![]);
        let request = Request {
            name,
            arrived,
            tried,
            service,
            dyno: None,
            limited: false,
            lease: None,
            is_heir: false,
        };
        let router = self.rng.random_range(0..ROUTERS);
        self.send_on(router, Event::Comes { router, request });
    }

    pub(super) fn comes(&mut self, router: usize, request: Request) {
        let worker = self.routers[router].worker;
        let ask = match self.take_ahead(router, &request.name) {
            Some((ask, dyno)) => {
                self.routers[router].requests.insert(ask, request);
                self.begin(router, ask, &dyno);
                ask
            }
            None => self.ask(router, request),
        };
        if self.chance(10.0) {
            let patience = self.about(millis(100));
            self.after(
                patience,
                Event::ClientLeaves {
                    router,
                    worker,
                    ask,
                },
            );
        }
    }

    fn ask(&mut self, router: usize, request: Request) -> AskId {
        let ask = self.routers[router].add(request);
        self.send_ask(router, ask, false);
        ask
    }

    fn send_ask(&mut self, router: usize, ask: AskId, held: bool) {
        let request = &self.routers[router].requests[&ask];
        let (name, tried) = (request.name.clone(), request.tried.clone());
        let waited = self.now.since(request.arrived);
        let passes_on = !held && tried.is_empty() && self.chance(50.0);
        self.send(
            router,
            Message::Ask {
                ask,
                name,
                waited,
                held,
                tried,
                passes_on,
            },
        );
    }

    /// Without a connection nothing is sent: the next one tells everything.
    pub(super) fn send(&mut self, router: usize, message: Message) {
        if let Some(connection) = self.routers[router].connection {
            self.after(LATENCY, Event::ToSidecar(connection, message));
        }
    }

    pub(super) fn connect(&mut self, router: usize) {
        if self.sidecar.mesh.is_none() {
            let again = self.about(millis(50));
            return self.after(again.min(millis(300)), Event::Connect { router });
        }
        self.serial += 1;
        let worker = self.routers[router].worker;
        let held = self.routers[router].held();
        self.routers[router].connection = Some(self.serial);
        self.send(router, Message::Hello { worker, held });
        for ask in self.routers[router].waiting() {
            self.send_ask(router, ask, true);
        }
    }

    pub(super) fn answered(&mut self, router: usize, answer: Answer) {
        let ask = answer.ask;
        // Otherwise its client left, and the cancellation is on its way.
        let request = self.routers[router].requests.get_mut(&ask);
        let Some(request) = request.filter(|request| !request.is_heir) else {
            return;
        };
        assert!(request.dyno.is_none(), "{ask:?} is answered twice");
        let route = match answer.result {
            Ok(route) => route,
            Err(reason) => {
                self.routers[router].requests.remove(&ask);
                return self.refused(reason);
            }
        };
        self.report.queued += u64::from(answer.wait > millis(2));
        assert_eq!(
            format!("{}.test", route.dyno.app),
            request.name,
            "another app's dyno"
        );
        assert!(
            !request.tried.contains(&route.dyno.instance),
            "it was tried before"
        );
        request.limited = route.limited;
        request.lease = route.edition.map(|edition| (route.dyno.clone(), edition));
        self.lend(router, ask, &route);
        if !self.begin(router, ask, &route.dyno) {
            return;
        }
        self.check_limit(&route.dyno);
    }

    fn check_limit(&self, dyno: &DynoInfo) {
        if let Some(spec) = self.sidecar.spec(&dyno.app) {
            let instance = &dyno.instance;
            let load = self.fleet.processes[instance].running.len() as u32;
            let limit = self.fleet.limit(spec, instance, self.now);
            assert!(
                load <= limit,
                "{instance} has {load} requests, its limit is {limit}"
            );
        }
    }

    /// A request is done, and who is next has its lease, if somebody is.
    fn hand_on(&mut self, router: usize, ask: AskId, done: &Request) -> bool {
        let Some((next, dyno)) = self.routers[router].heir(done) else {
            return false;
        };
        self.report.handed_on += 1;
        self.check_effect(router, next, &dyno.app);
        self.send(router, Message::HandOn(ask, next));
        if self.begin(router, next, &dyno) {
            self.check_limit(&dyno);
        }
        true
    }

    /// The request comes to its dyno. Says whether that takes it.
    fn begin(&mut self, router: usize, ask: AskId, dyno: &DynoInfo) -> bool {
        let hangs = self.chance(0.5);
        let worker = self.routers[router].worker;
        let Some(request) = self.routers[router].requests.get_mut(&ask) else {
            return false;
        };
        request.dyno = Some(dyno.instance.clone());
        let service = request.service;
        let process = self.fleet.at(&dyno.address);
        let process = process.filter(|(_, p)| p.alive && !hangs);
        let Some((there, process)) = process else {
            let outcome = if hangs {
                Outcome::ConnectTimeout
            } else {
                Outcome::Refused
            };
            self.try_another(router, ask, outcome);
            return false;
        };
        assert_eq!(
            (there, &*process.app),
            (&*dyno.instance, &*dyno.app),
            "another process"
        );
        process.running.insert((router, worker.0, ask));
        let instance = dyno.instance.clone();
        self.after(
            service,
            Event::Finished {
                router,
                worker,
                ask,
                instance,
            },
        );
        true
    }

    fn refused(&mut self, reason: Refusal) {
        *self
            .report
            .refused
            .entry(format!("{reason:?}"))
            .or_default() += 1;
    }

    fn try_another(&mut self, router: usize, ask: AskId, outcome: Outcome) {
        self.send(router, Message::Checkin(ask, outcome));
        let Some(mut request) = self.routers[router].requests.remove(&ask) else {
            return;
        };
        request.tried.extend(request.dyno.take());
        request.is_heir = false;
        if request.tried.len() >= TRIES {
            self.report.failed += 1;
            return;
        }
        self.report.retried += 1;
        self.ask(router, request);
    }

    pub(super) fn finished(&mut self, router: usize, worker: WorkerId, ask: AskId, instance: &str) {
        let running = self
            .fleet
            .processes
            .get_mut(instance)
            .map(|p| &mut p.running);
        if running.is_some_and(|running| running.remove(&(router, worker.0, ask))) {
            let done = self.routers[router].requests.remove(&ask);
            self.report.served += 1;
            if done.is_some_and(|done| self.chance(80.0) && self.hand_on(router, ask, &done)) {
                return;
            }
            if self.chance(60.0) && self.pass_lease_on(router, ask) {
                return;
            }
            let outcome = if self.chance(1.0) {
                Outcome::Unused
            } else {
                Outcome::Done
            };
            self.send(router, Message::Checkin(ask, outcome));
        }
    }

    pub(super) fn client_leaves(&mut self, router: usize, worker: WorkerId, ask: AskId) {
        let ours = &mut self.routers[router];
        let Some(request) = ours.requests.get(&ask).filter(|_| ours.worker == worker) else {
            return;
        };
        // A dyno under a limit goes on to the end, whether somebody reads or not.
        if request.dyno.is_some() && request.limited {
            return;
        }
        if let Some(process) = request
            .dyno
            .as_ref()
            .and_then(|d| self.fleet.processes.get_mut(d))
        {
            process.running.remove(&(router, worker.0, ask));
        }
        ours.requests.remove(&ask);
        self.report.aborted += 1;
        self.send(router, Message::Cancel(ask));
    }

    /// A process is gone: what it was doing has failed.
    pub(super) fn lost(&mut self, running: BTreeSet<(usize, u64, AskId)>) {
        for (router, worker, ask) in running {
            assert_eq!(
                self.routers[router].worker.0, worker,
                "a dead worker's request goes on"
            );
            self.routers[router].requests.remove(&ask);
            self.report.failed += 1;
            self.send(router, Message::Checkin(ask, Outcome::Failed));
        }
    }
}
