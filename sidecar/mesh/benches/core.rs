//! How many requests one core decides, and whether that depends on how much there
//! is to choose from: `cargo bench -p mesh`, with `-- 50000` or `-- changes` for a part.
#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write,
    hint::black_box,
    time::{Duration, Instant},
};

use mesh::{
    AppSpec, Ask, AskId, Change, DynoSpec, DynoState, Limits, Mesh, Operation, Outcome, Output,
    Policy, SessionKey, Settings, Time, Update, WorkerId,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// Leases that are out at any moment.
const IN_FLIGHT: u64 = 1_000;
const PAIRS: u64 = 2_000_000;
const MICROSECOND: Duration = Duration::from_micros(1);

fn name(app: usize) -> String {
    format!("app-{app}.example.com")
}

fn dyno(app: usize, index: usize) -> DynoSpec {
    let (high, low) = (app * 7 + index, app % 50_000 + 1_000);
    DynoSpec {
        name: format!("web.{index}").into(),
        instance: format!("{app:08x}-{index:08x}").into(),
        address: format!(
            "10.{}.{}.{}:{low}",
            high >> 16 & 255,
            high >> 8 & 255,
            high & 255
        )
        .parse()
        .unwrap(),
        limit: None,
        state: DynoState::Up,
    }
}

fn spec(app: usize, dynos: usize, policy: Policy) -> AppSpec {
    AppSpec {
        name: format!("app-{app}").into(),
        version: 1,
        settings: Settings {
            policy,
            ..Settings::default()
        },
        released: true,
        domains: vec![name(app).into()],
        dynos: (0..dynos).map(|index| dyno(app, index)).collect(),
        ..AppSpec::default()
    }
}

struct Bench {
    mesh: Mesh,
    session: SessionKey,
    apps: u32,
    /// The name that is asked for; a router has it from its client.
    name: String,
    now: Time,
    asks: u64,
}

impl Bench {
    fn new(apps: usize, dynos: usize, policy: Policy) -> Self {
        let now = Time::from_micros(1_000_000);
        let mut mesh = Mesh::new(Limits::default(), 1);
        for app in 0..apps {
            mesh.apply(&Update::Put(spec(app, dynos, policy)), now);
        }
        let session = mesh.hello(WorkerId(1), [], now).unwrap();
        Self {
            mesh,
            session,
            apps: apps as u32,
            name: name(0),
            now,
            asks: 0,
        }
    }

    /// One request comes to a random app, and the oldest one ends. Returns the
    /// rate of such pairs.
    fn pairs(&mut self) -> f64 {
        let mut rng = SmallRng::seed_from_u64(2);
        let order: Vec<u32> = (0..PAIRS).map(|_| rng.random_range(0..self.apps)).collect();
        for app in order.iter().take(100_000) {
            self.pair(*app);
        }
        let start = on_core();
        for app in &order {
            self.pair(*app);
        }
        PAIRS as f64 / (on_core() - start)
    }

    fn pair(&mut self, app: u32) {
        self.now = self.now + MICROSECOND;
        self.asks += 1;
        self.name.clear();
        let _ = write!(self.name, "app-{app}.example.com");
        let ask = AskId(self.asks);
        self.mesh
            .ask(self.session, Ask::new(ask, &self.name), self.now);
        self.drain();
        if self.asks > IN_FLIGHT {
            let oldest = AskId(self.asks - IN_FLIGHT);
            self.mesh
                .checkin(self.session, oldest, Outcome::Done, self.now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.mesh.poll_output() {
            if let Output::Answer(answer) = &output {
                black_box(&answer.result);
            }
        }
    }
}

/// Seconds that this process was on a core: others may have it in between.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ')
        .next()
        .and_then(|n| n.parse::<f64>().ok())
        .unwrap()
        / 1e9
}

/// What this process has in memory, in MiB.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok()));
    pages.unwrap_or(f64::NAN) * 4096.0 / f64::from(1 << 20)
}

fn row(apps: usize, dynos: usize, policy: Policy) {
    let before = resident();
    let mut bench = Bench::new(apps, dynos, policy);
    let memory = resident() - before;
    let rate = bench.pairs();
    println!(
        "{apps:>7} {dynos:>8} {:<10} {rate:>12.0} {:>8.0} {memory:>9.1}",
        format!("{policy:?}"),
        1e9 / rate
    );
}

/// Everybody waits for one dyno: each lease that comes back is given to the first
/// of so many.
fn queue_row(waiting: u64) {
    let mut bench = Bench::new(1, 1, Policy::IdleOnly);
    let settings = Settings {
        queue_depth: Some(100_000),
        ..Settings::default()
    };
    let spec = AppSpec {
        settings,
        ..spec(0, 1, Policy::IdleOnly)
    };
    bench.mesh.apply(&Update::Put(spec), bench.now);
    let pairs = 500_000;
    let start = on_core();
    for ask in 0..pairs + waiting {
        bench.now = bench.now + MICROSECOND;
        bench
            .mesh
            .ask(bench.session, Ask::new(AskId(ask), &bench.name), bench.now);
        if ask >= waiting {
            bench.mesh.checkin(
                bench.session,
                AskId(ask - waiting),
                Outcome::Done,
                bench.now,
            );
        }
        bench.drain();
    }
    let each = (on_core() - start) / (pairs + waiting) as f64;
    println!(
        "{waiting:>16} waiting {:>19.0} {:>8.0}",
        1.0 / each,
        each * 1e9
    );
}

/// The worst changes: an app gets the most dynos allowed, as fast as it may.
fn change_row() {
    let mut mesh = Mesh::new(Limits::default(), 1);
    let put = |index| Operation::PutDyno {
        dyno: dyno(0, index),
        takeover: false,
    };
    let create = [Operation::CreateApp(Settings::default())];
    let operations: Vec<_> = create.into_iter().chain((0..10_000).map(put)).collect();
    let timed = |mesh: &mut Mesh, what: &str, operations| {
        let change = Change {
            app: "app-0".into(),
            base_version: None,
            operations,
        };
        let start = Instant::now();
        let updates = mesh.plan(&change).unwrap();
        let planned = start.elapsed();
        for update in &updates {
            mesh.apply(update, Time::ZERO);
        }
        let applied = start.elapsed() - planned;
        println!("{what}: planned in {planned:.1?}, applied in {applied:.1?}");
    };
    // As many operations as one change may have, until there are 10,000 dynos.
    for (i, chunk) in operations.chunks(1_000).enumerate() {
        timed(&mut mesh, &format!("thousand {}", i + 1), chunk.to_vec());
    }
    let down = Operation::SetDynoState {
        dyno: "web.5000".into(),
        state: DynoState::Down,
    };
    timed(&mut mesh, "one of 10,000 dynos", vec![down]);
}

/// A change of one dyno, as the writer makes it under its lock: what was before is
/// kept for the undo.
fn small_change_row(dynos: usize) {
    let mut mesh = Mesh::new(Limits::default(), 1);
    mesh.apply(&Update::Put(spec(0, dynos, Policy::IdleOnly)), Time::ZERO);
    let changes = 300;
    let mut left = Vec::new();
    let (mut took, mut most) = (Duration::ZERO, Duration::ZERO);
    for i in 0..changes {
        let state = match i % 2 {
            0 => DynoState::Draining,
            _ => DynoState::Up,
        };
        let change = Change {
            app: "app-0".into(),
            base_version: None,
            operations: vec![Operation::SetDynoState {
                dyno: format!("web.{}", (i / 2) * 7_919 % dynos).into(),
                state,
            }],
        };
        let start = Instant::now();
        let updates = mesh.plan(&change).unwrap();
        let before = mesh.spec("app-0");
        for update in &updates {
            mesh.apply(update, Time::ZERO);
        }
        took += start.elapsed();
        most = most.max(start.elapsed());
        // Dropped without the lock.
        left.push((before, updates));
    }
    let each = took / changes as u32;
    println!("{dynos:>7} dynos, one changed: {each:.1?}, at most {most:.1?}");
}

fn main() {
    if std::env::args().any(|arg| arg == "changes") {
        for dynos in [10, 1_000, 10_000] {
            small_change_row(dynos);
        }
        return;
    }
    println!("   apps dynos/app policy      pairs/s  ns/pair       MiB");
    // The big table first: memory that is used again is not counted.
    if std::env::args().any(|arg| arg == "50000") {
        for policy in [Policy::IdleOnly, Policy::LeastLoad] {
            row(50_000, 2, policy);
        }
        return;
    }
    for policy in [Policy::IdleOnly, Policy::LeastLoad] {
        for apps in [500, 5_000, 50_000] {
            row(apps, 2, policy);
        }
        for dynos in [1_500, 10_000] {
            row(1, dynos, policy);
        }
    }
    println!("                       one dyno: pairs/s  ns/pair");
    for waiting in [10, 1_000, 100_000 - 1] {
        queue_row(waiting);
    }
    change_row();
    for dynos in [10, 1_000, 10_000] {
        small_change_row(dynos);
    }
}
