//! Runs a plan on the mesh and on the model, and compares.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh::{
    Address, AppSpec, Ask, AskId, Change, DynoSpec, DynoState, Extent, Heard, Limits, LoadReport,
    Mesh, NodeId, Operation, Prefer, SessionKey, Time, Update, WHOLE, WorkerId, mark,
};

use crate::{
    reference::Reference,
    steps::{ADDRESSES, DOMAINS, NAMES, NODES, Op, Plan, Step, WORKERS},
};

mod next;
mod reserve;

struct Run {
    mesh: Mesh,
    model: Reference,
    /// Every instance that ever was: app, name, specification.
    instances: Vec<(usize, DynoSpec)>,
    asks: u64,
    ahead: reserve::Ahead,
    next: next::Said,
    /// What others were told, but for zeros.
    told: BTreeMap<Box<str>, u32>,
}

/// Small, so that each of them is reached.
fn limits() -> Limits {
    Limits {
        apps: 3,
        dynos: 9,
        dynos_per_app: 4,
        domains_per_app: 3,
        waiting: 10,
        sessions: 3,
        asks_per_session: 8,
        ..Limits::default()
    }
}

pub(crate) fn run(plan: &Plan) {
    let mesh = Mesh::new(limits(), plan.seed);
    let model = Reference::new(limits(), Time::from_micros(10_000_000_000));
    let mut run = Run {
        mesh,
        model,
        instances: vec![],
        asks: 0,
        ahead: reserve::Ahead::default(),
        next: next::Said::default(),
        told: BTreeMap::new(),
    };
    run.mesh.share_load();
    run.prepare(plan);
    for step in &plan.steps {
        run.tick();
        run.step(step);
        run.compare();
    }
    run.end();
}

fn app_name(app: usize) -> Box<str> {
    format!("app-{app}").into()
}

fn dyno_name(dyno: usize) -> Box<str> {
    format!("web.{dyno}").into()
}

fn address(index: usize) -> Address {
    format!("127.0.0.1:{}", 5000 + index).parse().unwrap()
}

impl Run {
    fn tick(&mut self) {
        self.wait(self.model.now + Duration::from_micros(1));
    }

    fn prepare(&mut self, plan: &Plan) {
        let until = self.model.now + Duration::from_secs(20);
        self.mesh
            .recover(plan.recover.iter().map(|w| WorkerId(*w as u64)), until);
        if !plan.recover.is_empty() {
            self.model.recovery = Some((plan.recover.iter().copied().collect(), until));
        }
        for (app, settings) in plan.settings.iter().enumerate().take(2) {
            let put = |dyno| Op::PutDyno {
                dyno,
                instance: None,
                address: app * 3 + dyno,
                limit: None,
                state: DynoState::Up,
                takeover: false,
            };
            let create = Op::Create(settings.clone());
            self.change(app, &[create, Op::AddDomain(app), put(0), put(1)]);
            self.compare();
        }
        for worker in (0..2).filter(|worker| !plan.recover.contains(worker)) {
            self.step(&Step::Hello {
                worker,
                keep: 0,
                stray: None,
                twice: false,
            });
            self.compare();
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.model.now;
        match step {
            Step::Ask {
                worker,
                name,
                waited_ms,
                served_ms,
                held,
                tried,
                prefer,
                passes_on,
            } => {
                let Some(session) = self.session(*worker) else {
                    return;
                };
                self.asks += 1;
                let ask = Ask {
                    waited: Duration::from_millis(*waited_ms),
                    served: Duration::from_millis(*served_ms),
                    held: *held,
                    tried: tried.iter().map(|i| self.instance(*i)).collect(),
                    prefer: prefer.map(|i| Prefer::Dyno(mark(&self.instance(i)))),
                    passes_on: *passes_on,
                    ..Ask::new(AskId(self.asks), NAMES[*name])
                };
                self.ask(session, &ask);
            }
            Step::AskAgain { worker, which } => {
                let Some((session, ask)) = self.pick(*worker, *which) else {
                    return;
                };
                self.ask(session, &Ask::new(ask, NAMES[0]));
            }
            Step::Cancel { worker, which } => {
                let Some((session, ask)) = self.pick(*worker, *which) else {
                    return;
                };
                self.mesh.cancel(session, ask, now);
                self.hear();
                self.model.cancel(session, ask);
            }
            Step::Checkin {
                worker,
                which,
                outcome,
            } => {
                let Some((session, ask)) = self.pick(*worker, *which) else {
                    return;
                };
                self.mesh.checkin(session, ask, *outcome, now);
                self.hear();
                let struck = self.model.checkin(session, ask, *outcome);
                self.begins_recall(&struck.into_iter().collect(), vec![]);
            }
            Step::HandOn {
                worker,
                which,
                next,
                fits,
            } => self.hand_on(*worker, *which, *next, *fits),
            Step::Reserve {
                worker,
                name,
                count,
                again,
            } => self.reserve(*worker, *name, *count, *again),
            Step::Taken { worker, which } => self.taken(*worker, *which),
            Step::Passed { worker, which } => self.passed(*worker, *which),
            Step::Recalled {
                worker,
                which,
                back,
            } => self.recalled(*worker, *which, *back),
            Step::Close(worker) => {
                let Some(session) = self.session(*worker) else {
                    return;
                };
                self.mesh.close_session(session, now);
                self.hear();
                self.model.close(session);
                self.stale(session);
            }
            Step::Lose(worker) => {
                let Some(session) = self.session(*worker) else {
                    return;
                };
                self.mesh.lose_session(session, now);
                self.hear();
                self.model.lose(session);
            }
            Step::Hello {
                worker,
                keep,
                stray,
                twice,
            } => {
                self.hello(*worker, *keep, *stray, *twice);
            }
            Step::Gone(worker) => {
                self.mesh.worker_gone(WorkerId(*worker as u64), now);
                self.hear();
                self.model.gone(*worker);
            }
            Step::Wait(micros) => self.wait(now + Duration::from_micros(*micros)),
            Step::Report {
                node,
                whole,
                missing,
                loads,
            } => self.report(*node, *whole, *missing, loads),
            Step::NodeGone(node) => {
                self.mesh.node_gone(NodeId(*node), now);
                self.hear();
                self.model.node_gone(*node);
            }
            Step::Tell(most) => self.tell(*most),
            Step::Change { app, operations } => self.change(*app, operations),
        }
    }

    fn ask(&mut self, session: SessionKey, ask: &Ask<'_>) {
        let taken = self.mesh.ask(session, ask.clone(), self.model.now);
        self.hear();
        assert_eq!(taken, self.model.ask(session, ask));
        if taken && let Some(app) = self.model.waits_alone(session, ask.id) {
            // What is reserved may be what it waits for.
            let apps = BTreeSet::from([app]);
            if !self.model.holders(&apps).is_empty() {
                self.begins_recall(&apps, vec![]);
            }
        }
    }

    fn session(&self, worker: usize) -> Option<SessionKey> {
        self.model.session_of(worker).map(|session| session.key)
    }

    /// One of the worker's asks; sometimes one that it does not have.
    fn pick(&self, worker: usize, which: usize) -> Option<(SessionKey, AskId)> {
        let session = self.session(worker)?;
        let asks = self.model.asks_of(session);
        Some((
            session,
            asks.get(which % (asks.len() + 1))
                .copied()
                .unwrap_or(AskId(9_999_999)),
        ))
    }

    fn instance(&self, index: usize) -> Box<str> {
        match self.instances.len() {
            0 => "unknown".into(),
            // The newer ones: the older ones are gone.
            n => self.instances[n - 1 - index % n].1.instance.clone(),
        }
    }

    /// A session that is over has no effect.
    fn stale(&mut self, session: SessionKey) {
        let now = self.model.now;
        assert!(!self.mesh.ask(session, Ask::new(AskId(1), NAMES[0]), now));
        self.mesh.cancel(session, AskId(1), now);
        self.mesh.lose_session(session, now);
        self.mesh.close_session(session, now);
        assert_eq!(self.mesh.poll_output(), None);
    }

    fn hello(&mut self, worker: usize, keep: u8, stray: Option<usize>, twice: bool) {
        let mut held = match self.session(worker) {
            Some(session) => self.model.held_by(session),
            None => vec![],
        };
        let mut at = 0;
        held.retain(|_| {
            at += 1;
            keep >> (at % 8) & 1 == 1
        });
        if let Some(stray) = stray {
            self.asks += 1;
            held.push((AskId(self.asks), self.instance(stray)));
        }
        if twice && let Some((ask, _)) = held.first().cloned() {
            held.push((ask, self.instance(keep.into())));
            held.push((AskId(9_999), "unknown".into()));
        }
        let result = self
            .mesh
            .hello(WorkerId(worker as u64), held.clone(), self.model.now);
        self.hear();
        self.model.hello(worker, &held, result.ok());
    }

    fn report(&mut self, node: u64, whole: bool, missing: bool, loads: &[(usize, u32)]) {
        // Once each.
        let loads: BTreeMap<_, _> = loads.iter().map(|(i, n)| (self.instance(*i), *n)).collect();
        let loads = Vec::from_iter(loads);
        let known = self.model.nodes.get(&node);
        let (seq, was_in_step) = known.map_or((0, false), |known| (known.seq, known.in_step));
        let report = LoadReport {
            node: NodeId(node),
            name: "other".into(),
            epoch: 1,
            seq: seq + 1 + u64::from(missing),
            extent: if whole { WHOLE } else { Extent::Changes },
            loads: loads.clone(),
        };
        let heard = self.mesh.hear_load(report, self.model.now);
        self.hear();
        self.model.report(node, whole, missing, &loads);
        let wanted = match (whole, was_in_step, missing) {
            (true, ..) | (_, true, false) => Heard::Taken,
            (false, true, true) => Heard::Gap,
            (false, false, _) => Heard::Waits,
        };
        assert_eq!(heard, wanted);
    }

    /// Others know what is so, once they were told everything.
    fn tell(&mut self, most: usize) {
        let loads = self.mesh.poll_untold(most);
        assert!(loads.len() <= most);
        self.told.extend(loads);
        self.told.retain(|_, load| *load > 0);
        if !self.mesh.has_untold() {
            let mut held = BTreeMap::new();
            for lease in self.model.leases.iter().filter(|lease| !lease.reserved) {
                *held.entry(lease.instance.clone()).or_default() += 1;
            }
            assert_eq!(self.told, held);
        }
    }

    fn wait(&mut self, until: Time) {
        while let Some(due) = self.mesh.poll_timeout().filter(|due| *due <= until) {
            assert!(due > self.model.now, "a timer is due and nothing said so");
            self.model.now = due;
            self.mesh.handle_timeout(due);
            self.hear();
            self.model.timeout();
            self.compare();
        }
        self.model.now = until;
    }

    fn change(&mut self, app: usize, operations: &[Op]) {
        let name = app_name(app);
        let operations = operations
            .iter()
            .map(|op| self.operation(app, op))
            .collect();
        let change = Change {
            app: name.clone(),
            base_version: None,
            operations,
        };
        let version = self.mesh.spec(&name).map_or(0, |spec| spec.version);
        let Ok(updates) = self.mesh.plan(&change) else {
            return;
        };
        assert_eq!(updates[0].app(), &*name);
        if let Update::Put(spec) = &updates[0] {
            assert_eq!(spec.version, version + 1);
        }
        for update in &updates {
            let (affected, lost) = (self.model.affected(update), self.model.lost(update));
            let recalls = self.mesh.apply(update, self.model.now);
            self.hear();
            self.model.apply(update);
            let own = self.begins_recall(&affected, lost);
            assert_eq!(recalls, self.waits_for(update, own));
            assert!(
                self.model.outputs.is_empty(),
                "too much: {:?}",
                self.model.outputs
            );
        }
        self.check_plan();
    }

    fn operation(&mut self, app: usize, op: &Op) -> Operation {
        match op {
            Op::Create(settings) => Operation::CreateApp(settings.clone()),
            Op::Delete => Operation::DeleteApp,
            Op::Settings(settings) => Operation::PutSettings(settings.clone()),
            Op::Maintenance(on) => Operation::SetMaintenance(*on),
            Op::AddDomain(domain) => Operation::AddDomain(DOMAINS[*domain].into()),
            Op::RemoveDomain(domain) => Operation::RemoveDomain(DOMAINS[*domain].into()),
            Op::RemoveDyno(dyno) => Operation::RemoveDyno(dyno_name(*dyno)),
            Op::SetState(dyno, state) => Operation::SetDynoState {
                dyno: dyno_name(*dyno),
                state: *state,
            },
            Op::PutDyno {
                dyno,
                instance,
                address: at,
                limit,
                state,
                takeover,
            } => {
                let new = format!("i{}", self.instances.len()).into();
                let spec = DynoSpec {
                    name: dyno_name(*dyno),
                    instance: instance.map_or(new, |index| self.instance(index)),
                    address: address(*at % ADDRESSES),
                    limit: *limit,
                    state: *state,
                };
                self.instances.push((app, spec.clone()));
                Operation::PutDyno {
                    dyno: spec,
                    takeover: *takeover,
                }
            }
            Op::Renew(index, state) => {
                let own = self.instances.iter().rev().filter(|(of, _)| *of == app);
                let spec = own.map(|(_, spec)| spec).cycle().nth(*index).cloned();
                let spec = spec.map(|spec| DynoSpec {
                    state: *state,
                    ..spec
                });
                match spec {
                    Some(dyno) => Operation::PutDyno {
                        dyno,
                        takeover: true,
                    },
                    None => Operation::DeleteApp,
                }
            }
        }
    }

    /// Whatever was planned keeps the bounds and the rules across apps.
    fn check_plan(&self) {
        let apps: Vec<AppSpec> = (0..3)
            .filter_map(|app| self.mesh.spec(&app_name(app)))
            .collect();
        let limits = limits();
        let dynos: Vec<_> = apps.iter().flat_map(|app| &app.dynos).collect();
        let alive: Vec<_> = dynos.iter().filter(|d| d.state.is_alive()).collect();
        let addresses: BTreeSet<_> = alive.iter().map(|d| d.address.to_string()).collect();
        assert_eq!(addresses.len(), alive.len(), "an address belongs to two");
        let instances: BTreeSet<_> = dynos.iter().map(|d| &d.instance).collect();
        assert_eq!(instances.len(), dynos.len(), "an instance is there twice");
        assert!(dynos.len() <= limits.dynos);
        let domains: Vec<_> = apps.iter().flat_map(|app| &app.domains).collect();
        assert_eq!(domains.iter().collect::<BTreeSet<_>>().len(), domains.len());
        for app in &apps {
            assert!(app.dynos.len() <= limits.dynos_per_app);
            assert!(app.domains.len() <= limits.domains_per_app);
            let names: BTreeSet<_> = app.dynos.iter().map(|d| &d.name).collect();
            assert_eq!(names.len(), app.dynos.len());
        }
    }

    /// Hands over to the model what the mesh said.
    fn hear(&mut self) {
        assert!(self.model.outputs.is_empty());
        let said = std::iter::from_fn(|| self.mesh.poll_output());
        let said = said.filter_map(|output| self.next.sift(output, &self.model));
        let said = said.filter_map(|output| self.ahead.sift(output));
        let said: Vec<_> = said.collect();
        self.model.outputs.extend(said);
    }

    fn compare(&mut self) {
        self.model.settle();
        self.check_recalls();
        self.check_next();
        let (mesh, model) = (&self.mesh, &self.model);
        assert!(
            model.outputs.is_empty(),
            "too much is said: {:?}",
            model.outputs
        );
        mesh.check_invariants().unwrap();
        let next = model
            .next_timeout()
            .into_iter()
            .chain(self.ahead.deadlines());
        let next = next.min();
        // The mesh may look too early whether an app is idle.
        match model.may_be_idle() {
            false => assert_eq!(mesh.poll_timeout(), next),
            true => assert!(next.is_none_or(|at| mesh.poll_timeout() <= Some(at))),
        }
        assert_eq!(mesh.is_recovering(), model.recovery.is_some());
        let totals = mesh.totals();
        assert_eq!(totals.apps, model.apps.len());
        let in_use = model.leases.iter().filter(|lease| !lease.reserved);
        assert_eq!(totals.leases, in_use.count());
        assert_eq!(totals.waiting, model.waiters.len());
        assert_eq!(totals.sessions, model.sessions.len());
        assert_eq!(
            totals.dynos,
            model
                .apps
                .iter()
                .map(|app| app.spec.dynos.len())
                .sum::<usize>()
        );
        for app in 0..3 {
            let name = app_name(app);
            let (Some(app), Some(view)) = (model.app(&name), mesh.app(&name, model.now)) else {
                assert!(model.app(&name).is_none() && mesh.app(&name, model.now).is_none());
                continue;
            };
            assert_eq!(view.spec, app.spec);
            assert_eq!(
                (view.in_flight, view.waiting, view.oldest_wait),
                (
                    model.in_flight(app),
                    model.waiting(app),
                    model.oldest_wait(app)
                )
            );
            for (dyno, view) in app.spec.dynos.iter().zip(&view.dynos) {
                assert_eq!(view.load, model.seen_load(dyno));
                assert_eq!(view.elsewhere, model.elsewhere(&dyno.instance));
                assert_eq!(view.limit, Reference::limit(app, dyno));
            }
        }
    }

    /// Everybody leaves and every app is deleted: nothing is left.
    fn end(&mut self) {
        self.tick();
        for worker in 0..WORKERS {
            self.step(&Step::Gone(worker));
            self.step(&Step::Close(worker));
            self.compare();
        }
        for app in 0..3 {
            self.change(app, &[Op::Delete]);
            self.compare();
        }
        for node in 0..NODES {
            self.step(&Step::NodeGone(node));
        }
        self.tell(usize::MAX);
        assert!(self.told.is_empty());
        let totals = self.mesh.totals();
        let left = (
            totals.apps,
            totals.dynos,
            totals.sessions,
            totals.leases,
            totals.waiting,
        );
        assert_eq!(left, (0, 0, 0, 0, 0));
        assert_eq!(self.mesh.poll_timeout(), None);
        self.mesh.check_invariants().unwrap();
    }
}
