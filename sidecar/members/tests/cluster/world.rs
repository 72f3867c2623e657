//! The world: what is where, and what happens next.

mod answers;
mod apps;
mod links;
mod log;
mod routers;

use std::{collections::BTreeMap, time::Duration};

use members::{Entry, Membership, Node as Me, PeerId, Time, Timing};
use mesh::{Limits, Mesh, Update, WorkerId};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{link::Link, node::Node, router::Router};

/// Microseconds.
const STEP: u64 = 1_000;
pub(crate) const APPS: usize = 6;
const DYNOS: usize = 3;
/// Of those that want a dyno rather than a promise.
const LOOSE: usize = 5;
/// Most requests take about as long, ...
const SHORT: f64 = 30_000.0;
/// ... and one of so many up to this, so that it sees owners come and go.
const LONG: u64 = 4_000_000;
const SELDOM: u32 = 40;
const SERVICE: f64 = SHORT + LONG as f64 / 2.0 / SELDOM as f64;
const ROUTERS: usize = 2;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) asked: u64,
    pub(crate) served: u64,
    /// Of these, with a lease of another sidecar.
    pub(crate) far: u64,
    pub(crate) refused: u64,
    pub(crate) crashes: u64,
    pub(crate) freezes: u64,
    pub(crate) cuts: u64,
    pub(crate) stalls: u64,
    pub(crate) leaves: u64,
    /// Members that began anew.
    pub(crate) anew: u64,
    pub(crate) dead_workers: u64,
    /// Sessions of workers that live.
    pub(crate) broken: u64,
    /// Changes of apps.
    pub(crate) changes: u64,
    /// Changes of owners.
    pub(crate) moved: u64,
    /// Of apps that would rather have that: two requests at one dyno.
    pub(crate) doubled: u64,
}

impl Report {
    /// How much went wrong.
    pub(crate) fn faults(&self) -> u64 {
        let hosts = self.crashes + self.freezes + self.cuts + self.stalls + self.leaves;
        hosts + self.anew + self.dead_workers + self.broken + self.changes
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.served += other.served;
        self.far += other.far;
        self.refused += other.refused;
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.cuts += other.cuts;
        self.stalls += other.stalls;
        self.leaves += other.leaves;
        self.anew += other.anew;
        self.dead_workers += other.dead_workers;
        self.broken += other.broken;
        self.changes += other.changes;
        self.moved += other.moved;
        self.doubled += other.doubled;
    }
}

pub(crate) struct World {
    pub(crate) rng: StdRng,
    /// Microseconds.
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    /// From the first to the second.
    pub(crate) links: BTreeMap<(usize, usize), Link>,
    pub(crate) log: Vec<Entry>,
    /// The log of apps.
    pub(crate) changes: Vec<Update>,
    /// Which process each dyno is.
    pub(crate) lives: [[u32; DYNOS]; APPS],
    pub(crate) stalled_until: u64,
    pub(crate) faults: bool,
    /// Requests at each dyno, as it sees them.
    running: BTreeMap<Box<str>, u32>,
    load: f64,
    workers: u64,
    pub(crate) strict_order: bool,
    pub(crate) longest_request: Duration,
    trace: bool,
    pub(crate) report: Report,
}

pub(crate) fn name(at: usize) -> String {
    format!("host-{at}")
}

fn app_name(app: usize) -> String {
    format!("app-{app}")
}

impl World {
    pub(crate) fn new(seed: u64, count: usize, trace: bool) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now: 10_000_000,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            log: Vec::new(),
            changes: apps::first(),
            lives: [[0; DYNOS]; APPS],
            stalled_until: 0,
            faults: false,
            running: BTreeMap::new(),
            load: 0.0,
            workers: 0,
            strict_order: false,
            longest_request: Duration::from_secs(3600),
            trace,
            report: Report::default(),
        };
        for at in 0..count {
            let node = Node {
                drift: world.rng.random_range(-20_000..20_000),
                back_at: Some(0),
                applied: APPS,
                ..Node::default()
            };
            world.nodes.push(node);
            for _ in 0..ROUTERS {
                let router = world.new_router();
                world.nodes[at].routers.push(router);
            }
            for to in (0..count).filter(|to| *to != at) {
                world.links.insert((at, to), Link::default());
            }
        }
        world
    }

    pub(crate) fn new_router(&mut self) -> Router {
        self.workers += 1;
        Router {
            worker: self.workers,
            connects_at: self.now + 2_000,
            // What was on its way to the one before it is nothing to this one.
            last: self.workers << 32,
            ..Router::default()
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10} {}", self.now, what());
        }
    }

    pub(crate) fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0 && self.faults
    }

    /// The clock of one of them.
    pub(crate) fn time(&self, at: usize) -> Time {
        let (now, drift) = (self.now as i64, self.nodes[at].drift);
        let ahead = now / 1_000_000 * drift + now % 1_000_000 * drift / 1_000_000;
        Time::from_micros((now + ahead) as u64)
    }

    fn about(&mut self, mean: f64) -> u64 {
        let uniform: f64 = self.rng.random();
        (-(1.0 - uniform).ln() * mean) as u64 + 1
    }

    fn latency(&mut self) -> u64 {
        let slow = self.chance(300);
        self.rng
            .random_range(100..if slow { 100_000 } else { 2_000 })
    }

    pub(crate) fn run(&mut self, span: Duration, faults: bool, load: f64) {
        let end = self.now + span.as_micros() as u64;
        (self.faults, self.load) = (faults, load);
        while self.now < end {
            self.now += STEP;
            self.go_wrong();
            self.step();
        }
    }

    /// Everybody is served, and everybody knows.
    pub(crate) fn settle(&mut self) {
        let end = self.now + 100_000_000;
        while !self.is_settled() {
            assert!(
                self.now < end,
                "somebody waits for ever: {}",
                self.left_over()
            );
            self.run(Duration::from_millis(10), false, 0.0);
        }
        for node in &self.nodes {
            node.core.as_ref().unwrap().check_invariants().unwrap();
        }
    }

    /// Nobody waits, and nobody has a dyno.
    pub(crate) fn is_served(&self) -> bool {
        let mut routers = self.nodes.iter().flat_map(|node| &node.routers);
        routers.all(|router| router.requests.is_empty())
    }

    fn left_over(&self) -> String {
        let mut text = String::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let totals = node.core.as_ref().map(Mesh::totals);
            let requests: Vec<_> = node.routers.iter().map(|r| &r.requests).collect();
            text += &format!("\n{at}: {totals:?} {requests:?}");
        }
        text
    }

    fn is_settled(&self) -> bool {
        let quiet = |node: &Node| {
            let totals = node.core.as_ref().map(Mesh::totals);
            let has_read = node.applied == self.changes.len();
            node.said.is_empty()
                && has_read
                && totals.is_some_and(|it| it.leases + it.waiting + it.away == 0)
        };
        let up = self.links.values().all(|link| link.up);
        up && self.is_served() && self.nodes.iter().all(quiet)
    }

    fn step(&mut self) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].back_at.is_some_and(|back| back <= self.now) {
                self.start(at);
            }
            if let Some((stop, back)) = self.nodes[at].stops_at
                && stop <= self.now
            {
                self.stop(at, Some(back));
            }
            self.append(at);
            self.deliver(at);
        }
        self.keep_links();
        for at in 0..self.nodes.len() {
            if self.nodes[at].retired {
                continue;
            }
            self.routers(at);
            if self.works(at) {
                self.read_log(at);
                self.read_apps(at);
                self.hear_routers(at);
                self.hear_peers(at);
                let time = self.time(at);
                if let Some(core) = &mut self.nodes[at].core
                    && core.poll_timeout().is_some_and(|due| due <= time)
                {
                    core.handle_timeout(time);
                }
                self.pass_on(at);
            }
        }
    }

    /// It has left, with all that it did, for good.
    pub(crate) fn retire(&mut self, at: usize) {
        for router in 0..ROUTERS {
            self.kill_worker(at, router);
        }
        self.stop(at, None);
        self.nodes[at].retired = true;
        self.say(|| format!("{at} is no more"));
    }

    pub(crate) fn works(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.core.is_some() && node.frozen_until <= self.now
    }

    fn start(&mut self, at: usize) {
        let (life, seed, time) = (self.rng.random(), self.rng.random(), self.time(at));
        let name = name(at);
        self.say(|| format!("{at} starts as {life:x}"));
        let limits = Limits {
            longest_request: self.longest_request,
            ..Limits::default()
        };
        let mut core = Mesh::new(limits, seed);
        core.share_apps(PeerId::of(&name));
        let workers = self.nodes[at].routers.iter().map(|r| WorkerId(r.worker));
        core.recover(workers, time + Duration::from_secs(5));
        self.load_apps(at, &mut core);
        let next = self.log.len();
        let node = &mut self.nodes[at];
        let me = Me {
            name: name.into(),
            life,
        };
        let (timing, known) = (Timing::default(), node.known.clone());
        node.membership = Some(Membership::new(me, "here", timing, known, time));
        node.core = Some(core);
        (node.next, node.back_at, node.epoch) = (next, None, None);
        node.others.clear();
        for router in &mut node.routers {
            router.connects_at = self.now + 3_000;
        }
    }

    /// The process is gone; its routers live on.
    pub(crate) fn stop(&mut self, at: usize, back: Option<u64>) {
        let now = self.now;
        let node = &mut self.nodes[at];
        (node.core, node.membership, node.epoch) = (None, None, None);
        (node.frozen_until, node.stops_at, node.back_at) = (0, None, back);
        node.arriving.clear();
        node.said.clear();
        node.sessions.clear();
        for router in &mut node.routers {
            router.session = None;
            router.connects_at = u64::MAX;
            // What it had not said when it stood still, nobody hears.
            router.answers.retain(|(due, _)| *due <= now + 2_000);
        }
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            self.break_link(at, other, now + 50_000);
            self.break_link(other, at, now + 50_000);
        }
    }
}
