//! What a router has asked and holds, whether its sidecar is in reach or not.
//!
//! Sans-IO: it is told what happens to requests and to the link, and keeps the
//! messages to send. The rules that make loads exact are here: each ask ends in
//! one answer, one cancel or one expiry; each lease in one checkin; and after a
//! break the hello says what is held *now*, then every request that still waits
//! asks again in the order of arrival.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use dynomesh_proto::{
    PROTOCOL,
    v1::{
        self, Ask, Cancel, Hello, Outcome, RouterMessage, SidecarMessage, Taken, answer,
        router_message::Kind, sidecar_message,
    },
};
use rustc_hash::FxHashMap;

use crate::{
    answer::{Answer, Dynos},
    reserve::{LATE, Owner, Reserves},
    sticky::Prefer,
    tally::Tally,
    tap::Taps,
    trace::Traces,
};
use next::Lines;

mod ahead;
mod lease;
mod next;
mod tally;
mod tap;
mod trace;

pub use lease::Ticket;
use lease::{Haste, Held, Leased, Leases};

/// Milliseconds on the router's clock.
pub type Millis = u64;

/// Messages that may wait to be sent. A link that lets so many pile up is as
/// good as broken; it is made anew, and the hello replaces them all.
const MAX_OUTBOX: usize = 100_000;

/// Who this router is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host, for people.
    pub node: String,
    /// Random, for the life of the worker.
    pub worker: u64,
    /// Process id.
    pub pid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Since when.
    Down(Millis),
    /// Hello was said and nothing came back yet; the sidecar is out of reach
    /// since then. (A process that hangs still accepts connections.)
    Greeting(Millis),
    Up,
}

impl Link {
    fn down_since(self) -> Option<Millis> {
        match self {
            Self::Down(since) | Self::Greeting(since) => Some(since),
            Self::Up => None,
        }
    }
}

/// A request that wants a dyno. `T` is the caller's own name for it.
#[derive(Clone, Debug)]
pub struct Request<T> {
    /// Comes back with the answer.
    pub token: T,
    /// Which app it is for: lower case, no port.
    pub name: Arc<str>,
    /// When it came to this router.
    pub arrived: Millis,
    /// Time since then that it was with dynos, which failed it.
    pub served: Millis,
    /// The instances of these.
    pub tried: Vec<Arc<str>>,
    /// Which dyno it would rather have.
    pub prefer: Option<Prefer>,
    /// Which client it is from, where its app wants to know; 0: nobody says.
    pub client: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting<T> {
    request: Request<T>,
    since: Millis,
    /// Whose next request may have the lease that it gets.
    owner: Option<Owner>,
}

/// A request to be told something.
#[derive(Debug, PartialEq)]
pub enum Delivery<T> {
    /// The sidecar's answer. With a lease comes its ticket.
    Answer(T, Answer, Option<Ticket>),
    /// The sidecar was out of reach for too long.
    Expired(T),
}

/// The router's side of `Router.Session`.
#[derive(Debug)]
pub struct Session<T> {
    identity: Identity,
    outage: Duration,
    link: Link,
    /// Links so far.
    links: u64,
    /// Never zero, never used twice.
    last_ask: u64,
    /// By their asks, which is what the sidecar's answers have.
    waiting: FxHashMap<u64, Waiting<T>>,
    leases: Leases,
    dynos: Dynos,
    reserves: Reserves,
    lines: Lines,
    /// So many leases are to be ordered behind the next ask.
    wanted: u32,
    /// Requests whose leases the next ones may have, and since when.
    untold: VecDeque<(Ticket, Millis)>,
    /// Leases that were passed on for the first time, as the sidecar calls them.
    passed: Vec<u64>,
    outbox: VecDeque<RouterMessage>,
    /// Somebody waits for what is in there.
    pressing: bool,
    /// Requests that need no answer of the sidecar's to be refused.
    turned_away: VecDeque<(u64, T)>,
    tally: Tally,
    taps: Taps,
    traces: Traces,
}

impl<T: Clone> Session<T> {
    /// A session that has no link yet. A request may wait for `outage` without
    /// one.
    pub fn new(identity: Identity, outage: Duration, now: Millis) -> Self {
        Self {
            taps: Taps::new(identity.worker),
            identity,
            outage,
            link: Link::Down(now),
            links: 0,
            last_ask: 0,
            waiting: FxHashMap::default(),
            leases: Leases::default(),
            dynos: Dynos::default(),
            reserves: Reserves::default(),
            lines: Lines::default(),
            wanted: 0,
            untold: VecDeque::new(),
            passed: Vec::new(),
            outbox: VecDeque::new(),
            pressing: false,
            turned_away: VecDeque::new(),
            tally: Tally::default(),
            traces: Traces::default(),
        }
    }

    /// A request wants a dyno. Returns the number of the ask.
    pub fn ask(&mut self, request: Request<T>, now: Millis) -> u64 {
        let ask = self.next_ask();
        let any = request.prefer.is_none() && request.tried.is_empty();
        let owner = match self.link {
            Link::Up if any => self.reserves.owner(&request.name, now),
            _ => None,
        };
        if self.can_send() {
            // Before the sidecar has said anything, it counts as out of reach.
            let held = self.link != Link::Up;
            let message = request.message(ask, held, owner.is_some(), now);
            self.outbox.push_back(message);
            self.pressing = true;
        }
        match std::mem::take(&mut self.wanted) {
            0 => {}
            count => self.reserve(&request.name, count, now),
        }
        let waiting = Waiting {
            request,
            since: now,
            owner,
        };
        self.waiting.insert(ask, waiting);
        ask
    }

    fn next_ask(&mut self) -> u64 {
        self.last_ask += 1;
        self.last_ask
    }

    /// A request is to be refused, but not at this moment: the next
    /// [`Session::poll_turned_away`] gives it. Returns a number as of an ask.
    pub fn turn_away(&mut self, token: T) -> u64 {
        let ask = self.next_ask();
        self.turned_away.push_back((ask, token));
        ask
    }

    /// There are requests to be refused.
    pub fn turns_away(&self) -> bool {
        !self.turned_away.is_empty()
    }

    /// The next request to be refused.
    pub fn poll_turned_away(&mut self) -> Option<T> {
        self.turned_away.pop_front().map(|(_, token)| token)
    }

    /// The request is gone, or wants no answer any more. One that comes yet is dropped, and
    /// the lease of one that is there, and was told to nobody, is given back.
    pub fn cancel(&mut self, ask: u64) {
        if self.waiting.remove(&ask).is_some() {
            self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
        } else if let Some(ticket) = self.leases.find(ask) {
            self.decline(ticket);
        } else {
            self.turned_away.retain(|(number, _)| *number != ask);
        }
    }

    /// The request does not want its lease.
    pub fn decline(&mut self, ticket: Ticket) {
        if let Some(held) = self.leases.remove(ticket) {
            let (known, before) = held.known();
            self.send(ahead::unused(known, before), Haste::Pressing);
        }
    }

    /// The lease ends, as far as this request is concerned. Somebody who waits may get it at
    /// once.
    pub fn checkin(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Millis,
    ) -> Option<Delivery<T>> {
        if outcome == Outcome::Done {
            if self.pass_on(ticket, now) {
                return None;
            }
            if let handed_on @ Some(_) = self.hand_on(ticket, now) {
                return handed_on;
            }
        }
        let mut leased = match self.leases.remove(ticket) {
            Some(Held::Kept(leased)) => leased,
            Some(Held::Passable(reserved)) => Leased::unhurried(&reserved),
            None => return None,
        };
        match outcome {
            Outcome::Refused | Outcome::ConnectTimeout => {
                let dyno = &leased.dyno;
                self.give_back(|reserved| Arc::ptr_eq(&reserved.lease.dyno, dyno));
                leased.haste = Haste::Pressing;
            }
            _ => {}
        }
        self.send(leased.checkin(outcome), leased.haste);
        None
    }

    /// Says something that is no request's.
    pub fn say(&mut self, kind: Kind) {
        self.send(kind, Haste::Pressing);
    }

    fn send(&mut self, kind: Kind, haste: Haste) {
        if self.can_send() {
            self.pressing |= haste == Haste::Pressing;
            self.outbox.push_back(RouterMessage { kind: Some(kind) });
        }
    }

    fn can_send(&self) -> bool {
        !matches!(self.link, Link::Down(_))
    }

    /// There is a connection: hello, then every request that waits.
    pub fn connected(&mut self, now: Millis) {
        self.link = Link::Greeting(self.link.down_since().unwrap_or(now));
        self.links += 1;
        self.forget();
        self.dynos = Dynos::default();
        let held = self.leases.with_requests().map(|held| v1::Held {
            ask: held.known().0,
            instance: held.dyno().instance.to_string(),
        });
        let hello = Hello {
            protocol: PROTOCOL,
            node: self.identity.node.clone(),
            worker: self.identity.worker,
            pid: self.identity.pid,
            link: self.links,
            held: held.collect(),
        };
        self.send(Kind::Hello(hello), Haste::Pressing);
        let mut waiting: Vec<_> = self.waiting.iter().collect();
        waiting.sort_by_key(|(ask, waiting)| (waiting.request.arrived, **ask));
        let messages: Vec<_> = waiting
            .into_iter()
            .map(|(ask, waiting)| waiting.request.message(*ask, true, false, now))
            .collect();
        self.outbox.extend(messages);
    }

    /// The link broke, or could not be made.
    pub fn disconnected(&mut self, now: Millis) {
        self.link = Link::Down(self.link.down_since().unwrap_or(now));
        self.forget();
    }

    /// The next hello says what counts.
    fn forget(&mut self) {
        self.outbox.clear();
        self.pressing = false;
        self.taps.clear();
        self.traces.clear();
        self.forget_ahead();
    }

    /// Whether the sidecar is there.
    pub fn is_connected(&self) -> bool {
        self.link == Link::Up
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<RouterMessage> {
        if self.outbox.len() <= 1 {
            self.pressing = false;
        }
        self.outbox.pop_front()
    }

    /// There is something to send that somebody waits for. The rest can wait for
    /// the next [`Session::tidy`].
    pub fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// How many messages there are to send.
    pub fn to_transmit(&self) -> usize {
        self.outbox.len()
    }

    /// So much waits to be sent that the link must be stuck.
    pub fn is_stuck(&self) -> bool {
        self.outbox.len() > MAX_OUTBOX
    }

    /// A message came. An answer that nobody waits for any more is dropped: its
    /// request was cancelled, which gives the lease back.
    pub fn receive(&mut self, message: SidecarMessage, now: Millis) -> Option<Delivery<T>> {
        self.link = Link::Up;
        self.lines.hear(self.last_ask, now);
        let answer = match message.kind? {
            sidecar_message::Kind::Answer(answer) => answer,
            sidecar_message::Kind::Dyno(info) => {
                self.dynos.meet(info);
                return None;
            }
            sidecar_message::Kind::Reserved(reserved) => {
                self.store(&reserved, now);
                return None;
            }
            sidecar_message::Kind::Next(next) => {
                self.is_next(next);
                return None;
            }
            sidecar_message::Kind::Recall(recall) => {
                self.recall(recall);
                return None;
            }
            // For the books of rules, of pages and of verdicts.
            sidecar_message::Kind::Rules(_)
            | sidecar_message::Kind::Pages(_)
            | sidecar_message::Kind::Authenticated(_) => return None,
            sidecar_message::Kind::Welcome(welcome) => {
                let settings = welcome.settings.unwrap_or_default();
                self.reserves.allow(settings.max_reserved);
                self.welcome_tally(settings.tallies);
                return None;
            }
            sidecar_message::Kind::Tap(tap) => {
                self.taps.set(tap, now);
                return None;
            }
            sidecar_message::Kind::Tracing(tracing) => {
                self.traces.set(&tracing, now);
                return None;
            }
            sidecar_message::Kind::Told(told) => {
                self.tally.told(told.number);
                return None;
            }
        };
        self.answered(answer, now)
    }

    fn answered(&mut self, answer: v1::Answer, now: Millis) -> Option<Delivery<T>> {
        let ask = answer.ask;
        // Some: there is a lease.
        let (again, edition) = match &answer.result {
            Some(answer::Result::Route(route)) => (Some(route.again_ms), route.edition),
            _ => (None, 0),
        };
        // Nobody is answered twice.
        let waiting = self.waiting.remove(&ask)?;
        let owner = waiting.owner.filter(|_| now <= waiting.since + LATE);
        let answer = self.dynos.read(answer);
        let ticket = match &answer.result {
            Ok(lease) => {
                let again = again.filter(|again| *again > 0);
                let ticket = if let Some((owner, again)) = owner.zip(again) {
                    let reserved = ahead::of_answer(&answer, lease, owner, again, now);
                    let ticket = self.leases.give(ask, Held::Passable(reserved));
                    self.untold.push_back((ticket, now));
                    ticket
                } else {
                    if again.is_some() {
                        let taken = Taken { asks: vec![ask] };
                        self.send(Kind::Taken(taken), Haste::Idle);
                    }
                    let mut leased = Leased::of(ask, lease, 0);
                    leased.edition = edition;
                    self.leases.give(ask, Held::Kept(leased))
                };
                Some(ticket)
            }
            Err(_) => {
                if again.is_some() {
                    // A lease that is of no use.
                    self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
                }
                None
            }
        };
        Some(Delivery::Answer(waiting.request.token, answer, ticket))
    }

    /// When the first request has waited too long for a link; `None` while there
    /// is one.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let since = self.link.down_since()?;
        self.waiting
            .values()
            .map(|waiting| self.expiry(waiting.since, since))
            .min()
    }

    /// A request that has waited too long for a link, taken out.
    pub fn poll_expired(&mut self, now: Millis) -> Option<Delivery<T>> {
        let since = self.link.down_since()?;
        let (ask, _) = self
            .waiting
            .iter()
            .find(|(_, waiting)| self.expiry(waiting.since, since) <= now)?;
        let ask = *ask;
        let waiting = self.waiting.remove(&ask)?;
        // The sidecar may have the ask, and grant it when it comes back.
        self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
        Some(Delivery::Expired(waiting.request.token))
    }

    fn expiry(&self, asked: Millis, down_since: Millis) -> Millis {
        let outage = u64::try_from(self.outage.as_millis()).unwrap_or(u64::MAX);
        asked.max(down_since).saturating_add(outage)
    }

    /// A name for a lease that is unique in the mesh, for logs.
    pub fn lease_name(&self, ask: u64) -> String {
        format!("{:016x}-{ask}", self.identity.worker)
    }

    /// Requests waiting and leases held.
    pub fn counts(&self) -> (usize, usize) {
        (self.waiting.len(), self.in_use())
    }

    /// Leases that requests have.
    fn in_use(&self) -> usize {
        self.leases.len() - self.reserves.len()
    }
}

impl<T> Request<T> {
    fn message(&self, ask: u64, held: bool, passes_on: bool, now: Millis) -> RouterMessage {
        let millis = |time: Millis| u32::try_from(time).unwrap_or(u32::MAX);
        let (prefer_dyno, prefer_hash) = match self.prefer {
            None => (0, 0),
            Some(Prefer::Dyno(mark)) => (mark, 0),
            Some(Prefer::Hash(hash)) => (0, hash),
        };
        RouterMessage {
            kind: Some(Kind::Ask(Ask {
                prefer_dyno,
                prefer_hash,
                client: self.client,
                ask,
                name: self.name.to_string(),
                waited_ms: millis(now.saturating_sub(self.arrived)),
                served_ms: millis(self.served),
                held,
                passes_on,
                tried: self.tried.iter().map(|t| t.to_string()).collect(),
            })),
        }
    }
}

#[cfg(test)]
mod tests;
