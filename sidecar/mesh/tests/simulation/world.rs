//! Events in order of time: clients, connections, dynos, faults, operators.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh::{
    Answer, AskId, DynoSpec, DynoState, Event as MeshEvent, Operation, Outcome, Output, Policy,
    Refusal, Settings, Time, WorkerId,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    fleet::Fleet,
    router::{Request, Router},
    sidecar::{Message, Sidecar},
};

const ROUTERS: usize = 6;
const APPS: usize = 6;
const LENGTH: Duration = Duration::from_secs(20);
/// From a router to the sidecar or back.
const LATENCY: Duration = Duration::from_micros(200);
/// Longer than any router needs to come back.
const RECOVERY: Duration = Duration::from_secs(5);
/// Most dynos that one request tries.
const TRIES: usize = 3;

enum Event {
    Arrival,
    ToSidecar(u64, Message),
    ToRouter(u64, Answer),
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

/// What happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) served: u64,
    pub(crate) queued: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) failed: u64,
    pub(crate) aborted: u64,
    pub(crate) retried: u64,
    pub(crate) broken: u64,
    pub(crate) died: u64,
    pub(crate) restarts: u64,
    pub(crate) crashed: u64,
    pub(crate) drained: u64,
    pub(crate) woken: u64,
    pub(crate) deleted: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        for (reason, n) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += n;
        }
        self.served += other.served;
        self.queued += other.queued;
        self.failed += other.failed;
        self.aborted += other.aborted;
        self.retried += other.retried;
        self.broken += other.broken;
        self.died += other.died;
        self.restarts += other.restarts;
        self.crashed += other.crashed;
        self.drained += other.drained;
        self.woken += other.woken;
        self.deleted += other.deleted;
    }
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
    report: Report,
}

fn app_name(app: usize) -> String {
    format!("app-{app}")
}

fn millis(n: u64) -> Duration {
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
        let quiet = |router: &Router| router.requests.is_empty() && router.connection.is_some();
        let settled = |mesh: &mesh::Mesh| {
            let totals = mesh.totals();
            totals.leases + totals.waiting == 0 && !mesh.is_recovering()
        };
        assert!(
            self.now < self.end + Duration::from_secs(200),
            "somebody waits for ever"
        );
        self.now > self.end
            && self.routers.iter().all(quiet)
            && self.sidecar.mesh.as_ref().is_some_and(settled)
    }

    fn finish(mut self) -> Report {
        self.check();
        for process in self.fleet.processes.values() {
            assert!(
                process.running.is_empty(),
                "a dyno still has something to do"
            );
        }
        let connections: Vec<_> = self.sidecar.connections.values().copied().collect();
        for connection in connections {
            self.sidecar.disconnected(connection, false, self.now);
        }
        if let Some(mesh) = &mut self.sidecar.mesh {
            while let Some(at) = mesh.poll_timeout() {
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
                Output::Answer(answer) => {
                    self.say(|| format!("answer {:?} {:?}", answer.ask, answer.result));
                    // Nobody there: the answer is lost.
                    if let Some(connection) = self.sidecar.connections.get(&answer.session) {
                        self.after(LATENCY, Event::ToRouter(*connection, answer));
                    }
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
                Output::Reserved(_) | Output::Recall(_) | Output::Recalled(_) => {}
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::ToSidecar(connection, message) => {
                self.say(|| format!("{connection} says {message:?}"));
                self.sidecar.hear(connection, message, self.now);
            }
            Event::ToRouter(connection, answer) => {
                let to = self
                    .routers
                    .iter()
                    .position(|r| r.connection == Some(connection));
                if let Some(router) = to {
                    self.answered(router, answer);
                }
            }
            Event::Finished {
                router,
                worker,
                ask,
                instance,
            } => {
                self.finished(router, worker, ask, &instance);
            }
            Event::ClientLeaves {
                router,
                worker,
                ask,
            } => self.client_leaves(router, worker, ask),
            Event::Connect { router } => self.connect(router),
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

    // Clients and routers.

    fn arrive(&mut self) {
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
        };
        let router = self.rng.random_range(0..ROUTERS);
        let worker = self.routers[router].worker;
        let ask = self.ask(router, request);
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
        self.send(
            router,
            Message::Ask {
                ask,
                name,
                waited,
                held,
                tried,
            },
        );
    }

    /// Without a connection nothing is sent: the next one tells everything.
    fn send(&mut self, router: usize, message: Message) {
        if let Some(connection) = self.routers[router].connection {
            self.after(LATENCY, Event::ToSidecar(connection, message));
        }
    }

    fn connect(&mut self, router: usize) {
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

    fn answered(&mut self, router: usize, answer: Answer) {
        let ask = answer.ask;
        // Otherwise its client left, and the cancellation is on its way.
        let Some(request) = self.routers[router].requests.get_mut(&ask) else {
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
        let instance = route.dyno.instance.clone();
        request.dyno = Some(instance.clone());
        request.limited = route.limited;
        let service = request.service;
        let worker = self.routers[router].worker;
        let hangs = self.chance(0.5);
        let process = self
            .fleet
            .at(&route.dyno.address)
            .filter(|(_, p)| p.alive && !hangs);
        let Some((there, process)) = process else {
            let outcome = if hangs {
                Outcome::ConnectTimeout
            } else {
                Outcome::Refused
            };
            return self.try_another(router, ask, outcome);
        };
        assert_eq!(
            (there, &*process.app),
            (&*instance, &*route.dyno.app),
            "another process"
        );
        process.running.insert((router, worker.0, ask));
        let load = process.running.len() as u32;
        if let Some(spec) = self.sidecar.spec(&route.dyno.app) {
            let limit = self.fleet.limit(spec, &instance, self.now);
            assert!(
                load <= limit,
                "{instance} has {load} requests, its limit is {limit}"
            );
        }
        self.after(
            service,
            Event::Finished {
                router,
                worker,
                ask,
                instance,
            },
        );
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
        if request.tried.len() >= TRIES {
            self.report.failed += 1;
            return;
        }
        self.report.retried += 1;
        self.ask(router, request);
    }

    fn finished(&mut self, router: usize, worker: WorkerId, ask: AskId, instance: &str) {
        let running = self
            .fleet
            .processes
            .get_mut(instance)
            .map(|p| &mut p.running);
        if running.is_some_and(|running| running.remove(&(router, worker.0, ask))) {
            self.routers[router].requests.remove(&ask);
            self.report.served += 1;
            let outcome = if self.chance(1.0) {
                Outcome::Unused
            } else {
                Outcome::Done
            };
            self.send(router, Message::Checkin(ask, outcome));
        }
    }

    fn client_leaves(&mut self, router: usize, worker: WorkerId, ask: AskId) {
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
    fn lost(&mut self, running: BTreeSet<(usize, u64, AskId)>) {
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

    // Faults.

    fn fault(&mut self) {
        if self.now < self.end {
            let span = self.about(millis(250));
            self.after(span, Event::Fault);
        }
        let router = self.rng.random_range(0..ROUTERS);
        match self.rng.random_range(0..20) {
            0..=9 => self.break_connection(router),
            10..=12 => self.die(router),
            13 => self.restart(),
            _ => {
                let alive = self.fleet.processes.iter().filter(|(_, p)| p.alive);
                let all: Vec<_> = alive.map(|(instance, _)| instance.clone()).collect();
                if !all.is_empty() {
                    let instance = all[self.rng.random_range(0..all.len())].clone();
                    self.say(|| format!("{instance} crashes"));
                    self.report.crashed += 1;
                    let running = self.fleet.crash(&instance);
                    self.lost(running);
                }
            }
        }
    }

    /// The worker is back before the grace is over, perhaps before the sidecar
    /// has noticed anything.
    fn break_connection(&mut self, router: usize) {
        let Some(connection) = self.routers[router].connection.take() else {
            return;
        };
        self.say(|| format!("connection {connection} breaks"));
        self.report.broken += 1;
        let (noticed, back) = (self.rng.random_range(0..400), self.rng.random_range(1..400));
        self.forget_messages(connection);
        self.after(millis(noticed), Event::Noticed { connection });
        self.after(millis(back), Event::Connect { router });
    }

    /// What is on its way is lost.
    fn forget_messages(&mut self, connection: u64) {
        self.events.retain(|_, event| match event {
            Event::ToSidecar(to, _) => *to != connection,
            _ => true,
        });
    }

    /// The worker's process ends, and with it everything that it was doing.
    fn die(&mut self, router: usize) {
        self.report.died += 1;
        let dead = self.routers[router].worker;
        self.say(|| format!("worker {dead:?} dies"));
        for process in self.fleet.processes.values_mut() {
            process.running.retain(|(_, worker, _)| *worker != dead.0);
        }
        self.report.failed += self.routers[router].requests.len() as u64;
        let connection = self.routers[router].connection;
        self.workers += 1;
        self.routers[router] = Router::new(self.workers);
        // Without a connection it was about to come back: so will the new one.
        if let Some(connection) = connection {
            self.forget_messages(connection);
            let back = self.rng.random_range(1..300);
            self.after(millis(back), Event::Connect { router });
            match self.chance(50.0) {
                true => self.sidecar.disconnected(connection, false, self.now),
                false => self.after(millis(back / 2), Event::Noticed { connection }),
            }
        }
        let known = self.rng.random_range(0..8_000);
        self.after(millis(known), Event::WorkerKnownDead(dead));
    }

    fn restart(&mut self) {
        if self.sidecar.mesh.is_none() {
            return;
        }
        self.report.restarts += 1;
        self.say(|| "the sidecar stops".into());
        self.sidecar.stop();
        for router in 0..ROUTERS {
            if let Some(connection) = self.routers[router].connection.take() {
                self.forget_messages(connection);
                let back = self.rng.random_range(1..1_000);
                self.after(millis(back), Event::Connect { router });
            }
        }
        let down = self.rng.random_range(1..1_000);
        self.after(millis(down), Event::SidecarStarts);
    }

    // Operators and the dyno manager.

    fn change(&mut self, app: &str, operations: Vec<Operation>) {
        self.say(|| format!("{app}: {operations:?}"));
        if let Some(spec) = self.sidecar.spec(app) {
            let spec = spec.clone();
            self.fleet.limits_change(&spec, self.now);
        }
        self.sidecar.change(app, operations, self.now).unwrap();
    }

    fn some_settings(&mut self) -> Settings {
        let policy = match self.rng.random_range(0..6) {
            0 => Policy::Random,
            1 => Policy::LeastLoad,
            _ => Policy::IdleOnly,
        };
        Settings {
            policy,
            dyno_limit: self.chance(40.0).then(|| self.rng.random_range(1..4)),
            queue_depth: self.chance(30.0).then(|| self.rng.random_range(0..20)),
            queue_timeout: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(1..3_000))),
            boot_timeout: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(1..3_000))),
            max_requests: self.chance(20.0).then(|| self.rng.random_range(1..40)),
            wake: self.chance(50.0),
            queue_headers: false,
        }
    }

    fn create_app(&mut self, app: usize) {
        let name = app_name(app);
        let settings = self.some_settings();
        let domain = Operation::AddDomain(format!("{name}.test").into());
        self.change(&name, vec![Operation::CreateApp(settings), domain]);
        self.wanted[app] = self.rng.random_range(0..8);
    }

    fn operate(&mut self) {
        if self.now < self.end {
            let span = self.about(millis(100));
            self.after(span, Event::Operate);
        }
        let app = self.rng.random_range(0..APPS);
        let name = app_name(app);
        let (Some(spec), Some(_)) = (self.sidecar.spec(&name).cloned(), &self.sidecar.mesh) else {
            return;
        };
        // It does not last long.
        if spec.maintenance {
            return self.change(&name, vec![Operation::SetMaintenance(false)]);
        }
        match self.rng.random_range(0..20) {
            0 => self.change(&name, vec![Operation::SetMaintenance(true)]),
            1..=4 => {
                let settings = self.some_settings();
                self.change(&name, vec![Operation::PutSettings(settings)]);
            }
            5 => {
                self.change(&name, vec![Operation::DeleteApp]);
                self.report.deleted += 1;
                for dyno in spec.dynos {
                    let running = self.fleet.remove(&dyno.instance, self.now);
                    self.lost(running);
                }
                self.create_app(app);
            }
            6..=9 if !spec.dynos.is_empty() => {
                let dyno = &spec.dynos[self.rng.random_range(0..spec.dynos.len())];
                let (dyno, state) = (dyno.name.clone(), DynoState::Draining);
                self.change(&name, vec![Operation::SetDynoState { dyno, state }]);
            }
            10..=11 if !spec.dynos.is_empty() => {
                let dyno = &spec.dynos[self.rng.random_range(0..spec.dynos.len())];
                self.stop(&name, dyno);
            }
            // Taken out by mistake, and back before its work is done.
            12..=13 if !spec.dynos.is_empty() => {
                let dyno = spec.dynos[self.rng.random_range(0..spec.dynos.len())].clone();
                self.change(&name, vec![Operation::RemoveDyno(dyno.name.clone())]);
                self.change(
                    &name,
                    vec![Operation::PutDyno {
                        dyno,
                        takeover: false,
                    }],
                );
            }
            _ => self.wanted[app] = self.rng.random_range(0..8),
        }
    }

    fn stop(&mut self, app: &str, dyno: &DynoSpec) {
        self.change(app, vec![Operation::RemoveDyno(dyno.name.clone())]);
        let running = self.fleet.remove(&dyno.instance, self.now);
        self.lost(running);
    }

    /// The dyno manager: marks what crashed, removes what has drained, starts
    /// what is missing.
    fn tend(&mut self) {
        self.after(millis(200), Event::Tend);
        for app in 0..APPS {
            let name = app_name(app);
            let view = self
                .sidecar
                .mesh
                .as_ref()
                .and_then(|mesh| mesh.app(&name, self.now).filter(|_| !mesh.is_recovering()));
            let Some(view) = view else { continue };
            for (dyno, load) in view.spec.dynos.iter().zip(&view.dynos) {
                let alive = self.fleet.processes[&dyno.instance].alive;
                match dyno.state {
                    DynoState::Draining if load.load == 0 && alive => {
                        let running = &self.fleet.processes[&dyno.instance].running;
                        assert!(running.is_empty(), "{} has drained, it says", dyno.instance);
                        self.stop(&name, dyno);
                    }
                    DynoState::Crashed => self.stop(&name, dyno),
                    _ if !alive => {
                        let (dyno, state) = (dyno.name.clone(), DynoState::Crashed);
                        self.change(&name, vec![Operation::SetDynoState { dyno, state }]);
                    }
                    _ => {}
                }
            }
            self.scale(app);
        }
    }

    fn scale(&mut self, app: usize) {
        let name = app_name(app);
        let Some(spec) = self.sidecar.spec(&name).cloned() else {
            return;
        };
        let running = |d: &&DynoSpec| matches!(d.state, DynoState::Starting | DynoState::Up);
        let have: Vec<_> = spec.dynos.iter().filter(running).collect();
        if have.len() > self.wanted[app] {
            let (dyno, state) = (have[0].name.clone(), DynoState::Draining);
            self.change(&name, vec![Operation::SetDynoState { dyno, state }]);
        }
        if have.len() < self.wanted[app] {
            let (instance, address) = self.fleet.start(&name, self.now);
            let limit = self.chance(20.0).then(|| self.rng.random_range(1..4));
            let dyno: Box<str> = format!("web.{instance}").into();
            let spec = DynoSpec {
                name: dyno.clone(),
                instance: instance.clone(),
                address,
                limit,
                state: DynoState::Starting,
            };
            self.change(
                &name,
                vec![Operation::PutDyno {
                    dyno: spec,
                    takeover: false,
                }],
            );
            let boot = self.rng.random_range(50..1_500);
            self.after(
                millis(boot),
                Event::Booted {
                    app: name.into(),
                    dyno,
                    instance,
                },
            );
        }
    }

    fn booted(&mut self, app: &str, dyno: Box<str>, instance: &str) {
        if self.sidecar.mesh.is_none() {
            let (app, instance) = (app.into(), instance.into());
            return self.after(
                millis(100),
                Event::Booted {
                    app,
                    dyno,
                    instance,
                },
            );
        }
        let starting = self.sidecar.spec(app).is_some_and(|spec| {
            let mut dynos = spec.dynos.iter();
            dynos.any(|d| *d.instance == *instance && d.state == DynoState::Starting)
        });
        if starting && self.fleet.processes[instance].alive {
            self.change(
                app,
                vec![Operation::SetDynoState {
                    dyno,
                    state: DynoState::Up,
                }],
            );
        }
    }
}
