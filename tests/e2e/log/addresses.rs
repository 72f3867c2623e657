//! Addresses that go from app to app, at every host, under load.
//!
//! The rule is that of docs/managers.md: an address is free when its dyno has
//! drained. Whoever keeps to it is sent no request of another app, whichever host
//! each change is made at and however late the others hear of it.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use dynomesh_proto::v1::{
    Dyno as Spec, DynoState, Policy, PutDyno, Settings, event, operation::Kind,
};
use e2e::{
    Dyno, Mesh,
    harness::{Broker, Control, Program, broker, run_within, wait},
    load::{Load, Options},
};
use futures_util::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

const HOSTS: usize = 3;
/// Some with a limit for each dyno, some without.
const APPS: [(&str, Policy); 3] = [
    ("one", Policy::IdleOnly),
    ("two", Policy::LeastLoad),
    ("three", Policy::Random),
];
/// Addresses that are on the move; beside them each app has one that stays.
const ADDRESSES: u64 = 12;
/// Connections of each load; there is one for each app at each host.
const CONNECTIONS: usize = 2;

/// How long it goes on.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub(super) requests: u64,
    pub(super) moves: u64,
    pub(super) limit: Duration,
}

#[test]
fn an_address_that_goes_from_app_to_app_serves_nobody_but_its_own() {
    no_request_goes_astray(Length {
        requests: 20_000,
        moves: 60,
        limit: Duration::from_secs(120),
    });
}

/// Asks at all hosts until there were as many requests and moves, and looks who
/// has answered.
pub(super) fn no_request_goes_astray(length: Length) {
    run_within(length.limit, async {
        let (hosts, _homes) = hosts().await;
        let loads = start_loads(&hosts);
        let made = Cell::new(0);
        let controls: Vec<_> = hosts.iter().map(|host| host.control().clone()).collect();
        let movers = (0..ADDRESSES).map(|number| {
            let mover = Mover::new(controls.clone(), number);
            mover.go(&made, length.moves)
        });
        let crashes: u64 = join_all(movers).await.into_iter().sum();
        wait::within(length.limit, "enough was asked", async || {
            let ended: u64 = loads.iter().map(Load::ended).sum();
            ended >= length.requests
        })
        .await;
        let mut sum = Sum::default();
        for load in loads {
            sum.add(load.stop().await);
        }
        eprintln!("{} moves, {crashes} crashes: {sum:?}", length.moves);
        assert!(sum.strangers.is_empty(), "{sum:?}");
        assert!(sum.requests >= length.requests, "{sum:?}");
        assert!(crashes > 0 && sum.errors.is_empty(), "{sum:?}");
        check_refusals(&hosts, &sum, crashes);
        for host in hosts {
            host.finish().await;
        }
    });
}

#[derive(Debug, Default)]
struct Sum {
    requests: u64,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    strangers: BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, report: e2e::load::Report) {
        self.requests += report.requests;
        for (status, count) in report.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.errors.extend(report.errors);
        self.strangers.extend(report.strangers);
    }
}

/// Only those fail whose dyno was killed with their request.
fn check_refusals(hosts: &[Mesh], sum: &Sum, crashes: u64) {
    let log = hosts.iter().flat_map(Mesh::access_log);
    let codes: Vec<_> = log.map(|entry| entry.error).collect();
    let odd = codes
        .iter()
        .find(|code| !["", "-", "H13"].contains(&&***code));
    assert_eq!(odd, None);
    let failed: u64 = sum
        .statuses
        .iter()
        .filter(|(status, _)| **status != 200)
        .map(|(_, count)| count)
        .sum();
    let most = crashes * (HOSTS * APPS.len() * CONNECTIONS) as u64;
    assert!(failed <= most, "{crashes} crashes: {sum:?}");
}

/// All apps at all hosts, with a dyno each that stays.
async fn hosts() -> (Vec<Mesh>, Vec<Dyno>) {
    let (broker, prefix) = (Broker::shared().await, broker::prefix());
    let mut hosts = Vec::new();
    for number in 0..HOSTS {
        let host = Mesh::builder().broker(&broker.url(), &prefix);
        hosts.push(host.node(&format!("n{number}")).start().await);
    }
    let mut homes = Vec::new();
    for ((name, policy), host) in APPS.iter().zip(&hosts) {
        let settings = Settings {
            policy: (*policy).into(),
            ..Settings::default()
        };
        let app = host.app_with(name, settings).await;
        homes.push(app.run(program(name, "home", "127.0.0.1:0")).await);
    }
    for (host, (name, _)) in hosts
        .iter()
        .flat_map(|host| APPS.iter().map(move |app| (host, app)))
    {
        let control = host.control();
        control
            .until_app(name, "has a dyno", |status| status.dynos.len() == 1)
            .await;
    }
    (hosts, homes)
}

fn start_loads(hosts: &[Mesh]) -> Vec<Load> {
    let mut loads = Vec::new();
    for host in hosts {
        for (name, _) in APPS {
            let options = Options {
                connections: CONNECTIONS,
                targets: vec!["/".into(), "/sleep/2".into()],
                dynos: Some(format!("{name}.")),
                ..Options::new(host.nginx.address, &format!("{name}.test"))
            };
            loads.push(Load::start(options));
        }
    }
    loads
}

/// A dyno that says with each answer which app and which process it is.
fn program(app: &str, process: &str, listen: &str) -> Program {
    Program {
        limit: u32::MAX,
        listen: listen.to_owned(),
        ..Program::new(app, &format!("{app}.{process}"))
    }
}

/// Whoever moves an address, by changes at any host.
struct Mover {
    hosts: Vec<Control>,
    number: u64,
    random: SmallRng,
}

impl Mover {
    fn new(hosts: Vec<Control>, number: u64) -> Self {
        Self {
            hosts,
            number,
            random: SmallRng::seed_from_u64(2_013 + number),
        }
    }

    fn host(&mut self) -> Control {
        let at = self.random.random_range(0..self.hosts.len());
        self.hosts[at].clone()
    }

    /// Says how many of its dynos were killed.
    async fn go(mut self, made: &Cell<u64>, moves: u64) -> u64 {
        let name = format!("moving.{}", self.number);
        let mut crashes = 0;
        let mut app = self.random.random_range(0..APPS.len());
        let mut dyno = program(APPS[app].0, "0", "127.0.0.1:0").start().await;
        self.put(APPS[app].0, &name, &dyno.address).await;
        // Processes that have lost their address, and still have connections.
        let mut earlier: Vec<Dyno> = Vec::new();
        for process in 1.. {
            if made.get() >= moves {
                break;
            }
            made.set(made.get() + 1);
            let busy = format!("{} has requests", dyno.name);
            wait::until(&busy, async || dyno.figures().await.total >= 10).await;
            let is_killed = self.random.random_range(0..6) == 0;
            if is_killed {
                dyno.process.kill().await;
                crashes += 1;
            }
            self.drain(APPS[app].0, &name).await;
            if !is_killed {
                dyno.leave().await;
            }
            let other = (app + self.random.random_range(1..APPS.len())) % APPS.len();
            let next = program(APPS[other].0, &process.to_string(), &dyno.address);
            let next = next.start().await;
            earlier.push(std::mem::replace(&mut dyno, next));
            if earlier.len() > 2 {
                earlier.remove(0);
            }
            // The other app may take it over, or it is given up before.
            if self.random.random() {
                let remove = vec![Kind::RemoveDyno(name.clone())];
                self.host().apply(APPS[app].0, remove).await;
            }
            app = other;
            self.put(APPS[app].0, &name, &dyno.address).await;
        }
        self.drain(APPS[app].0, &name).await;
        crashes
    }

    async fn put(&mut self, app: &str, name: &str, address: &str) {
        let put = PutDyno {
            dyno: Some(Spec {
                name: name.to_owned(),
                address: address.to_owned(),
                state: DynoState::Up.into(),
                ..Spec::default()
            }),
            takeover: true,
        };
        self.host().apply(app, vec![Kind::PutDyno(put)]).await;
    }

    /// Until no host has a request there, and none will.
    async fn drain(&mut self, app: &str, name: &str) {
        let mut events = self.host().watch(app).await;
        let state = DynoState::Draining;
        self.host().set_state(app, name, state).await;
        events
            .next(|kind| match kind {
                event::Kind::Drained(drained) => (drained.dyno == name).then_some(()),
                _ => None,
            })
            .await;
    }
}
