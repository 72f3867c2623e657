//! Leases ahead: a router with much to do for an app may *reserve* some before
//! their requests are there, so that these need not wait for an answer.
//!
//! Only where it takes nothing from anybody: while nobody waits, for an app without
//! a limit, whose requests prefer no dyno, from dynos without one or with half of a
//! high one to spare. A reserved lease counts as load like any other when dynos are
//! chosen, and not when people look.
//!
//! One whose request is done may be *passed* on to the next without a word, and counts as
//! a request then, whoever looks. So may one that was asked for, on the same terms, if its
//! router says that many come.
//!
//! When anything about the app changes, or somebody has to wait after all, what is
//! reserved or passed on is *recalled*: routers give back what no request has yet, and say
//! when they have. One that hangs is not waited for for long: it cannot use them when it
//! goes on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    AppKey, AskId, DynoKey, Mesh, Output, Policy, SessionKey, Time, Update, name,
    output::{Recall, Reserved},
    queue::Request,
    session::Entry,
    timers::Timer,
};

/// A limit that is high enough for leases ahead: so many would have to come at once
/// before somebody waits for one that is not used.
const HIGH_LIMIT: u32 = 64;

/// And so many have to have a place in the queue: nobody is refused for the sake of what is
/// not used before it can be recalled.
const LONG_QUEUE: u32 = 32;

/// For so long a lease may be passed on. Then its dyno is chosen anew, with what this
/// knows of the others' load.
const AGAIN: Duration = Duration::from_millis(250);

/// With [`Policy::Random`] each request has a dyno that was chosen for it alone.
fn again(policy: Policy) -> Duration {
    match policy {
        Policy::Random => Duration::ZERO,
        Policy::LeastLoad | Policy::IdleOnly => AGAIN,
    }
}

/// Names a recall. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecallId(pub u64);

/// Recalls under way.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    last: u64,
    open: BTreeMap<RecallId, Open>,
}

/// A recall under way.
#[derive(Debug)]
struct Open {
    /// It is over then, whoever has not answered.
    until: Time,
    /// Who has not answered yet.
    waiting: Vec<SessionKey>,
    apps: Arc<[Arc<str>]>,
    /// What led to one of the apps before.
    lost: Vec<Box<str>>,
}

impl Open {
    /// Until it is over, some router may do what this update says otherwise.
    fn concerns(&self, update: &Update) -> bool {
        let domains = match update {
            Update::Put(spec) if !self.lost.is_empty() => &spec.domains[..],
            _ => &[],
        };
        let mut lost = self.lost.iter();
        self.apps.iter().any(|app| **app == *update.app())
            || lost.any(|lost| domains.iter().any(|domain| name::overlap(lost, domain)))
    }
}

impl Recalls {
    fn begin(&mut self, open: Open) -> RecallId {
        self.last += 1;
        let recall = RecallId(self.last);
        self.open.insert(recall, open);
        recall
    }

    /// When each is over, whoever answers.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (RecallId, Time)> {
        self.open.iter().map(|(recall, open)| (*recall, open.until))
    }

    /// What has to be over before an update is in effect, beside this one.
    pub(crate) fn before(&self, update: &Update, own: Option<RecallId>) -> Vec<RecallId> {
        let concerns =
            |(recall, open): &(&RecallId, &Open)| own == Some(**recall) || open.concerns(update);
        self.open
            .iter()
            .filter(concerns)
            .map(|(recall, _)| *recall)
            .collect()
    }

    /// Whether this recall is over with that answer. Takes no longer when a router that
    /// hangs keeps many of them open.
    fn answered(&mut self, session: SessionKey, recall: RecallId) -> bool {
        let Some(open) = self.open.get_mut(&recall) else {
            return false;
        };
        open.waiting.retain(|who| *who != session);
        open.waiting.is_empty()
    }

    /// Which recalls are over when nobody waits for this session any more.
    fn left(&mut self, session: SessionKey) -> Vec<RecallId> {
        let all: Vec<_> = self.open.keys().copied().collect();
        let over = all.into_iter();
        over.filter(|recall| self.answered(session, *recall))
            .collect()
    }
}

impl Mesh {
    /// Leases for up to `count` requests that may come for this name; the first of
    /// them is named `first`, and so on. Answered at once with
    /// [`Output::Reserved`], with fewer or none if the app is not one for that. A
    /// session that broke gets nothing. Says whether the numbers were free.
    pub fn reserve(&mut self, session: SessionKey, first: AskId, count: u32, name: &str) -> bool {
        let Some(asking) = self.sessions.get(session) else {
            return false;
        };
        let count = count.min(self.limits.reserved);
        let end = first.0.saturating_add(count.into());
        let used = |ask| asking.entries.contains_key(&AskId(ask));
        if asking.lost_until.is_some() || (first.0..end).any(used) {
            return false;
        }
        let room = self.limits.asks_per_session.saturating_sub(asking.len());
        let app = self.find(name).filter(|key| self.is_open(*key));
        let mut dynos = Vec::new();
        let mut limited = None;
        if let Some(app) = app {
            for ask in (first.0..end).take(room) {
                let Some(dyno) = self.spare_dyno(app, &mut limited) else {
                    break;
                };
                self.reserve_one(dyno, session, AskId(ask));
                self.take(dyno);
                dynos.push(self.info(dyno).clone());
            }
        }
        let app = app.map(|key| &self.apps[key.0 as usize]);
        self.outputs.push_back(Output::Reserved(Reserved {
            session,
            first,
            in_use: app.map_or(0, |app| app.in_use),
            others: app.map_or(0, |app| app.candidates().saturating_sub(1)),
            queue_headers: app.is_some_and(|app| app.terms().queue_headers),
            limited: limited.unwrap_or(false),
            again: app.map_or(Duration::ZERO, |app| again(app.terms().policy)),
            dynos,
        }));
        true
    }

    /// Whoever comes is served, as far as the app is concerned.
    fn is_open(&self, key: AppKey) -> bool {
        let app = &self.apps[key.0 as usize];
        let terms = app.terms();
        let limited = terms.max_requests.is_some() || terms.exact.is_some() || terms.rated;
        // Which dyno it is to be is not known before the request.
        let open = app.sticky.is_empty() && !app.maintenance && !limited;
        open && !self.is_recovering() && app.queue.is_empty()
    }

    /// One of the best dynos, if it has room. All of one reservation have a limit,
    /// or none has.
    fn spare_dyno(&mut self, app: AppKey, limited: &mut Option<bool>) -> Option<DynoKey> {
        let app = &self.apps[app.0 as usize];
        let key = app.pool.pick(&mut self.rng)?;
        let limit = self.dynos[key.0 as usize].limit(app.terms());
        let alike = *limited.get_or_insert(limit.is_some()) == limit.is_some();
        (alike && self.has_room(key)).then_some(key)
    }

    /// So much that one lease that is not used keeps nobody waiting.
    fn has_room(&self, dyno: DynoKey) -> bool {
        let dyno = &self.dynos[dyno.0 as usize];
        let app = &self.apps[dyno.app.0 as usize];
        dyno.limit(app.terms()).is_none_or(|limit| {
            limit >= HIGH_LIMIT && dyno.sum() < limit / 2 && app.depth() >= LONG_QUEUE
        })
    }

    fn reserve_one(&mut self, dyno: DynoKey, session: SessionKey, ask: AskId) {
        self.put_ahead(session, ask, Entry::Reserved(dyno), dyno);
        let its = &mut self.dynos[dyno.0 as usize];
        its.reserved += 1;
        self.apps[its.app.0 as usize].reserved += 1;
        self.reserved += 1;
    }

    /// For how long a lease of this dyno, which a request asks for, may be passed on.
    pub(crate) fn may_pass_on(&self, request: &Request, dyno: DynoKey) -> Duration {
        let any = request.takes_any();
        match request.passes_on && any && self.is_open(request.app) && self.has_room(dyno) {
            true => again(self.apps[request.app.0 as usize].terms().policy),
            false => Duration::ZERO,
        }
    }

    /// A session has a lease that can be recalled.
    pub(crate) fn put_ahead(
        &mut self,
        session: SessionKey,
        ask: AskId,
        entry: Entry,
        dyno: DynoKey,
    ) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.entries.insert(ask, entry);
            *session.ahead.entry(dyno).or_default() += 1;
        }
        let dyno = &mut self.dynos[dyno.0 as usize];
        dyno.ahead += 1;
        self.apps[dyno.app.0 as usize].ahead += 1;
    }

    /// A request has this lease now, and no other one will.
    pub fn taken(&mut self, session: SessionKey, ask: AskId, now: Time) {
        // Since it was reserved, another sidecar may have come to decide for the app.
        if let Some(dyno) = self.note_taken(session, ask)
            && !self.is_own(self.dynos[dyno.0 as usize].app)
        {
            self.send_lease(session, ask, dyno, now);
            let entry = self
                .sessions
                .get(session)
                .and_then(|it| it.entries.get(&ask));
            if let Some(Entry::Away(id)) = entry.copied() {
                self.tell_of_lease(id);
            }
        }
    }

    /// Returns whose it is, if it could be recalled.
    pub(crate) fn note_taken(&mut self, session: SessionKey, ask: AskId) -> Option<DynoKey> {
        let holder = self.sessions.get_mut(session)?;
        let entry = holder.entries.get_mut(&ask)?;
        let dyno = match entry {
            Entry::Reserved(dyno) | Entry::Passed(dyno) => *dyno,
            _ => return None,
        };
        let before = std::mem::replace(entry, Entry::Leased(dyno));
        holder.less_ahead(dyno);
        self.settle_ahead(before);
        Some(dyno)
    }

    /// A request has, or had, this one for itself; its session knows.
    pub(crate) fn settle_ahead(&mut self, entry: Entry) {
        let (Entry::Reserved(dyno) | Entry::Passed(dyno)) = entry else {
            return;
        };
        if let Entry::Reserved(_) = entry {
            self.unreserve(dyno);
        }
        self.end_ahead(dyno);
        self.count_routed(dyno, 1);
    }

    /// One request after the other has this lease, which was reserved.
    pub fn passed(&mut self, session: SessionKey, ask: AskId) {
        let holder = self.sessions.get_mut(session);
        let entry = holder.and_then(|holder| holder.entries.get_mut(&ask));
        if let Some(entry) = entry
            && let Entry::Reserved(dyno) = *entry
        {
            *entry = Entry::Passed(dyno);
            self.unreserve(dyno);
            self.note_requests(self.dynos[dyno.0 as usize].app);
        }
    }

    /// So many requests had this lease, one after the other, before the one that has it
    /// now. To be said before its end.
    pub fn served(&mut self, session: SessionKey, ask: AskId, requests: u32) {
        let holder = self.sessions.get(session);
        if let Some(Entry::Reserved(dyno) | Entry::Passed(dyno) | Entry::Leased(dyno)) =
            holder.and_then(|holder| holder.entries.get(&ask))
        {
            self.count_routed(*dyno, requests);
        }
    }

    pub(crate) fn count_routed(&mut self, dyno: DynoKey, requests: u32) {
        let app = self.dynos[dyno.0 as usize].app;
        self.apps[app.0 as usize].counters.routed += u64::from(requests);
        self.counters.routed += u64::from(requests);
        self.note_requests(app);
    }

    /// It counts like any other from here on.
    pub(crate) fn unreserve(&mut self, dyno: DynoKey) {
        self.note_untold(dyno);
        let dyno = &mut self.dynos[dyno.0 as usize];
        dyno.reserved -= 1;
        self.apps[dyno.app.0 as usize].reserved -= 1;
        self.reserved -= 1;
    }

    /// It cannot be recalled any more.
    pub(crate) fn end_ahead(&mut self, dyno: DynoKey) {
        let dyno = &mut self.dynos[dyno.0 as usize];
        dyno.ahead -= 1;
        self.apps[dyno.app.0 as usize].ahead -= 1;
    }

    /// Wants back what is ahead of these apps, if anything is. When every
    /// router has answered or is gone, [`Output::Recalled`] says so. `lost` led to one
    /// of them before.
    pub(crate) fn recall(
        &mut self,
        apps: &[AppKey],
        lost: Vec<Box<str>>,
        now: Time,
    ) -> Option<RecallId> {
        let is_live = |key: &AppKey| self.apps.contains(key.0 as usize);
        let apps: Vec<_> = apps.iter().copied().filter(is_live).collect();
        let mut holders = Vec::new();
        for app in &apps {
            holders.extend(self.forget_next(*app));
        }
        let ahead = |app: &AppKey| self.apps[app.0 as usize].ahead > 0;
        if apps.iter().any(ahead) {
            let of = |dyno: &DynoKey| apps.contains(&self.dynos[dyno.0 as usize].app);
            let all = self.sessions.iter();
            let have = all.filter(|(_, session)| session.ahead.keys().any(of));
            holders.extend(have.map(|(key, _)| key));
        }
        if holders.is_empty() {
            return None;
        }
        holders.sort_unstable();
        holders.dedup();
        let names = apps
            .iter()
            .map(|app| self.apps[app.0 as usize].name.clone());
        let names: Arc<[Arc<str>]> = names.collect();
        let recall = self.begin_recall(holders.clone(), names.clone(), lost, now);
        for session in holders {
            self.outputs.push_back(Output::Recall(Recall {
                session,
                recall,
                apps: names.clone(),
                names: Arc::default(),
                ruled: self.has_rules(),
                pages: false,
                paged: self.has_pages(),
            }));
        }
        for app in apps {
            self.name_next(app);
        }
        Some(recall)
    }

    /// A recall that these have to answer.
    pub(crate) fn begin_recall(
        &mut self,
        waiting: Vec<SessionKey>,
        apps: Arc<[Arc<str>]>,
        lost: Vec<Box<str>>,
        now: Time,
    ) -> RecallId {
        let until = now + self.limits.recall_patience;
        let recall = self.recalls.begin(Open {
            until,
            waiting,
            apps,
            lost,
        });
        self.timers.set(until, Timer::Recall(recall));
        recall
    }

    /// A router has given back what was recalled and not taken.
    pub fn recalled(&mut self, session: SessionKey, recall: RecallId) {
        if self.recalls.answered(session, recall) {
            self.end_recall(recall);
        }
    }

    pub(crate) fn end_recall(&mut self, recall: RecallId) {
        if let Some(open) = self.recalls.open.remove(&recall) {
            self.timers.unset(open.until, Timer::Recall(recall));
            self.outputs.push_back(Output::Recalled(recall));
        }
    }

    /// A session that is over has nothing to give back.
    pub(crate) fn recall_nothing(&mut self, session: SessionKey) {
        for recall in self.recalls.left(session) {
            self.end_recall(recall);
        }
    }

    /// A recall that not everybody has answered.
    pub fn is_recalling(&self, recall: RecallId) -> bool {
        self.recalls.open.contains_key(&recall)
    }
}

#[cfg(test)]
mod tests;
