//! Leases ahead: routers reserve and give back, and changes wait for that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mesh::{
    Answer, AskId, ChangeError, DynoInfo, Next, Operation, Output, Recall, RecallId, Reserved,
    Route, WorkerId,
};
use rand::RngExt;

use super::{APPS, Event, World, app_name, millis};
use crate::{ahead::Lease, sidecar::Message};

/// Longer than real routers keep them, for there are fewer requests here.
const KEEP: Duration = millis(60);
const TELL_AFTER: Duration = millis(30);
const TIDY: Duration = millis(5);
/// As real ones do.
const LATE: Duration = millis(500);

/// Changes in their order, and which of them are in effect everywhere.
#[derive(Default)]
pub(super) struct Changes {
    made: u64,
    /// Of each app the last change that is in effect.
    in_effect: BTreeMap<Box<str>, u64>,
    under_way: Vec<UnderWay>,
    /// How many changes each lease ahead came after, while it is not used.
    reserved: BTreeMap<(WorkerId, AskId), u64>,
}

struct UnderWay {
    app: Box<str>,
    number: u64,
    recalls: BTreeSet<RecallId>,
}

fn may_pass(answer: &Answer) -> bool {
    let route = answer.result.as_ref();
    route.is_ok_and(|route| !route.again.is_zero())
}

impl World {
    /// A change was made, and is in effect when these are over.
    pub(super) fn changed(&mut self, app: &str, recalls: Vec<RecallId>) {
        self.changes.made += 1;
        self.report.recalled += u64::from(!recalls.is_empty());
        self.changes.under_way.push(UnderWay {
            app: app.into(),
            number: self.changes.made,
            recalls: recalls.into_iter().collect(),
        });
        self.note_effect();
    }

    pub(super) fn recall_is_over(&mut self, recall: RecallId) {
        for change in &mut self.changes.under_way {
            change.recalls.remove(&recall);
        }
        self.note_effect();
    }

    fn note_effect(&mut self) {
        let done = |change: &mut UnderWay| change.recalls.is_empty();
        for change in self.changes.under_way.extract_if(.., done) {
            let last = self.changes.in_effect.entry(change.app).or_default();
            *last = change.number.max(*last);
        }
    }

    pub(super) fn all_in_effect(&self) -> bool {
        self.changes.under_way.is_empty()
    }

    /// Whoever made them hears that they may be in effect, or not.
    pub(super) fn forget_changes(&mut self) {
        self.changes.under_way.clear();
    }

    pub(super) fn note_reserved(&mut self, output: &Output) {
        let (session, asks) = match output {
            Output::Reserved(it) => (it.session, it.first.0..it.first.0 + it.dynos.len() as u64),
            Output::Answer(it) if may_pass(it) => (it.session, it.ask.0..it.ask.0 + 1),
            Output::Next(it) => match it.ask {
                Some(ask) => (it.session, ask.0..ask.0 + 1),
                None => return,
            },
            _ => return,
        };
        let connection = self.sidecar.connections.get(&session);
        let Some(router) = connection.and_then(|at| self.router_at(*at)) else {
            return;
        };
        let worker = self.routers[router].worker;
        for ask in asks {
            let lease = (worker, AskId(ask));
            self.changes.reserved.insert(lease, self.changes.made);
        }
    }

    /// The next request may have what this one was given.
    pub(super) fn lend(&mut self, router: usize, ask: AskId, route: &Route) {
        if !route.again.is_zero() {
            self.report.lent += 1;
            let ours = &mut self.routers[router];
            let name = ours.requests[&ask].name.clone();
            ours.ahead.lend(ask, name, route.dyno.clone(), self.now);
            self.keep_tidy(router);
        }
    }

    pub(super) fn router_at(&self, connection: u64) -> Option<usize> {
        let mut routers = self.routers.iter();
        routers.position(|router| router.connection == Some(connection))
    }

    /// A lease that is at hand, for a request that comes. Orders more at times.
    pub(super) fn take_ahead(
        &mut self,
        router: usize,
        name: &str,
    ) -> Option<(AskId, Arc<DynoInfo>)> {
        let orders = self.chance(60.0);
        let ours = &mut self.routers[router];
        ours.connection?;
        let lease = ours.ahead.take(name, self.now);
        if orders && !ours.ahead.orders.values().any(|(of, _)| of == name) {
            let count = self.rng.random_range(1..8);
            let first = ours.numbers(count);
            let name = name.to_owned();
            ours.ahead.orders.insert(first, (name.clone(), self.now));
            self.send(router, Message::Reserve { first, count, name });
        }
        self.keep_tidy(router);
        let lease = lease?;
        self.check_use(router, &lease);
        Some((lease.ask, lease.dyno))
    }

    /// Not after a change that is in effect: what was before it is not used.
    fn check_use(&mut self, router: usize, lease: &Lease) {
        self.report.ahead += 1;
        self.check_effect(router, lease.ask, &lease.dyno.app);
    }

    pub(super) fn check_effect(&self, router: usize, ask: AskId, app: &str) {
        let worker = self.routers[router].worker;
        // It may be passed on, so this is to be known again.
        let after = self.changes.reserved.get(&(worker, ask));
        let in_effect = self.changes.in_effect.get(app);
        assert!(
            after.is_some_and(|after| *after >= in_effect.copied().unwrap_or(0)),
            "{ask:?} is used after change {in_effect:?}, was said after {after:?}",
        );
    }

    fn is_next(&mut self, router: usize, next: Next) {
        let ours = &mut self.routers[router];
        let other = |it: &Next| it.app != next.app || it.edition == next.edition;
        ours.next.retain(other);
        if next.ask.is_some() {
            ours.next.push_back(next);
        }
    }

    /// A request that had a lease ahead is done; the next one may have it. A frozen
    /// worker does nothing.
    pub(super) fn pass_lease_on(&mut self, router: usize, ask: AskId) -> bool {
        let until = self.now + KEEP;
        let passed = self.routers[router].ahead.pass_on(ask, until);
        if passed {
            self.report.passed += 1;
            self.send(router, Message::Passed(ask));
            self.keep_tidy(router);
        }
        passed
    }

    pub(super) fn told(&mut self, connection: u64, output: Output) {
        let Some(router) = self.router_at(connection) else {
            return;
        };
        match output {
            Output::Answer(answer) => self.answered(router, answer),
            Output::Reserved(reserved) => self.store(router, &reserved),
            Output::Recall(recall) => self.recall(router, &recall),
            Output::Next(next) => self.is_next(router, next),
            Output::Recalled(_) | Output::Event(_) | Output::ToPeer(..) => {}
        }
    }

    fn store(&mut self, router: usize, reserved: &Reserved) {
        let ahead = &mut self.routers[router].ahead;
        let name = ahead.orders.remove(&reserved.first);
        let (name, made) = name.expect("somebody ordered it");
        if self.now > made + LATE {
            // It stood still, and does not know what has changed since.
            for (ask, _) in (reserved.first.0..).zip(&reserved.dynos) {
                self.send(router, Message::Cancel(AskId(ask)));
            }
            return;
        }
        let leases = ahead.leases.entry(name).or_default();
        for (ask, dyno) in (reserved.first.0..).zip(&reserved.dynos) {
            leases.push_back(Lease {
                ask: AskId(ask),
                dyno: dyno.clone(),
                until: self.now + KEEP,
            });
        }
    }

    fn recall(&mut self, router: usize, recall: &Recall) {
        let told = self.routers[router].ahead.tell(self.now);
        self.send(router, Message::Taken(told));
        self.give_back(router, |lease| recall.apps.contains(&lease.dyno.app));
        let next = &mut self.routers[router].next;
        next.retain(|next| !recall.apps.contains(&next.app));
        self.send(router, Message::Recalled(recall.recall));
    }

    fn give_back(&mut self, router: usize, unwanted: impl Fn(&Lease) -> bool) {
        for ask in self.routers[router].ahead.give_back(unwanted) {
            self.report.unused += 1;
            self.send(router, Message::Cancel(ask));
        }
    }

    fn keep_tidy(&mut self, router: usize) {
        let ours = &mut self.routers[router];
        if !ours.ahead.is_empty() && !ours.ahead.tidying {
            ours.ahead.tidying = true;
            let worker = ours.worker;
            self.after(TIDY, Event::Tidy { router, worker });
        }
    }

    pub(super) fn tidy(&mut self, router: usize, worker: WorkerId) {
        if self.routers[router].worker != worker {
            return;
        }
        let now = self.now;
        self.routers[router].ahead.tidying = false;
        self.give_back(router, |lease| lease.until <= now);
        let told = self.routers[router].ahead.tell(now.before(TELL_AFTER));
        if !told.is_empty() {
            self.send(router, Message::Taken(told));
        }
        self.keep_tidy(router);
    }

    /// The worker is stopped for a moment, or waits for its disk.
    pub(super) fn freeze(&mut self, router: usize) {
        let long = self.chance(30.0);
        let span = self.rng.random_range(1..if long { 2_000 } else { 30 });
        let ours = &mut self.routers[router];
        if ours.connection.is_none() || ours.frozen.is_some() {
            return;
        }
        ours.frozen = Some(Vec::new());
        let worker = ours.worker;
        self.report.frozen += 1;
        self.say(|| format!("worker {worker:?} stands still for {span} ms"));
        self.after(millis(span), Event::Thaw { router, worker });
    }

    pub(super) fn thaw(&mut self, router: usize, worker: WorkerId) {
        if self.routers[router].worker != worker {
            return;
        }
        self.say(|| format!("worker {worker:?} goes on"));
        self.routers[router].doubt();
        // What can be passed on can be for a short while only.
        let told = self.routers[router].ahead.tell(self.now);
        self.send(router, Message::Taken(told));
        for event in self.routers[router].frozen.take().unwrap_or_default() {
            // Its client did not wait so long; and what is decided now must not
            // meet what was decided that long ago.
            if let Event::ToRouter(_, Output::Answer(answer)) = &event {
                self.client_leaves(router, worker, answer.ask);
            }
            self.at_router(event);
        }
    }

    /// Everything that was reserved came back: once routers have heard that nobody is next
    /// any more, a change has nothing to wait for.
    pub(super) fn nothing_is_reserved(&mut self) {
        for app in 0..APPS {
            let _ = self.maintain(app, false);
            let mesh = self.sidecar.mesh.as_mut().unwrap();
            while let Some(output) = mesh.poll_output() {
                if let Output::Recall(recall) = output {
                    mesh.recalled(recall.session, recall.recall);
                }
            }
            assert_eq!(self.maintain(app, true), Ok(vec![]));
        }
    }

    fn maintain(&mut self, app: usize, on: bool) -> Result<Vec<RecallId>, ChangeError> {
        let set = vec![Operation::SetMaintenance(on)];
        self.sidecar.change(&app_name(app), set, self.now)
    }
}
