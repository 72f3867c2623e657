//! Operators and the dyno manager.

use mesh::{DynoSpec, DynoState, Operation, Policy, Rate, Settings};
use rand::RngExt;

use super::{APPS, Event, World, app_name, millis};

impl World {
    fn change(&mut self, app: &str, operations: Vec<Operation>) {
        self.say(|| format!("{app}: {operations:?}"));
        if let Some(spec) = self.sidecar.spec(app) {
            let spec = spec.clone();
            self.fleet.limits_change(&spec, self.now);
        }
        let recalls = self.sidecar.change(app, operations, self.now).unwrap();
        self.changed(app, recalls);
    }

    fn some_settings(&mut self) -> Settings {
        let policy = match self.rng.random_range(0..6) {
            0 => Policy::Random,
            1..=2 => Policy::LeastLoad,
            _ => Policy::IdleOnly,
        };
        Settings {
            exact: None,
            policy,
            dyno_limit: self.chance(40.0).then(|| self.rng.random_range(1..4)),
            queue_depth: self.chance(30.0).then(|| self.rng.random_range(0..20)),
            queue_timeout: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(1..3_000))),
            idle_timeout: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(1_000..3_000))),
            scale_wait: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(10..500))),
            boot_timeout: self
                .chance(40.0)
                .then(|| millis(self.rng.random_range(1..3_000))),
            max_requests: self.chance(20.0).then(|| self.rng.random_range(1..40)),
            wake: self.chance(50.0),
            queue_headers: false,
            tap_rate: None,
            max_body: None,
            max_time: None,
            max_rate: self.chance(15.0).then(|| Rate {
                requests: self.rng.random_range(20..2_000),
                per: millis(1_000),
                burst: None,
            }),
            max_client_rate: None,
        }
    }

    pub(super) fn create_app(&mut self, app: usize) {
        let name = app_name(app);
        let settings = self.some_settings();
        let domain = Operation::AddDomain(format!("{name}.test").into());
        self.change(&name, vec![Operation::CreateApp(settings), domain]);
        self.wanted[app] = self.rng.random_range(0..8);
    }

    pub(super) fn operate(&mut self) {
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
                for dyno in &spec.dynos {
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
            14 => {
                let sticky = if self.chance(50.0) { "cookie" } else { "" };
                self.change(&name, vec![Operation::PutSticky(sticky.into())]);
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
    pub(super) fn tend(&mut self) {
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
            let (instance, address) = self.fleet.start(&name, self.all_in_effect(), self.now);
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

    pub(super) fn booted(&mut self, app: &str, dyno: Box<str>, instance: &str) {
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
