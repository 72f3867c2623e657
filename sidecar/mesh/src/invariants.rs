//! What must hold after every input, checked against the whole state.
//!
//! Everything that is kept up to date in small steps (loads, counts, pools,
//! timers) is computed anew here, the slow way. For tests and simulators.

use std::collections::{BTreeSet, HashMap};

use crate::{
    AppKey, DynoKey, DynoState, Mesh,
    app::{App, Census, Few},
    dyno::Dyno,
    queue::WaiterKey,
    session::Entry,
    timers::Timer,
};

mod hints;

type Check = Result<(), String>;

fn holds(condition: bool, what: impl FnOnce() -> String) -> Check {
    if condition { Ok(()) } else { Err(what()) }
}

impl Mesh {
    /// Checks the whole state. Takes time in proportion to its size, so nobody
    /// calls it while serving.
    ///
    /// # Errors
    /// The first thing found that must never be.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_sessions()?;
        self.check_dynos()?;
        let mut in_flight: HashMap<AppKey, u32> = HashMap::new();
        for (_, dyno) in &self.dynos {
            *in_flight.entry(dyno.app).or_default() += dyno.load;
        }
        for (index, app) in &self.apps {
            let key = AppKey(index as u32);
            let in_flight = in_flight.get(&key).copied().unwrap_or(0);
            holds(in_flight == app.in_flight, || {
                format!(
                    "app {}: {in_flight} in flight, not {}",
                    app.name, app.in_flight
                )
            })?;
            self.check_app(key, app)
                .map_err(|e| format!("app {}: {e}", app.name))?;
            self.check_queue(key, app)
                .map_err(|e| format!("queue of {}: {e}", app.name))?;
        }
        self.check_names()?;
        self.check_hints()?;
        self.check_shared()?;
        self.check_timers()
    }

    /// Loads are what sessions hold, and who waits is known to a session.
    fn check_sessions(&self) -> Check {
        let mut held: HashMap<DynoKey, u32> = HashMap::new();
        let mut reserved: HashMap<DynoKey, u32> = HashMap::new();
        let mut before: HashMap<DynoKey, u32> = HashMap::new();
        let (mut waiting, mut away) = (0, 0);
        for (key, session) in self.sessions.iter() {
            let mut ours: HashMap<DynoKey, u32> = HashMap::new();
            for (ask, entry) in &session.entries {
                match entry {
                    Entry::Leased(dyno) => *held.entry(*dyno).or_default() += 1,
                    Entry::Reserved(dyno) | Entry::Passed(dyno) => {
                        *held.entry(*dyno).or_default() += 1;
                        *ours.entry(*dyno).or_default() += 1;
                        if matches!(entry, Entry::Reserved(_)) {
                            *reserved.entry(*dyno).or_default() += 1;
                        }
                    }
                    Entry::Away(id) => {
                        let request = self.away.requests.get(id).map(|away| &away.request);
                        let known = request.is_some_and(|r| r.session == key && r.ask == *ask);
                        holds(known, || format!("{ask:?} is away, and nobody knows where"))?;
                        away += 1;
                    }
                    Entry::Waiting(waiter) => {
                        waiting += 1;
                        let request = self.waiters.get(waiter.0 as usize).map(|w| &w.request);
                        let known = request.is_some_and(|r| r.session == key && r.ask == *ask);
                        holds(known, || format!("{ask:?} waits, but not in a queue"))?;
                        holds(session.lost_until.is_none(), || {
                            format!("{ask:?} waits, its session broke")
                        })?;
                    }
                }
            }
            let same = ours.len() == session.ahead.len()
                && ours
                    .iter()
                    .all(|(dyno, n)| session.ahead.get(dyno) == Some(n));
            holds(same, || {
                format!("a session has {ours:?} ahead, not {:?}", session.ahead)
            })?;
            let mut numbered = session.numbers.keys();
            let is_lease = |ask| {
                let leased = matches!(session.entries.get(ask), Some(Entry::Leased(_)));
                leased || session.strange.contains_key(ask)
            };
            holds(numbered.all(is_lease), || {
                "a number is kept of what is no lease here".into()
            })?;
            for (dyno, n) in ours {
                *before.entry(dyno).or_default() += n;
            }
        }
        let strangers: usize = self.sessions.iter().map(|(_, it)| it.strange.len()).sum();
        holds(strangers == self.strangers, || {
            format!("{strangers} strangers, not {}", self.strangers)
        })?;
        self.check_ahead(&reserved, &before)?;
        holds(away == self.away.requests.len(), || {
            "somebody is asked for no session".into()
        })?;
        holds(waiting == self.waiters.len(), || {
            "somebody waits for no session".into()
        })?;
        let leases: u32 = held.values().sum();
        holds(leases as usize == self.leases, || {
            format!("{leases} leases, not {}", self.leases)
        })?;
        for (index, dyno) in &self.dynos {
            let key = DynoKey(index as u32);
            let held = held.remove(&key).unwrap_or(0);
            holds(dyno.load == held, || {
                let instance = &self.info(key).instance;
                format!("{instance} has load {}, sessions hold {held}", dyno.load)
            })?;
        }
        holds(held.is_empty(), || {
            format!("leases of dynos that are forgotten: {held:?}")
        })
    }

    /// What is ahead, and of that reserved, is what sessions have so, of whatever is
    /// counted.
    fn check_ahead(
        &self,
        reserved: &HashMap<DynoKey, u32>,
        ahead: &HashMap<DynoKey, u32>,
    ) -> Check {
        let all: u32 = reserved.values().sum();
        holds(all as usize == self.reserved, || {
            format!("{all} reserved, not {}", self.reserved)
        })?;
        let mut of_apps: HashMap<AppKey, (u32, u32)> = HashMap::new();
        for (index, dyno) in &self.dynos {
            let key = DynoKey(index as u32);
            let of = |all: &HashMap<DynoKey, u32>| all.get(&key).copied().unwrap_or(0);
            let found = (of(reserved), of(ahead));
            let counted = (dyno.reserved, dyno.ahead);
            holds(found == counted, || {
                format!(
                    "{} has {found:?} reserved and ahead, not {counted:?}",
                    self.info(key).instance
                )
            })?;
            let app = of_apps.entry(dyno.app).or_default();
            *app = (app.0 + found.0, app.1 + found.1);
        }
        let right = |(index, app): (usize, &App)| {
            let found = of_apps.get(&AppKey(index as u32)).copied();
            found.unwrap_or_default() == (app.reserved, app.ahead)
        };
        holds(self.apps.iter().all(right), || {
            "an app's leases ahead are miscounted".into()
        })
    }

    fn check_dynos(&self) -> Check {
        let dynos = self.dynos.iter().map(|(index, _)| index);
        let identities = self.identities.iter().map(|(index, _)| index);
        holds(dynos.eq(identities), || {
            "dynos and who they are have come apart".into()
        })?;
        let mut alive = 0;
        let mut retired = 0;
        for (index, dyno) in &self.dynos {
            let key = DynoKey(index as u32);
            let info = self.info(key);
            holds(self.apps.contains(dyno.app.0 as usize), || {
                format!("{} is of an app that is forgotten", info.instance)
            })?;
            // One that is gone gives its instance up to one that is configured, which may
            // be gone as well since.
            let found = self.instances.get(&info.instance) == Some(&key);
            holds(found || dyno.retired, || {
                format!("{} is not found by its instance", info.instance)
            })?;
            let marked = self.marks.get(&self.identities[index].mark) == Some(&key);
            holds(found == marked, || {
                format!("{} is not found by its mark alike", info.instance)
            })?;
            if dyno.retired {
                retired += 1;
                holds(dyno.load > 0, || {
                    format!("{} is gone, not forgotten", info.instance)
                })?;
            } else if dyno.state.is_alive() {
                alive += 1;
                holds(self.addresses.get(&info.address) == Some(&key), || {
                    format!("{} shares its address {}", info.instance, info.address)
                })?;
            }
            holds(
                dyno.quarantine.is_none() || dyno.state == DynoState::Up,
                || format!("{} is in quarantine and not up", info.instance),
            )?;
            self.check_slot(key, dyno)?;
        }
        holds(retired == self.retired, || {
            format!("{retired} retired, not {}", self.retired)
        })?;
        holds(alive == self.addresses.len(), || {
            "an address of nobody alive is kept".into()
        })?;
        let mut instances = self.instances.iter();
        let all = instances.all(|(instance, key)| {
            let identity = self.identities.get(key.0 as usize);
            identity.is_some_and(|it| it.info.instance == *instance)
        });
        holds(all && self.marks.len() == self.instances.len(), || {
            "an instance or a mark of nobody is kept".into()
        })
    }

    /// In the pool are those who may have a request, each on its level.
    fn check_slot(&self, key: DynoKey, dyno: &Dyno) -> Check {
        let app = &self.apps[dyno.app.0 as usize];
        let wanted = dyno
            .is_eligible(app.terms())
            .then(|| (dyno.level(app.terms()), Some(key)));
        let found = dyno.slot.map(|slot| app.pool.at(slot));
        holds(found == wanted, || {
            format!(
                "{} is in the pool at {found:?}, not {wanted:?}",
                self.info(key).instance
            )
        })
    }

    fn check_app(&self, key: AppKey, app: &App) -> Check {
        let by_name = self.by_name.get(&app.name) == Some(&key);
        holds(by_name != app.deleted, || {
            "found by its name although deleted, or not".into()
        })?;
        let mut census = Census::default();
        let (mut in_use, mut pooled) = (0, 0);
        for dyno in &app.dynos {
            let instance = &self.info(*dyno).instance;
            let dyno = &self.dynos[dyno.0 as usize];
            holds(dyno.is_of(key), || format!("{instance} is not its dyno"))?;
            census.count(dyno.state, dyno.quarantine.is_some());
            in_use += u32::from(dyno.load > 0);
            pooled += u32::from(dyno.slot.is_some());
        }
        holds(app.few == Few::of(&app.dynos, &self.identities), || {
            "its few dynos are others".into()
        })?;
        let specs = app.dynos.iter().map(|dyno| self.dyno_spec(*dyno));
        holds(app.specs.is_empty() || app.specs == specs.collect(), || {
            format!("its dynos are not {:?}", app.specs)
        })?;
        holds(census == app.census, || {
            format!("{census:?}, not {:?}", app.census)
        })?;
        holds(in_use == app.in_use, || {
            format!("{in_use} in use, not {}", app.in_use)
        })?;
        holds(pooled == app.pool.len(), || {
            format!("{pooled} pooled, not {}", app.pool.len())
        })?;
        if app.deleted {
            holds(app.in_flight + app.away > 0, || {
                "deleted, not forgotten".into()
            })?;
            holds(app.queue.is_empty() && app.dynos.is_empty(), || {
                "deleted, in use".into()
            })?;
        }
        holds(
            !app.dyno_needed || (!app.queue.is_empty() && app.census.expected() == 0),
            || "needs a dyno although one comes or nobody waits".into(),
        )
    }

    /// In order, and nobody waits for what is there.
    fn check_queue(&self, key: AppKey, app: &App) -> Check {
        app.queue.check_named(&self.waiters)?;
        let mut arrived = crate::Time::ZERO;
        for waiter in app.queue.iter() {
            let waiter = &self.waiters[waiter.0 as usize];
            let request = &waiter.request;
            holds(request.app == key, || {
                format!("{:?} waits for another app", request.ask)
            })?;
            holds(arrived <= request.arrived, || {
                format!("{:?} is too late", request.ask)
            })?;
            arrived = request.arrived;
            // Who may decide, and when, is not known without a clock.
            let exact = app.terms().exact.is_some() && self.owners.known.is_some();
            if self.is_recovering() || exact {
                continue;
            }
            holds(!app.maintenance, || {
                format!("{:?} waits in maintenance", request.ask)
            })?;
            let tried = request.tried.iter().filter_map(|i| self.instances.get(i));
            let tried: BTreeSet<_> = tried.collect();
            let free = app
                .dynos
                .iter()
                .find(|dyno| self.dynos[dyno.0 as usize].slot.is_some() && !tried.contains(dyno));
            holds(free.is_none(), || {
                format!("{:?} waits although {free:?} is free", request.ask)
            })?;
        }
        Ok(())
    }

    fn check_names(&self) -> Check {
        let mut domains = 0;
        let ruled = self.by_name.values();
        let ruled = ruled.filter(|key| self.apps[key.0 as usize].is_ruled());
        holds(ruled.count() == self.ruled, || {
            format!("{} apps do not have rules", self.ruled)
        })?;
        let told = self.by_name.iter().filter_map(|(name, key)| {
            let rate = self.apps[key.0 as usize].settings().tap_rate?;
            Some((name.clone(), rate))
        });
        holds(told.eq(self.told.clone()), || {
            format!("{:?} are not those that want requests told", self.told)
        })?;
        let by_client = self.by_name.values();
        let by_client = by_client.filter(|key| {
            let settings = self.apps[key.0 as usize].settings();
            settings.max_client_rate.is_some()
        });
        holds(by_client.count() == self.by_client, || {
            format!("{} apps do not have a rate for clients", self.by_client)
        })?;
        let paged = self.by_name.values();
        let paged = paged.filter(|key| !self.apps[key.0 as usize].pages.is_empty());
        holds(paged.count() == self.paged, || {
            format!("{} apps do not have pages", self.paged)
        })?;
        for (name, key) in &self.by_name {
            let app = &self.apps[key.0 as usize];
            holds(app.name == *name, || {
                format!("{name} is found as {}", app.name)
            })?;
            domains += app.domains.len();
            for domain in &app.domains {
                holds(self.directory.owner(domain) == Some(*key), || {
                    format!("{domain} does not lead to {name}")
                })?;
            }
        }
        holds(domains == self.directory.len(), || {
            "a name leads to a former app".into()
        })
    }

    /// Each dyno knows what others do there, and what is not told to them is
    /// remembered once.
    fn check_shared(&self) -> Check {
        self.foreign.check()?;
        for (index, dyno) in &self.dynos {
            let key = DynoKey(index as u32);
            let instance = &self.info(key).instance;
            let known = self.instances.get(instance) == Some(&key);
            holds(
                !known || dyno.elsewhere == self.seen_elsewhere(dyno.app, instance),
                || format!("{instance} has not {} elsewhere", dyno.elsewhere),
            )?;
            let is_listed = dyno.untold.map(|at| self.share.untold(at)) == Some(Some(key));
            holds(is_listed == dyno.untold.is_some(), || {
                format!("{instance} is not at its place among the untold")
            })?;
            let differs = dyno.load - dyno.reserved != dyno.told;
            let is_told = !differs || is_listed || dyno.told == 0 && self.share.has_left_out();
            holds(is_told || !self.share.is_on(), || {
                format!("{instance} has a load that nobody is told of")
            })?;
        }
        let listed = self.dynos.iter().filter(|(_, dyno)| dyno.untold.is_some());
        let told = self.dynos.iter().filter(|(_, dyno)| dyno.told > 0);
        self.share.check(listed.count(), told.count())
    }

    /// One timer for each thing that ends by itself, and no other.
    fn check_timers(&self) -> Check {
        let mut wanted = BTreeSet::new();
        for (index, waiter) in &self.waiters {
            wanted.insert((waiter.deadline, Timer::Waiter(WaiterKey(index as u32))));
        }
        for (index, dyno) in &self.dynos {
            wanted.extend(
                dyno.quarantine
                    .map(|at| (at, Timer::Quarantine(DynoKey(index as u32)))),
            );
        }
        for (key, session) in self.sessions.iter() {
            wanted.extend(session.lost_until.map(|at| (at, Timer::Session(key))));
            wanted.extend(session.doubt_until.map(|at| (at, Timer::Doubts(key))));
        }
        let recalls = self.recalls.deadlines();
        wanted.extend(recalls.map(|(recall, at)| (at, Timer::Recall(recall))));
        let patience = self.limits.node_patience;
        let nodes = self.foreign.heard();
        wanted.extend(nodes.map(|(node, heard)| (heard + patience, Timer::Node(node))));
        wanted.extend(
            self.recovery
                .as_ref()
                .map(|(_, until)| (*until, Timer::Recovery)),
        );
        let owners = &self.owners;
        wanted.extend(owners.look.map(|at| (at, Timer::Term)));
        let openings = owners.openings.iter();
        wanted.extend(openings.map(|(epoch, it)| (it.until, Timer::Opening(*epoch))));
        let stalls = owners.stalls.iter().filter(|(_, stall)| !stall.over);
        wanted.extend(stalls.map(|(app, stall)| (stall.until, Timer::Stall(*app))));
        for (index, app) in &self.apps {
            let key = AppKey(index as u32);
            wanted.extend(app.idle_look.map(|at| (at, Timer::Idle(key))));
            if let Some(scale) = &app.scale {
                wanted.extend(scale.look.map(|at| (at, Timer::Busy(key))));
                wanted.extend(scale.window.map(|at| (at, Timer::Window(key))));
            }
        }
        holds(self.timers.iter().eq(wanted.iter().copied()), || {
            let set: Vec<_> = self.timers.iter().collect();
            format!("timers {set:?}, not {wanted:?}")
        })
    }
}
