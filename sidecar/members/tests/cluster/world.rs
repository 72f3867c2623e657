//! The world: what is where, and what happens next.

use std::{collections::BTreeMap, time::Duration};

use members::{Entry, Membership, Output as Write, PeerId, Time, Timing};
use mesh::{
    Answer, AppSpec, Ask, AskId, DynoSpec, DynoState, Exact, FarAnswer, Limits, Mesh, Outcome,
    Output, Settings, ToPeer, Update, WorkerId,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    link::Link,
    node::{Node, Said},
    router::{Request, Router},
};

/// Microseconds.
const STEP: u64 = 1_000;
pub(crate) const APPS: usize = 6;
const DYNOS: usize = 3;
/// Of those that want a dyno rather than a promise.
const LOOSE: usize = 5;
const SERVICE: f64 = 40_000.0;
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
    pub(crate) dead_workers: u64,
    /// Changes of owners.
    pub(crate) moved: u64,
    /// Of apps that would rather have that: two requests at one dyno.
    pub(crate) doubled: u64,
}

impl Report {
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
        self.dead_workers += other.dead_workers;
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
    pub(crate) stalled_until: u64,
    pub(crate) faults: bool,
    /// Requests at each dyno, as it sees them.
    running: BTreeMap<Box<str>, u32>,
    load: f64,
    workers: u64,
    pub(crate) strict_order: bool,
    trace: bool,
    pub(crate) report: Report,
}

pub(crate) fn name(at: usize) -> String {
    format!("host-{at}")
}

fn app_name(app: usize) -> String {
    format!("app-{app}")
}

fn limits() -> Limits {
    Limits {
        longest_request: Duration::from_secs(3600),
        ..Limits::default()
    }
}

fn spec(app: usize) -> AppSpec {
    let exact = match app {
        LOOSE => Exact::Available,
        _ => Exact::Strict,
    };
    let dyno = |n: usize| DynoSpec {
        name: format!("d{n}").into(),
        instance: format!("{app}-{n}").into(),
        address: format!("unix:/{app}/{n}").parse().unwrap(),
        limit: Some(1),
        state: DynoState::Up,
    };
    AppSpec {
        name: app_name(app).into(),
        version: 1,
        settings: Settings {
            exact: Some(exact),
            queue_timeout: Some(Duration::from_secs(60)),
            queue_depth: Some(100_000),
            ..Settings::default()
        },
        released: true,
        domains: vec![format!("{app}.test").into()],
        dynos: (0..DYNOS).map(dyno).collect(),
        ..AppSpec::default()
    }
}

impl World {
    pub(crate) fn new(seed: u64, count: usize, trace: bool) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now: 10_000_000,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            log: Vec::new(),
            stalled_until: 0,
            faults: false,
            running: BTreeMap::new(),
            load: 0.0,
            workers: 0,
            strict_order: false,
            trace,
            report: Report::default(),
        };
        for at in 0..count {
            let node = Node {
                drift: world.rng.random_range(-20_000..20_000),
                back_at: Some(0),
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
            node.routers.iter().all(|router| router.requests.is_empty())
                && node.said.is_empty()
                && totals.is_some_and(|it| it.leases + it.waiting + it.away == 0)
        };
        let up = self.links.values().all(|link| link.up);
        up && self.nodes.iter().all(quiet)
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
            self.routers(at);
            if self.works(at) {
                self.read_log(at);
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

    pub(crate) fn works(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.core.is_some() && node.frozen_until <= self.now
    }

    fn start(&mut self, at: usize) {
        let (life, seed, time) = (self.rng.random(), self.rng.random(), self.time(at));
        let name = name(at);
        self.say(|| format!("{at} starts as {life:x}"));
        let mut core = Mesh::new(limits(), seed);
        core.share_apps(PeerId::of(&name));
        let workers = self.nodes[at].routers.iter().map(|r| WorkerId(r.worker));
        core.recover(workers, time + Duration::from_secs(5));
        for app in 0..APPS {
            core.apply(&Update::Put(spec(app)), time);
        }
        let next = self.log.len();
        let node = &mut self.nodes[at];
        let timing = Timing::default();
        node.membership = Some(Membership::new(&name, life, "here", timing, time));
        node.core = Some(core);
        (node.next, node.back_at, node.epoch) = (next, None, None);
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
        }
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            self.break_link(at, other, now + 50_000);
            self.break_link(other, at, now + 50_000);
        }
    }

    // The log.

    fn append(&mut self, at: usize) {
        while self.stalled_until <= self.now
            && self.nodes[at].cut_until <= self.now
            && let Some((due, _)) = self.nodes[at].leaving.front()
            && *due <= self.now
            && let Some((_, entry)) = self.nodes[at].leaving.pop_front()
        {
            if !self.chance(500) {
                self.log.push(entry);
            }
        }
    }

    fn deliver(&mut self, at: usize) {
        let away = self.nodes[at].cut_until > self.now || self.stalled_until > self.now;
        if away || self.nodes[at].core.is_none() {
            return;
        }
        while self.nodes[at].next < self.log.len() {
            let delay = self.latency();
            let node = &mut self.nodes[at];
            node.heard_at = node.heard_at.max(self.now + delay);
            node.next += 1;
            node.arriving.push_back((node.heard_at, node.next as u64));
        }
    }

    fn read_log(&mut self, at: usize) {
        let time = self.time(at);
        while let Some((due, place)) = self.nodes[at].arriving.front().copied()
            && due <= self.now
        {
            self.nodes[at].arriving.pop_front();
            let entry = self.log[place as usize - 1].clone();
            if let Some(membership) = &mut self.nodes[at].membership {
                membership.entry(place, &entry, time);
            }
            self.seat(at);
        }
        if let Some(membership) = &mut self.nodes[at].membership
            && membership.poll_timeout().is_some_and(|due| due <= time)
        {
            membership.handle_timeout(time);
            self.seat(at);
        }
    }

    /// What the log says is told to the core.
    pub(crate) fn seat(&mut self, at: usize) {
        let time = self.time(at);
        let mut words = Vec::new();
        let node = &mut self.nodes[at];
        let (Some(membership), Some(core)) = (&mut node.membership, &mut node.core) else {
            return;
        };
        while let Some(output) = membership.poll_output() {
            if let Write::Write(entry) = output {
                words.push(entry);
            }
        }
        let epoch = membership.epoch();
        if epoch.is_none() && node.epoch.take().is_some() {
            core.disown(time);
        }
        if epoch.is_some() && epoch != node.epoch {
            node.epoch = epoch;
            self.report.moved += 1;
            if let Some(ownership) = membership.ownership() {
                core.own(ownership, time);
            }
        }
        core.serve_term(membership.term(), time);
        for entry in words {
            self.say(|| format!("{at} writes {:?}", entry.kind));
            let delay = self.latency();
            let node = &mut self.nodes[at];
            node.wrote_at = node.wrote_at.max(self.now + delay);
            node.leaving.push_back((node.wrote_at, entry));
        }
        self.pass_on(at);
    }

    // Links.

    fn can_reach(&self, from: usize, to: usize) -> bool {
        let open = |at: usize| self.nodes[at].cut_until <= self.now;
        open(from) && open(to)
    }

    fn keep_links(&mut self) {
        let all: Vec<_> = self.links.keys().copied().collect();
        for (from, to) in all {
            let link = &self.links[&(from, to)];
            let knows = self.nodes[from].epoch.is_some();
            let answers = self.can_reach(from, to) && self.works(to) && self.works(from);
            let (up, dead_at, due) = (link.up, link.dead_at, link.next_try <= self.now);
            let now = self.now;
            match (up, answers, dead_at) {
                (false, true, _) if knows && due => self.open_link(from, to),
                (true, false, None) => {
                    self.links.get_mut(&(from, to)).unwrap().dead_at = Some(now + 1_000_000);
                }
                (true, true, Some(_)) => self.links.get_mut(&(from, to)).unwrap().dead_at = None,
                (true, false, Some(dead)) if dead <= now => {
                    self.break_link(from, to, now + 100_000);
                }
                _ => {}
            }
        }
    }

    fn open_link(&mut self, from: usize, to: usize) {
        self.say(|| format!("{from} can ask {to}"));
        let time = self.time(from);
        self.links.get_mut(&(from, to)).unwrap().up = true;
        if let Some(core) = &mut self.nodes[from].core {
            core.peer_up(PeerId::of(&name(to)), time);
        }
        self.pass_on(from);
    }

    fn break_link(&mut self, from: usize, to: usize, next_try: u64) {
        let link = self.links.get_mut(&(from, to)).unwrap();
        if !link.up {
            return;
        }
        let session = link.end(next_try);
        self.say(|| format!("{from} can't ask {to} any more"));
        let time = self.time(from);
        if let Some(core) = &mut self.nodes[from].core {
            core.peer_down(PeerId::of(&name(to)), time);
        }
        let time = self.time(to);
        if let Some(core) = &mut self.nodes[to].core
            && let Some(session) = session
        {
            core.lose_session(session, time);
        }
        // Whoever stands still says this when it goes on.
    }

    fn hear_peers(&mut self, at: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            if !self.can_reach(at, other) {
                continue;
            }
            while let Some(link) = self.links.get_mut(&(other, at))
                && let Some((due, _)) = link.down.front()
                && *due <= self.now
                && let Some((_, word)) = link.down.pop_front()
            {
                self.hear_peer(at, other, word);
                self.pass_on(at);
            }
            while let Some(link) = self.links.get_mut(&(at, other))
                && let Some((due, _)) = link.back.front()
                && *due <= self.now
                && let Some((_, answer)) = link.back.pop_front()
            {
                let (time, peer) = (self.time(at), PeerId::of(&name(other)));
                self.say(|| format!("{other} answers {at} {answer:?}"));
                if let Some(core) = &mut self.nodes[at].core {
                    core.peer_answer(peer, answer, time);
                }
                self.pass_on(at);
            }
        }
    }

    fn hear_peer(&mut self, at: usize, from: usize, word: ToPeer) {
        let time = self.time(at);
        self.say(|| format!("{from} tells {at} {word:?}"));
        let link = self.links.get_mut(&(from, at)).unwrap();
        let Some(core) = &mut self.nodes[at].core else {
            return;
        };
        if let ToPeer::Hello(held) = word {
            let session = core.peer_hello(PeerId::of(&name(from)), held, time);
            link.session = Some(session.unwrap());
            return;
        }
        let Some(session) = link.session else { return };
        match word {
            ToPeer::Hello(_) => {}
            ToPeer::Ask(ask) => assert!(core.peer_ask(session, ask, time)),
            ToPeer::Cancel(ask) => core.cancel(session, ask, time),
            ToPeer::Checkin(ask, outcome) => core.checkin(session, ask, outcome, time),
            ToPeer::Report(held) => core.peer_report(session, held, time),
            ToPeer::Vouch(of, held) => core.peer_vouch(of, held, time).unwrap(),
        }
    }

    // Routers.

    fn hear_routers(&mut self, at: usize) {
        let time = self.time(at);
        while let Some(said) = self.nodes[at].said.pop_front() {
            let node = &mut self.nodes[at];
            let Some(core) = &mut node.core else { return };
            let session = |router: usize| node.routers[router].session;
            match said {
                Said::Hello {
                    router,
                    worker,
                    held,
                } => {
                    let key = core.hello(WorkerId(worker), held, time).unwrap();
                    node.sessions.insert(key, router);
                    node.routers[router].session = Some(key);
                }
                Said::Ask {
                    router,
                    ask,
                    app,
                    arrived,
                    held,
                } => {
                    let waited = Duration::from_micros(self.now - arrived);
                    let name = format!("{app}.test");
                    let asked = Ask {
                        waited,
                        held,
                        ..Ask::new(ask, &name)
                    };
                    let key = session(router).unwrap();
                    assert!(core.ask(key, asked, time));
                }
                Said::Cancel { router, ask } => core.cancel(session(router).unwrap(), ask, time),
                Said::Done {
                    router,
                    ask,
                    outcome,
                } => core.checkin(session(router).unwrap(), ask, outcome, time),
                Said::Gone { router } => {
                    if let Some(key) = node.routers[router].session.take() {
                        core.lose_session(key, time);
                        node.sessions.remove(&key);
                    }
                }
            }
            self.pass_on(at);
        }
    }

    fn pass_on(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].core.as_mut().and_then(Mesh::poll_output) {
            match output {
                Output::Answer(answer) => self.pass_answer(at, answer),
                Output::ToPeer(peer, word) => {
                    let to = (0..self.nodes.len()).find(|to| PeerId::of(&name(*to)) == peer);
                    let due = self.now + self.latency();
                    let link = self.links.get_mut(&(at, to.unwrap())).unwrap();
                    if link.up {
                        let last = link.down.back().map_or(0, |(due, _)| *due);
                        link.down.push_back((due.max(last), word));
                    }
                }
                _ => {}
            }
        }
    }

    fn pass_answer(&mut self, at: usize, answer: Answer) {
        let due = self.now + self.rng.random_range(50..2_000);
        if let Some(router) = self.nodes[at].sessions.get(&answer.session).copied() {
            self.nodes[at].routers[router]
                .answers
                .push_back((due, answer));
            return;
        }
        let mut links = self.links.iter_mut();
        let link = links.find(|((_, to), it)| *to == at && it.session == Some(answer.session));
        if let Some((_, link)) = link {
            let last = link.back.back().map_or(0, |(due, _)| *due);
            let far = FarAnswer {
                ask: answer.ask,
                wait: answer.wait,
                depth: answer.depth,
                in_use: answer.in_use,
                result: answer.result,
            };
            link.back.push_back((due.max(last), far));
        }
    }

    fn routers(&mut self, at: usize) {
        for router in 0..ROUTERS {
            self.read_answers(at, router);
            self.finish(at, router);
            if self.nodes[at].routers[router].connects_at <= self.now
                && self.nodes[at].core.is_some()
            {
                self.connect(at, router);
            }
            let capacity = (APPS * DYNOS) as f64 / SERVICE;
            let routers = (self.nodes.len() * ROUTERS) as f64;
            let chance = (self.load * capacity * STEP as f64 / routers).min(1.0);
            if self.rng.random_bool(chance) {
                self.arrive(at, router);
            }
        }
    }

    fn connect(&mut self, at: usize, index: usize) {
        let (node, now) = (&mut self.nodes[at], self.now);
        let router = &mut node.routers[index];
        router.connects_at = u64::MAX;
        let held = router.requests.iter().filter_map(|(ask, request)| {
            let (instance, _) = request.at.as_ref()?;
            Some((*ask, instance.clone()))
        });
        node.said.push_back(Said::Hello {
            router: index,
            worker: router.worker,
            held: held.collect(),
        });
        let again = std::mem::replace(&mut router.again, true);
        for (ask, request) in router.requests.iter().filter(|(_, it)| it.at.is_none()) {
            node.said.push_back(Said::Ask {
                router: index,
                ask: *ask,
                app: request.app,
                arrived: request.arrived.min(now),
                held: again,
            });
        }
    }

    fn is_connected(&self, at: usize, router: usize) -> bool {
        let node = &self.nodes[at];
        node.core.is_some() && node.routers[router].connects_at == u64::MAX
    }

    fn arrive(&mut self, at: usize, index: usize) {
        let app = self.rng.random_range(0..APPS);
        self.report.asked += 1;
        let (now, connected) = (self.now, self.is_connected(at, index));
        let node = &mut self.nodes[at];
        let router = &mut node.routers[index];
        router.last += 1;
        let ask = AskId(router.last);
        let request = Request {
            app,
            arrived: now,
            at: None,
            overtaken_at: None,
        };
        router.requests.insert(ask, request);
        if connected {
            node.said.push_back(Said::Ask {
                router: index,
                ask,
                app,
                arrived: now,
                held: false,
            });
        }
    }

    fn read_answers(&mut self, at: usize, index: usize) {
        loop {
            let router = &mut self.nodes[at].routers[index];
            let due = router.answers.iter().position(|(due, _)| *due <= self.now);
            let Some((_, answer)) = due.and_then(|due| router.answers.remove(due)) else {
                return;
            };
            let Some(request) = router.requests.get(&answer.ask).cloned() else {
                continue;
            };
            self.say(|| format!("{at}/{index}: {:?} {:?}", answer.ask, answer.result));
            match answer.result {
                Err(_) => {
                    self.report.refused += 1;
                    self.nodes[at].routers[index].requests.remove(&answer.ask);
                }
                Ok(route) => {
                    self.check_order(&request);
                    let owner = self.owner(request.app);
                    self.report.far += u64::from(owner.is_some_and(|owner| owner != at));
                    let span = self.about(SERVICE);
                    let end = self.now + span.min(3_000_000);
                    let instance = route.dyno.instance.clone();
                    self.begin(request.app, &instance);
                    let router = &mut self.nodes[at].routers[index];
                    if let Some(request) = router.requests.get_mut(&answer.ask) {
                        request.at = Some((instance, end));
                    }
                }
            }
        }
    }

    fn owner(&self, app: usize) -> Option<usize> {
        let shard = mesh::Shard::of(&app_name(app));
        let memberships = self
            .nodes
            .iter()
            .filter_map(|node| node.membership.as_ref());
        let owner = memberships.filter_map(|it| it.owner(shard)).next()?;
        (0..self.nodes.len()).find(|at| *name(*at) == *owner.node.name)
    }

    /// Nobody who came before this one waits for long after it: answers of one owner
    /// have several ways.
    fn check_order(&mut self, request: &Request) {
        if !self.strict_order {
            return;
        }
        let overtaken = request.overtaken_at.unwrap_or(self.now);
        assert!(overtaken + 10_000 > self.now, "{request:?} is overtaken");
        let routers = self.nodes.iter_mut().flat_map(|node| &mut node.routers);
        let requests = routers.flat_map(|router| router.requests.values_mut());
        let waiting = requests.filter(|it| it.at.is_none() && it.app == request.app);
        for before in waiting.filter(|it| it.arrived + 5_000 < request.arrived) {
            before.overtaken_at.get_or_insert(self.now);
        }
    }

    fn begin(&mut self, app: usize, instance: &str) {
        let running = self.running.entry(instance.into()).or_default();
        *running += 1;
        if *running > 1 {
            assert!(app == LOOSE, "{instance} has two requests at {}", self.now);
            self.report.doubled += 1;
        }
    }

    fn end(&mut self, instance: &str) {
        *self.running.get_mut(instance).unwrap() -= 1;
    }

    fn finish(&mut self, at: usize, index: usize) {
        let router = &self.nodes[at].routers[index];
        let over = |request: &Request| request.at.as_ref().is_some_and(|it| it.1 <= self.now);
        let all = router.requests.iter();
        let done: Vec<_> = all
            .filter(|(_, it)| over(it))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in done {
            let request = self.nodes[at].routers[index].requests.remove(&ask).unwrap();
            let (instance, _) = request.at.unwrap();
            self.end(&instance);
            self.report.served += 1;
            if self.is_connected(at, index) {
                let outcome = Outcome::Done;
                let router = index;
                self.nodes[at].said.push_back(Said::Done {
                    router,
                    ask,
                    outcome,
                });
            }
        }
        // Now and then a client does not want to wait any more.
        if self.chance(400) {
            let router = &self.nodes[at].routers[index];
            let mut waiting = router.requests.iter();
            let answered = |ask: &AskId| router.answers.iter().any(|(_, it)| it.ask == *ask);
            let leaves = waiting.find(|(ask, it)| it.at.is_none() && !answered(ask));
            if let Some(ask) = leaves.map(|(ask, _)| *ask) {
                self.nodes[at].routers[index].requests.remove(&ask);
                if self.is_connected(at, index) {
                    let said = Said::Cancel { router: index, ask };
                    self.nodes[at].said.push_back(said);
                }
            }
        }
    }

    /// A worker dies, with all that it did; another one takes its place.
    pub(crate) fn kill_worker(&mut self, at: usize, index: usize) {
        self.report.dead_workers += 1;
        self.say(|| format!("router {index} of {at} dies"));
        let new = self.new_router();
        let connected = self.is_connected(at, index);
        let old = std::mem::replace(&mut self.nodes[at].routers[index], new);
        for request in old.requests.values() {
            if let Some((instance, _)) = &request.at {
                self.end(instance);
            }
        }
        let time = self.time(at);
        let node = &mut self.nodes[at];
        node.routers[index].session = old.session;
        if connected {
            node.said.push_back(Said::Gone { router: index });
        } else if let Some(core) = &mut node.core {
            core.worker_gone(WorkerId(old.worker), time);
        }
    }
}
