//! Events in order of time: clients, connections, dynos, faults, operators.

use std::{collections::BTreeMap, time::Duration};

use mesh::{AskId, Event as MeshEvent, Output, Time, WorkerId};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    fleet::Fleet,
    router::{Request, Router},
    sidecar::{Message, Sidecar},
};

pub(crate) use report::Report;

mod ahead;
mod clients;
mod faults;
mod operators;
mod report;

const ROUTERS: usize = 6;
const APPS: usize = 6;
const LENGTH: Duration = Duration::from_secs(20);
/// From a router to the sidecar or back.
const LATENCY: Duration = Duration::from_micros(200);
/// Longer than any router needs to come back.
const RECOVERY: Duration = Duration::from_secs(5);
/// Most dynos that one request tries.
const TRIES: usize = 3;

pub(crate) enum Event {
    Arrival,
    /// A client's request, to this router.
    Comes {
        router: usize,
        request: Request,
    },
    ToSidecar(u64, Message),
    ToRouter(u64, Output),
    /// The router sees to what it has reserved.
    Tidy {
        router: usize,
        worker: WorkerId,
    },
    /// The router goes on.
    Thaw {
        router: usize,
        worker: WorkerId,
    },
    Finished {
        router: usize,
        worker: WorkerId,
        ask: AskId,
        instance: Box<str>,
    },
    ClientLeaves {
        router: usize,
        worker: WorkerId,
        ask: AskId,
    },
    Connect {
        router: usize,
    },
    /// The sidecar finds out that a connection broke.
    Noticed {
        connection: u64,
    },
    SidecarStarts,
    WorkerKnownDead(WorkerId),
    Fault,
    Operate,
    Tend,
    Booted {
        app: Box<str>,
        dyno: Box<str>,
        instance: Box<str>,
    },
}

pub(crate) struct World {
    rng: SmallRng,
    trace: bool,
    now: Time,
    end: Time,
    events: BTreeMap<(Time, u64), Event>,
    serial: u64,
    sidecar: Sidecar,
    routers: Vec<Router>,
    fleet: Fleet,
    /// Wanted dynos of each app.
    wanted: Vec<usize>,
    workers: u64,
    changes: ahead::Changes,
    report: Report,
}

fn app_name(app: usize) -> String {
    format!("app-{app}")
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let now = Time::from_micros(3_600_000_000);
        let mut world = Self {
            rng: SmallRng::seed_from_u64(seed),
            trace,
            now,
            end: now + LENGTH,
            events: BTreeMap::new(),
            serial: 0,
            sidecar: Sidecar::new(seed),
            routers: vec![],
            fleet: Fleet::default(),
            wanted: vec![0; APPS],
            workers: 0,
            changes: ahead::Changes::default(),
            report: Report::default(),
        };
        for app in 0..APPS {
            world.create_app(app);
        }
        for router in 0..ROUTERS {
            world.workers += 1;
            world.routers.push(Router::new(world.workers));
            world.after(Duration::ZERO, Event::Connect { router });
        }
        for event in [Event::Arrival, Event::Fault, Event::Operate, Event::Tend] {
            world.after(millis(1), event);
        }
        world
    }

    pub(crate) fn run(mut self) -> Report {
        let mut steps = 0_u64;
        while !self.is_over() {
            let next = self.events.first_key_value().map(|(at, _)| at.0);
            let timeout = self
                .sidecar
                .mesh
                .as_ref()
                .and_then(|mesh| mesh.poll_timeout());
            match (next, timeout) {
                (Some(next), Some(timeout)) if timeout <= next => self.timeout(timeout),
                (None, Some(timeout)) => self.timeout(timeout),
                (Some(_), _) => {
                    let Some(((at, _), event)) = self.events.pop_first() else {
                        return self.report;
                    };
                    self.now = at;
                    self.happen(event);
                }
                (None, None) => break,
            }
            self.pass_on();
            steps += 1;
            if steps.is_multiple_of(32) {
                self.check();
            }
        }
        self.finish()
    }

    /// Everybody has gone home and the sidecar knows it.
    fn is_over(&self) -> bool {
        let quiet = |router: &Router| {
            let ahead = router.frozen.is_none() && router.ahead.is_empty();
            router.requests.is_empty() && router.connection.is_some() && ahead
        };
        let settled = |mesh: &mesh::Mesh| {
            let totals = mesh.totals();
            // What a dead worker had reserved is in no total.
            let alive = totals.sessions == self.sidecar.sessions.len();
            totals.leases + totals.waiting == 0 && alive && !mesh.is_recovering()
        };
        assert!(
            self.now < self.end + Duration::from_secs(200),
            "somebody waits for ever"
        );
        self.now > self.end
            && self.all_in_effect()
            && self.routers.iter().all(quiet)
            && self.sidecar.mesh.as_ref().is_some_and(settled)
            // It may be that something reserved is given back, which is in no total.
            && !self.events.values().any(|event| matches!(event, Event::ToSidecar(..)))
    }

    fn finish(mut self) -> Report {
        self.check();
        for process in self.fleet.processes.values() {
            assert!(
                process.running.is_empty(),
                "a dyno still has something to do"
            );
        }
        self.nothing_is_reserved();
        let connections: Vec<_> = self.sidecar.connections.values().copied().collect();
        for connection in connections {
            self.sidecar.disconnected(connection, false, self.now);
        }
        if let Some(mesh) = &mut self.sidecar.mesh {
            // Looks at apps go on for as long as there are apps.
            while mesh.totals().sessions > 0
                && let Some(at) = mesh.poll_timeout()
            {
                mesh.handle_timeout(at);
            }
            mesh.check_invariants().unwrap();
            assert_eq!(mesh.totals().sessions, 0);
        }
        self.report
    }

    fn check(&self) {
        if let Some(mesh) = &self.sidecar.mesh {
            mesh.check_invariants().unwrap();
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>11} {}", self.now.as_micros() - 3_600_000_000, what());
        }
    }

    fn after(&mut self, span: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + span, self.serial), event);
    }

    /// A span around `mean`, mostly shorter, at times much longer.
    fn about(&mut self, mean: Duration) -> Duration {
        let uniform: f64 = self.rng.random();
        mean.mul_f64(-(1.0 - uniform).ln())
    }

    fn chance(&mut self, percent: f64) -> bool {
        self.rng.random_bool(percent / 100.0)
    }

    fn timeout(&mut self, at: Time) {
        self.now = self.now.max(at);
        if let Some(mesh) = &mut self.sidecar.mesh {
            mesh.handle_timeout(self.now);
        }
    }

    /// What the core said goes to routers and to the dyno manager.
    fn pass_on(&mut self) {
        while let Some(output) = self
            .sidecar
            .mesh
            .as_mut()
            .and_then(|mesh| mesh.poll_output())
        {
            match output {
                Output::Answer(_) | Output::Reserved(_) | Output::Recall(_) | Output::Next(_) => {
                    self.reply(output);
                }
                Output::Event(MeshEvent::NeedDyno { app, .. }) => {
                    self.report.woken += 1;
                    self.say(|| format!("{app} needs a dyno"));
                    let index = (0..APPS).find(|i| app_name(*i) == *app).unwrap();
                    self.wanted[index] = self.wanted[index].max(1);
                }
                Output::Event(MeshEvent::Drained(dyno)) => {
                    let process = self.fleet.processes.get(&dyno.instance);
                    assert!(
                        process.is_none_or(|p| p.running.is_empty()),
                        "{dyno:?} is not drained"
                    );
                    self.report.drained += 1;
                }
                Output::Event(MeshEvent::Quarantined(..)) => {}
                Output::Event(MeshEvent::Idle { app }) => self.idle(&app),
                Output::Event(MeshEvent::Scale(hint)) => {
                    self.say(|| format!("{hint:?}"));
                    self.report.hinted += 1;
                    let index = (0..APPS).find(|i| app_name(*i) == *hint.app).unwrap();
                    self.wanted[index] = hint.wanted.min(8) as usize;
                }
                Output::Recalled(recall) => self.recall_is_over(recall),
                Output::ToPeer(..) => unreachable!("it is alone"),
            }
        }
    }

    /// Nobody has had a request of it for long, as far as the sidecar can know, and
    /// its dynos are stopped.
    fn idle(&mut self, app: &str) {
        self.report.idled += 1;
        self.say(|| format!("{app} is idle"));
        let view = self.sidecar.mesh.as_ref().unwrap().app(app, self.now);
        let view = view.unwrap();
        assert_eq!((view.in_flight, view.waiting), (0, 0), "{app} is not idle");
        let index = (0..APPS).find(|i| app_name(*i) == app).unwrap();
        self.wanted[index] = 0;
    }

    /// To the session that it is for. Nobody there: it is lost.
    fn reply(&mut self, output: Output) {
        self.say(|| format!("{output:?}"));
        let session = match &output {
            Output::Answer(answer) => answer.session,
            Output::Reserved(reserved) => reserved.session,
            Output::Recall(recall) => recall.session,
            Output::Next(next) => next.session,
            Output::Recalled(_) | Output::Event(_) | Output::ToPeer(..) => return,
        };
        self.note_reserved(&output);
        if let Some(connection) = self.sidecar.connections.get(&session) {
            self.after(LATENCY, Event::ToRouter(*connection, output));
        }
    }

    /// What happens to a router that stands still happens when it goes on.
    fn send_on(&mut self, router: usize, event: Event) {
        match &mut self.routers[router].frozen {
            Some(events) => events.push(event),
            None => self.at_router(event),
        }
    }

    fn at_router(&mut self, event: Event) {
        match event {
            Event::Comes { router, request } => self.comes(router, request),
            Event::Connect { router } => self.connect(router),
            Event::Finished {
                router,
                worker,
                ask,
                instance,
            } => self.finished(router, worker, ask, &instance),
            Event::ClientLeaves {
                router,
                worker,
                ask,
            } => self.client_leaves(router, worker, ask),
            Event::Tidy { router, worker } => self.tidy(router, worker),
            Event::ToRouter(connection, output) => self.told(connection, output),
            _ => {}
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::ToSidecar(connection, message) => {
                self.say(|| format!("{connection} says {message:?}"));
                self.sidecar.hear(connection, message, self.now);
            }
            Event::ToRouter(connection, _) => {
                if let Some(router) = self.router_at(connection) {
                    self.send_on(router, event);
                }
            }
            Event::Comes { router, .. }
            | Event::Finished { router, .. }
            | Event::ClientLeaves { router, .. }
            | Event::Tidy { router, .. }
            | Event::Connect { router } => self.send_on(router, event),
            Event::Thaw { router, worker } => self.thaw(router, worker),
            Event::Noticed { connection } => self.sidecar.disconnected(connection, true, self.now),
            Event::SidecarStarts => {
                let workers: Vec<_> = self.routers.iter().map(|r| r.worker).collect();
                self.say(|| "the sidecar starts".into());
                self.sidecar.start(workers, self.now + RECOVERY, self.now);
            }
            Event::WorkerKnownDead(worker) => {
                if let Some(mesh) = &mut self.sidecar.mesh {
                    mesh.worker_gone(worker, self.now);
                }
            }
            Event::Fault => self.fault(),
            Event::Operate => self.operate(),
            Event::Tend => self.tend(),
            Event::Booted {
                app,
                dyno,
                instance,
            } => self.booted(&app, dyno, &instance),
        }
    }
}
