//! The world: a log with delays and losses, sidecars with clocks of their own.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use members::{Entry, Kind, Known, Membership, Node, Output, Place, Shard, Standing, Time, Timing};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What goes wrong meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faults {
    All,
    None,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Looks at a shard, and those at which somebody could grant.
    pub(crate) checked: u64,
    pub(crate) granted: u64,
    pub(crate) crashes: u64,
    pub(crate) freezes: u64,
    pub(crate) partitions: u64,
    pub(crate) stalls: u64,
    pub(crate) leaves: u64,
    pub(crate) duplicates: u64,
    pub(crate) lost: u64,
    /// Members that found themselves out.
    pub(crate) removed: u64,
    /// Lists that were begun.
    pub(crate) founded: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.granted += other.granted;
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.partitions += other.partitions;
        self.stalls += other.stalls;
        self.leaves += other.leaves;
        self.duplicates += other.duplicates;
        self.lost += other.lost;
        self.removed += other.removed;
        self.founded += other.founded;
    }
}

struct Sidecar {
    /// `None` while it is down.
    membership: Option<Membership>,
    /// Its clock runs so much faster than the world's, in thousandths of a thousandth.
    drift: i64,
    /// It reads the log from here on.
    next: usize,
    /// What has come and was not looked at, while it stands still.
    frozen_until: u64,
    cut_until: u64,
    /// Deliveries and its own writes keep their order.
    heard_at: u64,
    wrote_at: u64,
    back_at: Option<u64>,
    /// What it has read and not processed: place, and when it arrives.
    arriving: VecDeque<(u64, Place)>,
    /// Written and on the way to the log.
    leaving: VecDeque<(u64, Entry)>,
}

pub(crate) struct World {
    rng: StdRng,
    /// Microseconds.
    now: u64,
    sidecars: Vec<Sidecar>,
    log: Vec<Entry>,
    stalled_until: u64,
    faults: bool,
    trace: bool,
    pub(crate) report: Report,
}

/// Microseconds.
const STEP: u64 = 1_000;

fn micros(span: Duration) -> u64 {
    span.as_micros() as u64
}

impl World {
    pub(crate) fn new(seed: u64, count: usize, trace: bool) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now: 10_000_000,
            sidecars: Vec::new(),
            log: Vec::new(),
            stalled_until: 0,
            faults: false,
            trace,
            report: Report::default(),
        };
        for _ in 0..count {
            let drift = world.rng.random_range(-20_000..20_000);
            world.sidecars.push(Sidecar {
                membership: None,
                drift,
                next: 0,
                frozen_until: 0,
                cut_until: 0,
                heard_at: 0,
                wrote_at: 0,
                back_at: Some(0),
                arriving: VecDeque::new(),
                leaving: VecDeque::new(),
            });
        }
        world
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10} {}", self.now, what());
        }
    }

    /// Something goes wrong, once in so many times.
    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0 && self.faults
    }

    /// The clock of one of them.
    fn time(&self, at: usize) -> Time {
        let (now, drift) = (self.now as i64, self.sidecars[at].drift);
        Time::from_micros(
            (now + now / 1_000_000 * drift + now % 1_000_000 * drift / 1_000_000) as u64,
        )
    }

    pub(crate) fn run(&mut self, span: Duration, faults: Faults) {
        let end = self.now + micros(span);
        self.faults = faults == Faults::All;
        while self.now < end {
            self.now += STEP;
            if self.faults {
                self.go_wrong();
            }
            self.step();
            self.check();
        }
    }

    fn go_wrong(&mut self) {
        if self.chance(4_000) {
            let at = self.rng.random_range(0..self.sidecars.len());
            let span = Duration::from_millis(self.rng.random_range(1..6_000));
            match self.rng.random_range(0..5) {
                0 => self.crash(at, Some(span)),
                1 => self.freeze(at, span),
                2 => self.cut(at, span),
                3 => self.leave(at, Some(span)),
                _ => {
                    self.report.stalls += 1;
                    self.say(|| format!("the log stands still for {span:?}"));
                    self.stalled_until = self.now + micros(span);
                }
            }
        }
    }

    pub(crate) fn crash(&mut self, at: usize, back: Option<Duration>) {
        self.report.crashes += 1;
        self.say(|| format!("{at} dies, back after {back:?}"));
        let back = back.map(|span| self.now + micros(span));
        let sidecar = &mut self.sidecars[at];
        sidecar.membership = None;
        sidecar.back_at = back;
        sidecar.frozen_until = 0;
        sidecar.arriving.clear();
        // What had gone out may still arrive.
    }

    pub(crate) fn freeze(&mut self, at: usize, span: Duration) {
        self.report.freezes += 1;
        self.say(|| format!("{at} stands still for {span:?}"));
        self.sidecars[at].frozen_until = self.now + micros(span);
    }

    pub(crate) fn cut(&mut self, at: usize, span: Duration) {
        self.report.partitions += 1;
        self.say(|| format!("{at} is cut off for {span:?}"));
        self.sidecars[at].cut_until = self.now + micros(span);
    }

    /// Stops as planned: says so, and is gone when that is written.
    pub(crate) fn leave(&mut self, at: usize, back: Option<Duration>) {
        if self.sidecars[at].frozen_until > self.now {
            return;
        }
        let time = self.time(at);
        if let Some(membership) = &mut self.sidecars[at].membership {
            membership.leave(time);
            self.report.leaves += 1;
            self.say(|| format!("{at} leaves, back after {back:?}"));
            self.write(at);
            self.sidecars[at].membership = None;
            self.sidecars[at].arriving.clear();
            self.sidecars[at].back_at = back.map(|span| self.now + micros(span));
        }
    }

    fn step(&mut self) {
        for at in 0..self.sidecars.len() {
            if self.sidecars[at]
                .back_at
                .is_some_and(|back| back <= self.now)
            {
                self.start(at);
            }
            self.append(at);
        }
        for at in 0..self.sidecars.len() {
            self.deliver(at);
            if self.sidecars[at].frozen_until <= self.now {
                self.work(at);
            }
        }
    }

    fn start(&mut self, at: usize) {
        let (life, time) = (self.rng.random(), self.time(at));
        let name = format!("host-{at}").into();
        let (me, known) = (Node { name, life }, Known::default());
        let membership = Membership::new(me, "here", Timing::default(), known, time);
        self.say(|| format!("{at} starts as {life:x}"));
        let next = self.log.len();
        let sidecar = &mut self.sidecars[at];
        sidecar.membership = Some(membership);
        (sidecar.next, sidecar.back_at) = (next, None);
    }

    /// What was written reaches the log, in the order of each writer.
    fn append(&mut self, at: usize) {
        while self.stalled_until <= self.now
            && self.sidecars[at].cut_until <= self.now
            && let Some((due, _)) = self.sidecars[at].leaving.front()
            && *due <= self.now
            && let Some((_, entry)) = self.sidecars[at].leaving.pop_front()
        {
            if self.chance(500) {
                self.report.lost += 1;
                continue;
            }
            let again = self.chance(200);
            self.report.duplicates += u64::from(again);
            for _ in 0..=usize::from(again) {
                self.say(|| format!("{}: {entry:?}", self.log.len() + 1));
                self.log.push(entry.clone());
            }
        }
    }

    fn deliver(&mut self, at: usize) {
        let cut = self.sidecars[at].cut_until > self.now || self.stalled_until > self.now;
        if cut || self.sidecars[at].membership.is_none() {
            return;
        }
        while self.sidecars[at].next < self.log.len() {
            let slow = self.chance(300);
            let delay = self
                .rng
                .random_range(100..if slow { 200_000 } else { 2_000 });
            let sidecar = &mut self.sidecars[at];
            sidecar.heard_at = sidecar.heard_at.max(self.now + delay);
            sidecar.next += 1;
            sidecar
                .arriving
                .push_back((sidecar.heard_at, sidecar.next as Place));
        }
    }

    fn work(&mut self, at: usize) {
        let time = self.time(at);
        while let Some((due, place)) = self.sidecars[at].arriving.front().copied()
            && due <= self.now
        {
            self.sidecars[at].arriving.pop_front();
            let entry = self.log[place as usize - 1].clone();
            let Some(membership) = &mut self.sidecars[at].membership else {
                return;
            };
            let before = membership.standing();
            membership.entry(place, &entry, time);
            match (before, membership.standing()) {
                (Standing::Member, Standing::Joining) => self.report.removed += 1,
                (Standing::Joining, Standing::Member) => {
                    let founded = matches!(entry.kind, Kind::Found { .. });
                    self.report.founded += u64::from(founded);
                }
                _ => {}
            }
        }
        if let Some(membership) = &mut self.sidecars[at].membership {
            if membership.poll_timeout().is_some_and(|due| due <= time) {
                membership.handle_timeout(time);
            }
            self.write(at);
        }
    }

    fn write(&mut self, at: usize) {
        while let Some(membership) = &mut self.sidecars[at].membership
            && let Some(output) = membership.poll_output()
        {
            let Output::Write(entry) = output else {
                continue;
            };
            let slow = self.chance(300);
            let delay = self
                .rng
                .random_range(100..if slow { 500_000 } else { 2_000 });
            let sidecar = &mut self.sidecars[at];
            sidecar.wrote_at = sidecar.wrote_at.max(self.now + delay);
            sidecar.leaving.push_back((sidecar.wrote_at, entry));
        }
    }

    fn granting(&self, shard: Shard) -> Vec<usize> {
        let may = |at: &usize| {
            let membership = &self.sidecars[*at].membership;
            membership
                .as_ref()
                .is_some_and(|it| it.may_grant(shard, self.time(*at)))
        };
        (0..self.sidecars.len()).filter(may).collect()
    }

    fn check(&mut self) {
        let first = self.rng.random_range(0..32);
        for shard in Shard::all().skip(first).step_by(32) {
            let granting = self.granting(shard);
            assert!(
                granting.len() <= 1,
                "{granting:?} grant for {shard:?} at {}",
                self.now
            );
            self.report.checked += 1;
            self.report.granted += granting.len() as u64;
        }
    }

    /// Somebody grants who does not stand still.
    fn is_served(&self, shard: Shard) -> bool {
        let works = |at: &usize| self.sidecars[*at].frozen_until <= self.now;
        self.granting(shard).iter().any(works)
    }

    fn all_granted(&self) -> bool {
        Shard::all().all(|shard| self.is_served(shard))
    }

    /// How long it takes until every shard has somebody who grants.
    pub(crate) fn until_granted(&mut self, most: Duration) -> Duration {
        let start = self.now;
        while !self.all_granted() {
            self.run(Duration::from_micros(STEP), Faults::None);
            assert!(self.now < start + micros(most), "nobody takes over");
        }
        Duration::from_micros(self.now - start)
    }

    /// The longest time in which some shard has nobody who grants.
    pub(crate) fn longest_gap(&mut self, span: Duration) -> Duration {
        let end = self.now + micros(span);
        let mut since: BTreeMap<Shard, u64> = BTreeMap::new();
        let mut longest = 0;
        while self.now < end {
            for shard in Shard::all() {
                let last = since.entry(shard).or_insert(self.now);
                if self.is_served(shard) {
                    *last = self.now;
                }
                longest = longest.max(self.now - *last);
            }
            self.run(Duration::from_micros(STEP), Faults::None);
        }
        Duration::from_micros(longest)
    }

    /// Everybody who lives is a member, has the same list, and each shard an owner.
    pub(crate) fn all_agree(&self) {
        let live: Vec<_> = self
            .sidecars
            .iter()
            .filter_map(|it| it.membership.as_ref())
            .collect();
        let lists: Vec<Vec<_>> = live
            .iter()
            .map(|it| it.members().map(|member| member.node.clone()).collect())
            .collect();
        assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
        let mut nodes: Vec<_> = live.iter().map(|it| it.me().clone()).collect();
        nodes.sort();
        assert_eq!(lists[0], nodes);
        assert!(live.iter().all(|it| it.epoch() == live[0].epoch()));
        assert!(self.all_granted());
    }
}
