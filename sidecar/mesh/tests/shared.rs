//! Several meshes make the same changes. Each has limits, a seed and requests of
//! its own; what they are configured as is the same after every change.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mesh::{
    Ask, AskId, Change, DynoSpec, DynoState, Limits, Manage, Mesh, Operation, Outcome, SessionKey,
    Settings, Time, WorkerId,
};
use proptest::{collection::vec, prelude::*};

const APPS: [&str; 3] = ["a", "b", "c"];

struct Host {
    mesh: Mesh,
    session: SessionKey,
    now: Time,
    asks: u64,
}

impl Host {
    fn new(seed: u64, limits: Limits) -> Self {
        let now = Time::from_micros(3_600_000_000);
        let mut mesh = Mesh::new(limits, seed);
        let session = mesh.hello(WorkerId(seed), [], now).unwrap();
        Self {
            mesh,
            session,
            now,
            asks: 0,
        }
    }

    fn ask(&mut self, app: usize) {
        self.asks += 1;
        let name = format!("{}.test", APPS[app]);
        let ask = Ask::new(AskId(self.asks), &name);
        assert!(self.mesh.ask(self.session, ask, self.now));
    }

    fn checkin(&mut self, which: u64, outcome: Outcome) {
        if self.asks > 0 {
            let ask = AskId(which % self.asks + 1);
            self.mesh.checkin(self.session, ask, outcome, self.now);
        }
    }

    /// The words of the refusal, or nothing.
    fn change(&mut self, mut change: Change, number: usize) -> String {
        self.mesh.identify_shared(&mut change, |operation| {
            format!("fresh-{number}-{operation}").into()
        });
        let said = match self.mesh.plan_shared(&change) {
            Ok(updates) => {
                for update in &updates {
                    self.mesh.apply(update, self.now);
                }
                String::new()
            }
            Err(error) => error.to_string(),
        };
        self.mesh.check_invariants().unwrap();
        while self.mesh.poll_output().is_some() {}
        said
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// On one host, as are the next two.
    Ask(usize, usize),
    Checkin(usize, u64, Outcome),
    Wait(usize, u64),
    /// On all.
    Change(Change),
}

fn dyno() -> impl Strategy<Value = Operation> {
    let states = [
        DynoState::Starting,
        DynoState::Up,
        DynoState::Draining,
        DynoState::Down,
    ];
    let parts = (0..3, prop::option::of(0..5), 0..4, any::<bool>());
    (parts, prop::sample::select(states.to_vec())).prop_map(
        |((name, instance, address, takeover), state)| {
            let instance = instance.map_or(String::new(), |number| format!("i{number}"));
            let dyno = DynoSpec {
                name: format!("web.{name}").into(),
                instance: instance.into(),
                address: format!("127.0.0.1:{}", 5_000 + address).parse().unwrap(),
                limit: None,
                state,
            };
            Operation::PutDyno { dyno, takeover }
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => Just(Operation::CreateApp(Settings::default())),
        1 => Just(Operation::DeleteApp),
        1 => any::<bool>().prop_map(Operation::SetMaintenance),
        3 => (0..3_usize).prop_map(|app| Operation::AddDomain(format!("{}.test", APPS[app]).into())),
        1 => (0..3_usize).prop_map(|app| Operation::RemoveDomain(format!("{}.test", APPS[app]).into())),
        8 => dyno(),
        4 => (0..3).prop_map(|name| Operation::RemoveDyno(format!("web.{name}").into())),
        2 => manage(),
    ]
}

fn manage() -> impl Strategy<Value = Operation> {
    (any::<bool>(), 0..3_usize, vec(dyno(), 0..3)).prop_map(|(wake, app, puts)| {
        let dynos = puts.into_iter().filter_map(|put| match put {
            Operation::PutDyno { dyno, .. } => Some(dyno),
            _ => None,
        });
        Operation::Manage(Box::new(Manage {
            wake: Some(wake),
            domains: vec![format!("{}.test", APPS[app]).into()],
            dyno_prefix: "web.".into(),
            dynos: dynos.collect(),
            ..Manage::default()
        }))
    })
}

fn step(hosts: usize) -> impl Strategy<Value = Step> {
    let outcomes = [Outcome::Done, Outcome::Refused, Outcome::Failed];
    let change = (
        0..APPS.len(),
        vec(operation(), 1..4),
        prop::option::of(0..9_u64),
    );
    prop_oneof![
        4 => (0..hosts, 0..APPS.len()).prop_map(|(host, app)| Step::Ask(host, app)),
        2 => (0..hosts, any::<u64>(), prop::sample::select(outcomes.to_vec()))
            .prop_map(|(host, which, outcome)| Step::Checkin(host, which, outcome)),
        1 => (0..hosts, 0..5_000_u64).prop_map(|(host, ms)| Step::Wait(host, ms)),
        6 => change.prop_map(|(app, operations, base_version)| Step::Change(Change {
            app: APPS[app].into(),
            base_version: base_version.filter(|version| *version < 3),
            operations,
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn they_stay_the_same(steps in vec(step(3), 1..80)) {
        let small = Limits {
            apps: 1,
            dynos: 2,
            dynos_per_app: 1,
            domains_per_app: 1,
            ..Limits::default()
        };
        let mut hosts = [
            Host::new(1, Limits::default()),
            Host::new(2, small),
            Host::new(3, Limits::LARGEST),
        ];
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Ask(host, app) => hosts[host].ask(app),
                Step::Checkin(host, which, outcome) => hosts[host].checkin(which, outcome),
                Step::Wait(host, ms) => {
                    let host = &mut hosts[host];
                    host.now = host.now + Duration::from_millis(ms);
                    host.mesh.handle_timeout(host.now);
                }
                Step::Change(change) => {
                    let [first, others @ ..] = &mut hosts;
                    let said = first.change(change.clone(), number);
                    for other in others {
                        prop_assert_eq!(&other.change(change.clone(), number), &said);
                        for app in APPS {
                            prop_assert_eq!(other.mesh.spec(app), first.mesh.spec(app));
                        }
                    }
                }
            }
        }
    }
}
