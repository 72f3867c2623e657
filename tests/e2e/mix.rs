//! Every fault at once, in an order that one number decides.
//!
//! `DYNOMESH_SEED` is that number; another one gives another mix.

use std::{collections::BTreeMap, env, time::Duration};

use e2e::{
    App, Dyno, Mesh,
    harness::{ClosedPort, Entry, Signal, closed_port, run_within},
    load::{self, Load, Options, Report},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

const SEED: u64 = 2_013;

/// Faults beside those of clients and of answers.
const FAULTS: u32 = 90;

const DYNOS: usize = 8;

/// Ways of a dyno not to answer as it should.
const BROKEN: [&str; 9] = [
    "/close",
    "/reset",
    "/garbage",
    "/bad-status",
    "/bad-header",
    "/close-after-header",
    "/close-mid-body",
    "/close-mid-chunked",
    "/bad-chunk",
];

const GOOD: [&str; 6] = [
    "/",
    "/sleep/3",
    "/keepalive-close",
    "/body/100000",
    "/chunked/200/20/1",
    "/trailers/2",
];

struct Mix {
    mesh: Mesh,
    app: App,
    random: SmallRng,
    dynos: Vec<Dyno>,
    /// Dynos so far.
    started: usize,
    /// One that refuses connections, while it is registered.
    refusing: Option<ClosedPort>,
    /// What became of the dynos that are gone.
    double_bookings: u64,
    /// Clients that leave at random, from the beginning to the end.
    leaving: Load,
    faults: BTreeMap<&'static str, u32>,
}

impl Mix {
    async fn start(seed: u64) -> Self {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app("shop").await;
        let dynos = app.dynos(DYNOS).await;
        let leaving = Load::start(Options {
            connections: 32,
            abort_within: Some(Duration::from_millis(25)),
            targets: targets(&[&GOOD[..], &BROKEN[..]].concat()),
            seed,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        Self {
            mesh,
            app,
            random: SmallRng::seed_from_u64(seed),
            started: dynos.len(),
            dynos,
            refusing: None,
            double_bookings: 0,
            leaving,
            faults: BTreeMap::new(),
        }
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Until a random number of requests has ended. Those that clients leave end
    /// whatever else is broken.
    async fn pass(&mut self, most: u64) {
        let requests = self.random.random_range(1..=most);
        self.leaving.more(requests).await;
    }

    async fn fault(&mut self) {
        match self.random.random_range(0..12) {
            0..3 => self.replace_dyno().await,
            3..6 => self.refuse().await,
            6..8 => self.outage().await,
            8..10 => self.freeze().await,
            10 => self.kill_worker(),
            _ => self.reload(),
        }
    }

    /// A dyno dies; some time later the mesh is told, and has another one for it,
    /// under the same name or not.
    async fn replace_dyno(&mut self) {
        self.count("dyno killed");
        let at = self.random.random_range(0..self.dynos.len());
        let mut dyno = self.dynos.swap_remove(at);
        self.double_bookings += dyno.figures().await.double_bookings;
        dyno.process.kill().await;
        self.pass(200).await;
        let mut name = dyno.name.clone();
        if self.random.random() {
            self.app.remove(&name).await;
            self.started += 1;
            name = format!("web.{}", self.started);
        }
        self.dynos.push(self.app.dyno(&name).await);
    }

    /// A dyno that refuses comes, comes again at another address, or goes.
    async fn refuse(&mut self) {
        self.count("dyno refusing");
        if self.refusing.is_some() && self.random.random() {
            self.app.remove("refusing").await;
            self.refusing = None;
        } else {
            let port = closed_port();
            self.app.register("refusing", &port.address).await;
            self.refusing = Some(port);
        }
    }

    async fn outage(&mut self) {
        self.count("sidecar killed");
        self.mesh.kill_meshd().await;
        self.meanwhile().await;
        self.mesh.start_meshd().await;
    }

    async fn freeze(&mut self) {
        self.count("sidecar frozen");
        self.mesh.signal_meshd(Signal::STOP);
        self.meanwhile().await;
        self.mesh.signal_meshd(Signal::CONT);
    }

    /// While there is no sidecar, another fault may happen.
    async fn meanwhile(&mut self) {
        self.pass(500).await;
        match self.random.random_range(0..4) {
            0 => self.kill_worker(),
            1 => self.reload(),
            _ => return,
        }
        self.pass(1_000).await;
    }

    fn kill_worker(&mut self) {
        self.count("worker killed");
        let workers = self.mesh.nginx.workers();
        if let Some(worker) = workers.get(self.random.random_range(0..2)) {
            self.mesh.nginx.kill_worker(*worker);
        }
    }

    fn reload(&mut self) {
        self.count("reload");
        self.mesh.nginx.signal_reload();
    }
}

fn targets(targets: &[&str]) -> Vec<String> {
    targets.iter().map(|target| (*target).to_owned()).collect()
}

/// Requests with this code, of which `which` says yes.
fn logged(log: &[Entry], code: &str, which: impl Fn(&Entry) -> bool) -> usize {
    log.iter()
        .filter(|entry| entry.error == code && which(entry))
        .count()
}

#[test]
fn any_mix_of_faults() {
    run_within(Duration::from_secs(120), async {
        let seed = env::var("DYNOMESH_SEED").map_or(SEED, |seed| seed.parse().unwrap());
        let mut mix = Mix::start(seed).await;
        // Clients that stay, and ask for nothing that breaks.
        let staying = Load::start(Options {
            connections: 8,
            targets: targets(&GOOD),
            seed,
            ..Options::new(mix.mesh.nginx.address, &mix.app.host())
        });
        for _ in 0..FAULTS {
            mix.pass(300).await;
            mix.fault().await;
        }
        let Mix {
            mesh,
            app,
            dynos,
            double_bookings,
            leaving,
            faults,
            ..
        } = mix;
        let (leaving, staying) = (leaving.stop().await, staying.stop().await);
        eprintln!("seed {seed}: {faults:?}\n{leaving:?}\n{staying:?}");

        mesh.control().until_idle().await;
        let status = app.status().await;
        assert_eq!((status.in_flight, status.waiting), (0, 0), "{status:?}");
        assert!(status.dynos.iter().all(|dyno| dyno.load == 0), "{status:?}");
        assert_eq!(double_bookings, 0);
        for dyno in &dynos {
            dyno.until_now(0).await;
            let figures = dyno.figures().await;
            assert_eq!(figures.double_bookings, 0, "{}: {figures:?}", dyno.name);
        }
        happened(&mesh.access_log(), &leaving, &faults);
        // A client that stays loses its answer only where that was under way in a
        // process that was killed.
        assert!(staying.statuses.keys().eq(&[200]), "{staying:?}");
        let most = 8 * faults["worker killed"] + faults["dyno killed"];
        assert!(staying.failures() <= most.into(), "{staying:?}, {faults:?}");

        every_dyno_gets_its_share(&mesh, &app, &dynos).await;
        mesh.finish_with_alerts(&["exited on signal 9"]).await;
    });
}

/// Thousands of faults, of every kind, and nothing that has no cause among them.
fn happened(log: &[Entry], leaving: &Report, faults: &BTreeMap<&'static str, u32>) {
    assert!(leaving.aborted > 2_000, "{leaving:?}");
    assert!(faults.len() == 6, "{faults:?}");
    let served = |entry: &Entry| !entry.upstream.is_empty() && entry.upstream != "mesh";
    assert!(logged(log, "H27", served) > 500);
    assert!(logged(log, "H27", |entry| !served(entry)) > 500);
    let broken = |entry: &&Entry| {
        let target = entry.request.split(' ').nth(1).unwrap_or_default();
        served(entry) && BROKEN.contains(&target)
    };
    assert!(log.iter().filter(broken).count() > 1_000);
    let known = ["", "-", "H13", "H17", "H18", "H27"];
    let odd = log.iter().find(|entry| !known.contains(&&*entry.error));
    assert_eq!(odd, None);
}

async fn every_dyno_gets_its_share(mesh: &Mesh, app: &App, dynos: &[Dyno]) {
    for dyno in dynos {
        dyno.reset().await;
    }
    let report = load::run(Options {
        connections: 2 * DYNOS,
        requests: Some(2_000),
        ..Options::new(mesh.nginx.address, &app.host())
    })
    .await;
    assert_eq!(report.failures(), 0, "{report:?}");
    for dyno in dynos {
        let figures = dyno.figures().await;
        // A quarter of an even share.
        assert!(figures.total > 2_000 / DYNOS as u64 / 4, "{figures:?}");
        assert_eq!(figures.double_bookings, 0);
    }
}
