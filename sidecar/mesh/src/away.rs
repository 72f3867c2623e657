//! Requests that another sidecar decides about: the owner of their app's shard.
//!
//! Here is what they are, since their routers are connected to this sidecar: who asked,
//! when it arrived, which lease it has. So whoever the owner is, or will be, can be
//! asked anew and told what is held; a request keeps its place by the time of its
//! arrival.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    Answer, AppKey, AskId, DynoKey, Mesh, Outcome, Output, PeerId, Prefer, Refusal, Route,
    SessionKey, Shard, Time, checkout::Decision, numbers::Number, owners::Gate, queue::Request,
    session::Entry,
};

/// What an owner is asked and told, over this sidecar's session with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToPeer {
    /// The first word on each link.
    Hello(Held),
    /// May this request have a dyno?
    Ask(FarAsk),
    /// The client went away.
    Cancel(AskId),
    /// A lease ended.
    Checkin(AskId, Outcome),
    /// Owners have changed: so much is held here of what is the peer's now.
    Report(Held),
    /// The same of another one, which is out of reach: by whoever gave it the leases.
    Vouch(PeerId, Held),
}

/// All leases of the shards that are the peer's, as of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The epoch.
    pub epoch: u64,
    /// These are all; otherwise they come to what was said before, ...
    pub whole: bool,
    /// ... and are all of these shards.
    pub shards: BTreeSet<Shard>,
    /// Each with its dyno's instance.
    pub leases: Vec<(AskId, Box<str>)>,
    /// In the first word on a link, also those of shards that are not the peer's in this
    /// epoch, this sidecar's own among them: it may not have read as far, and give out dynos
    /// as long as it may.
    pub others: Vec<(AskId, Box<str>)>,
}

impl Held {
    /// Said by who gave these out, not by who holds them.
    pub(crate) fn is_vouched(&self) -> bool {
        !self.whole && !self.shards.is_empty()
    }
}

/// As [`crate::Ask`], of a request at another sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarAsk {
    /// Unique among what its sidecar asks for.
    pub id: AskId,
    /// The app.
    pub app: Arc<str>,
    /// How long ago it arrived.
    pub waited: Duration,
    /// Of that, the time with dynos.
    pub served: Duration,
    /// It was held up, through no fault of the app.
    pub held: bool,
    /// Instances that failed it.
    pub tried: Vec<Box<str>>,
    /// Which dyno it would rather have.
    pub prefer: Option<Prefer>,
    /// Which client it is from, likewise.
    pub client: u64,
}

/// An owner's answer, as [`Answer`].
#[derive(Clone, Debug, PartialEq)]
pub struct FarAnswer {
    /// Which ask.
    pub ask: AskId,
    /// Time in the queue.
    pub wait: Duration,
    /// Requests still waiting for the app.
    pub depth: u32,
    /// Dynos of the app that have a request.
    pub in_use: u32,
    /// A dyno, or why not.
    pub result: Result<Route, Refusal>,
}

/// Asks, and the instances that they have.
pub(crate) type Leases = Vec<(AskId, Box<str>)>;

/// A request that is decided elsewhere, or a lease from there.
#[derive(Debug)]
pub(crate) struct AwayRequest {
    pub(crate) request: Request,
    /// Who was asked, or is to be told.
    pub(crate) owner: Option<PeerId>,
    /// Who else has been told of it, its owners of before among them.
    pub(crate) number: Number,
    /// The instance of the dyno that it has.
    pub(crate) lease: Option<Box<str>>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Away {
    pub(crate) last: u64,
    pub(crate) requests: BTreeMap<AskId, AwayRequest>,
}

impl Away {
    pub(crate) fn is_lease(&self, id: AskId) -> bool {
        self.requests.get(&id).is_some_and(|it| it.lease.is_some())
    }

    /// Leases that are this peer's, and all others.
    pub(crate) fn leases(&self, peer: PeerId) -> (Leases, Leases) {
        let all = self.requests.iter();
        let leases = all.filter_map(|(id, away)| Some((away, (*id, away.lease.clone()?))));
        let (of, others): (Vec<_>, Vec<_>) = leases.partition(|(it, _)| it.owner == Some(peer));
        let bare = |leases: Vec<(&AwayRequest, _)>| leases.into_iter().map(|it| it.1).collect();
        (bare(of), bare(others))
    }
}

impl Mesh {
    /// The dyno that it has, as far as is known here.
    pub(crate) fn leased_away(&self, id: AskId) -> Option<DynoKey> {
        let lease = self.away.requests.get(&id)?.lease.as_ref()?;
        self.instances.get(lease).copied()
    }

    fn add_away(&mut self, away: AwayRequest) {
        let id = away.number.id;
        let request = &away.request;
        self.apps[request.app.0 as usize].away += 1;
        self.end_idle(request.app);
        if let Some(session) = self.sessions.get_mut(request.session) {
            session.entries.insert(request.ask, Entry::Away(id));
        }
        self.away.requests.insert(id, away);
    }

    /// The session's entry is the caller's.
    fn remove_away(&mut self, id: AskId) -> Option<AwayRequest> {
        let away = self.away.requests.remove(&id)?;
        self.apps[away.request.app.0 as usize].away -= 1;
        Some(away)
    }

    pub(crate) fn tell(&mut self, peer: Option<PeerId>, message: ToPeer) {
        if let Some(peer) = peer.filter(|peer| self.owners.links.contains(peer)) {
            self.outputs.push_back(Output::ToPeer(peer, message));
        }
    }

    /// Asks the owner about a request.
    pub(crate) fn ask_away(&mut self, request: Request, owner: PeerId, now: Time) {
        let number = self.next_number();
        let far = FarAsk {
            id: number.id,
            app: self.apps[request.app.0 as usize].name.clone(),
            waited: now.since(request.arrived),
            served: request.served,
            held: request.held,
            tried: request.tried.clone(),
            prefer: request.prefer,
            client: request.client,
        };
        let away = AwayRequest {
            request,
            owner: Some(owner),
            number,
            lease: None,
        };
        self.add_away(away);
        self.tell(Some(owner), ToPeer::Ask(far));
    }

    /// An owner has decided. What nobody asks any more was cancelled, or is asked
    /// elsewhere.
    pub fn peer_answer(&mut self, peer: PeerId, answer: FarAnswer, now: Time) {
        let Some(away) = self.away.requests.get_mut(&answer.ask) else {
            return;
        };
        if away.owner != Some(peer) || away.lease.is_some() {
            return;
        }
        let (session, ask, key) = (away.request.session, away.request.ask, away.request.app);
        match &answer.result {
            Ok(route) => away.lease = Some(route.dyno.instance.clone()),
            Err(_) => {
                self.remove_away(answer.ask);
                if let Some(session) = self.sessions.get_mut(session) {
                    session.entries.remove(&ask);
                }
            }
        }
        self.note_active(key, now);
        let app = &self.apps[key.0 as usize];
        self.outputs.push_back(Output::Answer(Answer {
            session,
            ask,
            app: answer.result.is_err().then(|| app.name.clone()),
            wait: answer.wait,
            depth: answer.depth,
            in_use: answer.in_use,
            queue_headers: app.terms().queue_headers,
            result: answer.result,
        }));
    }

    /// A session holds this lease, and its app's owner is another one, which has to be
    /// told.
    pub(crate) fn hold_away(&mut self, session: SessionKey, ask: AskId, dyno: DynoKey) -> AskId {
        let number = self.take_number(session, ask);
        let number = number.unwrap_or_else(|| self.next_number());
        let id = number.id;
        let app = self.dynos[dyno.0 as usize].app;
        let instance = self.info(dyno).instance.clone();
        let owner = self.owners.owner(self.apps[app.0 as usize].shard);
        let request = Request {
            session,
            ask,
            app,
            // It is in no queue any more.
            arrived: Time::ZERO,
            served: Duration::ZERO,
            held: false,
            tried: Vec::new(),
            prefer: None,
            client: 0,
            passes_on: false,
        };
        let away = AwayRequest {
            request,
            owner,
            number,
            lease: Some(instance),
        };
        self.add_away(away);
        id
    }

    /// A worker has come with a lease of which the owner may not know.
    pub(crate) fn tell_of_lease(&mut self, id: AskId) {
        let away = self.away.requests.get(&id);
        let Some((owner, instance)) = away.and_then(|it| Some((it.owner, it.lease.clone()?)))
        else {
            return;
        };
        if let Some(owner) = owner {
            self.tell_more(owner, vec![(id, instance)]);
        }
    }

    /// These leases come to what the peer was told before.
    pub(crate) fn tell_more(&mut self, peer: PeerId, leases: Leases) {
        let held = Held {
            epoch: self.owners.epoch(),
            whole: false,
            shards: BTreeSet::new(),
            leases,
            others: Vec::new(),
        };
        self.tell(Some(peer), ToPeer::Report(held));
    }

    /// A worker that comes again holds this lease still, under its new session.
    pub(crate) fn keep_away(&mut self, old: SessionKey, new: SessionKey, ask: AskId) -> bool {
        let entry = self.sessions.get(old).and_then(|it| it.entries.get(&ask));
        let Some(Entry::Away(id)) = entry.copied() else {
            return false;
        };
        let Some(away) = self.away.requests.get_mut(&id) else {
            return false;
        };
        if away.lease.is_none() {
            return false;
        }
        away.request.session = new;
        if let Some(old) = self.sessions.get_mut(old) {
            old.entries.remove(&ask);
        }
        if let Some(new) = self.sessions.get_mut(new) {
            new.entries.insert(ask, Entry::Away(id));
        }
        true
    }

    /// The client left, or the lease is given back.
    pub(crate) fn release_away(&mut self, id: AskId, now: Time) {
        self.end_away(id, ToPeer::Cancel(id), now);
    }

    /// The lease has ended so.
    pub(crate) fn checkin_away(&mut self, id: AskId, outcome: Outcome, now: Time) {
        self.end_away(id, ToPeer::Checkin(id, outcome), now);
    }

    fn end_away(&mut self, id: AskId, word: ToPeer, now: Time) {
        if let Some(mut away) = self.remove_away(id) {
            self.note_active(away.request.app, now);
            self.tell(away.owner, word);
            away.number.told.retain(|peer| Some(*peer) != away.owner);
            self.tell_of_end(&away.number);
            self.forget_if_deleted(away.request.app);
        }
    }

    /// Leases of these apps are where their owner is: here they are load, elsewhere
    /// they are only known of. What is held for an owner that can't be reached stays
    /// as it is.
    pub(crate) fn settle_leases(&mut self, apps: &BTreeSet<AppKey>, now: Time) {
        for (session, ask, entry) in self.entries_of(apps) {
            match entry {
                Entry::Leased(dyno) => self.send_lease(session, ask, dyno, now),
                Entry::Away(id) => self.fetch_lease(session, ask, id),
                Entry::Waiting(_) | Entry::Reserved(_) | Entry::Passed(_) => {}
            }
        }
    }

    /// What sessions have of these apps, in order.
    fn entries_of(&self, apps: &BTreeSet<AppKey>) -> Vec<(SessionKey, AskId, Entry)> {
        if apps.is_empty() {
            return Vec::new();
        }
        let mut entries = Vec::new();
        for (key, session) in self.sessions.iter() {
            let all = session.entries.iter();
            let of = all.filter(|(_, entry)| apps.contains(&self.app_of(**entry)));
            entries.extend(of.map(|(ask, entry)| (key, *ask, *entry)));
        }
        entries.sort_unstable_by_key(|(session, ask, _)| (*session, *ask));
        entries
    }

    fn app_of(&self, entry: Entry) -> AppKey {
        match entry {
            Entry::Leased(dyno) | Entry::Reserved(dyno) | Entry::Passed(dyno) => {
                self.dynos[dyno.0 as usize].app
            }
            Entry::Waiting(waiter) => self.waiters[waiter.0 as usize].request.app,
            Entry::Away(id) => self.away.requests[&id].request.app,
        }
    }

    /// A lease of an app that is not this sidecar's any more.
    pub(crate) fn send_lease(&mut self, session: SessionKey, ask: AskId, dyno: DynoKey, now: Time) {
        let key = self.dynos[dyno.0 as usize].app;
        let exact = self.apps[key.0 as usize].terms().exact.is_some();
        let Some(holder) = self.sessions.get(session) else {
            return;
        };
        let by_peer = holder.peer.is_some();
        if self.is_own(key) && (exact || !by_peer) {
            return;
        }
        // A peer tells the owner itself.
        let reachable = matches!(self.gate(key, now), Gate::Away(_));
        if !by_peer && !reachable {
            return;
        }
        self.take_entry(session, ask);
        if !by_peer {
            self.hold_away(session, ask, dyno);
        }
        self.give_back(dyno, now);
    }

    /// A lease from elsewhere, of an app that may be this sidecar's now.
    fn fetch_lease(&mut self, session: SessionKey, ask: AskId, id: AskId) {
        let Some(away) = self.away.requests.get_mut(&id) else {
            return;
        };
        let Some(instance) = away.lease.clone() else {
            return;
        };
        let key = away.request.app;
        let app = &self.apps[key.0 as usize];
        let owner = self.owners.owner(app.shard);
        let before = std::mem::replace(&mut away.owner, owner);
        // It may have read further, and be the owner again: it is told in the end.
        if let Some(before) = before.filter(|_| before != owner) {
            away.number.note(before);
        }
        let exact = app.terms().exact.is_some();
        if !self.is_own(key) {
            return;
        }
        let Some(away) = self.remove_away(id) else {
            return;
        };
        self.take_entry(session, ask);
        let dyno = self.instances.get(&instance).copied();
        if let Some(dyno) = dyno
            && let Some(holder) = self.sessions.get_mut(session)
        {
            holder.entries.insert(ask, Entry::Leased(dyno));
            self.take(dyno);
        }
        // Unless nobody decides for others any more. (A dyno that is not known here is one of
        // which this sidecar has not read yet.)
        if exact && (dyno.is_some() || self.hold_strange(session, ask, instance)) {
            self.keep_number(session, ask, away.number);
        } else {
            self.tell(before, ToPeer::Cancel(id));
            self.tell_of_end(&away.number);
        }
        self.forget_if_deleted(key);
    }

    /// Requests of these apps wait where they are decided about.
    pub(crate) fn settle_requests(&mut self, apps: &BTreeSet<AppKey>, now: Time) {
        for (_, _, entry) in self.entries_of(apps) {
            match entry {
                Entry::Waiting(waiter) => {
                    let request = &self.waiters[waiter.0 as usize].request;
                    let session = self.sessions.get(request.session);
                    let by_peer = session.is_none_or(|session| session.peer.is_some());
                    if let Gate::Away(owner) = self.gate(request.app, now)
                        && !by_peer
                    {
                        let mut request = self.leave_queue(waiter);
                        request.held = true;
                        self.ask_away(request, owner, now);
                    }
                }
                Entry::Away(id) => self.ask_elsewhere(id, now),
                Entry::Leased(_) | Entry::Reserved(_) | Entry::Passed(_) => {}
            }
        }
        for key in apps {
            // One that was deleted may have had its last lease.
            if self.apps.get(key.0 as usize).is_some_and(|it| !it.deleted) {
                self.serve_queue(*key, now);
            }
        }
    }

    /// A request that waits at an owner that is none any more, or is out of reach.
    fn ask_elsewhere(&mut self, id: AskId, now: Time) {
        let away = &self.away.requests[&id];
        let gate = self.gate(away.request.app, now);
        if away.lease.is_some() || away.owner.map(Gate::Away) == Some(gate) {
            return;
        }
        let Some(mut away) = self.remove_away(id) else {
            return;
        };
        self.tell(away.owner, ToPeer::Cancel(id));
        away.request.held = true;
        if let Some(session) = self.sessions.get_mut(away.request.session) {
            session.entries.remove(&away.request.ask);
        }
        match gate {
            Gate::Away(owner) => self.ask_away(away.request, owner, now),
            Gate::Open | Gate::Closed => self.enqueue(away.request, Decision::WaitBusy, now),
        }
    }

    /// The app is deleted: nobody has to decide about its requests any more.
    pub(crate) fn refuse_away(&mut self, key: AppKey, now: Time) {
        let all = self.away.requests.iter();
        let waiting = all.filter(|(_, it)| it.request.app == key && it.lease.is_none());
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            let Some(away) = self.remove_away(id) else {
                continue;
            };
            self.tell(away.owner, ToPeer::Cancel(id));
            self.take_entry(away.request.session, away.request.ask);
            self.refuse(&away.request, Refusal::UnknownName, now);
        }
    }

    /// This sidecar owns the app's shard.
    pub(crate) fn is_own(&self, key: AppKey) -> bool {
        let app = &self.apps[key.0 as usize];
        app.terms().exact.is_none() || self.owners.is_mine(app.shard)
    }
}
