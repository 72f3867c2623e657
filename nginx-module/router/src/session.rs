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
        self, Ask, Cancel, Checkin, Held, Hello, Outcome, Recall, Recalled, Reserve, RouterMessage,
        SidecarMessage, Taken, answer, router_message::Kind, sidecar_message,
    },
};
use rustc_hash::FxHashMap;

use crate::{
    answer::{Answer, Dyno, Dynos, Lease},
    reserve::{self, Reserved, Reserves},
};

/// Milliseconds on the router's clock.
pub type Millis = u64;

/// Messages that may wait to be sent. A link that lets so many pile up is as
/// good as broken; it is made anew, and the hello replaces them all.
const MAX_OUTBOX: usize = 100_000;
/// Milliseconds after which the sidecar is told that a reserved lease is in use. Most
/// are checked in before, which tells it as well.
const TELL_AFTER: Millis = 10;

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
}

/// What became of an ask so far.
#[derive(Debug)]
enum Asked<T> {
    /// It waits for its answer, since then.
    Waiting(Request<T>, Millis),
    /// It has a lease.
    Leased(Arc<Dyno>, Haste),
}

/// Whether somebody may wait for the end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// The dyno or its app has a limit.
    Pressing,
    /// Neither has one.
    Idle,
}

/// A request to be told something.
#[derive(Debug, PartialEq)]
pub enum Delivery<T> {
    /// The sidecar's answer.
    Answer(T, Answer),
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
    asked: FxHashMap<u64, Asked<T>>,
    dynos: Dynos,
    reserves: Reserves,
    /// Reserved leases that requests took, and when.
    untold: VecDeque<(u64, Millis)>,
    outbox: VecDeque<RouterMessage>,
    /// Somebody waits for what is in there.
    pressing: bool,
    /// Requests that need no answer of the sidecar's to be refused.
    turned_away: VecDeque<(u64, T)>,
}

impl<T: Clone> Session<T> {
    /// A session that has no link yet. A request may wait for `outage` without
    /// one.
    pub fn new(identity: Identity, outage: Duration, now: Millis) -> Self {
        Self {
            identity,
            outage,
            link: Link::Down(now),
            links: 0,
            last_ask: 0,
            asked: FxHashMap::default(),
            dynos: Dynos::default(),
            reserves: Reserves::default(),
            untold: VecDeque::new(),
            outbox: VecDeque::new(),
            pressing: false,
            turned_away: VecDeque::new(),
        }
    }

    /// A request wants a dyno. Returns the number of the ask.
    pub fn ask(&mut self, request: Request<T>, now: Millis) -> u64 {
        let ask = self.next_ask();
        if self.can_send() {
            // Before the sidecar has said anything, it counts as out of reach.
            let held = self.link != Link::Up;
            self.outbox.push_back(request.message(ask, held, now));
            self.pressing = true;
        }
        self.asked.insert(ask, Asked::Waiting(request, now));
        ask
    }

    /// A request for this name may have a lease that was reserved: it need not ask.
    /// Orders more where many come.
    pub fn take(&mut self, name: &Arc<str>, now: Millis) -> Option<Answer> {
        if self.link != Link::Up {
            return None;
        }
        let (taken, wanted) = self.reserves.take(name, self.asked.len(), now);
        if wanted > 0 {
            self.reserve(name, wanted);
        }
        let reserved = taken?;
        let dyno = reserved.lease.dyno.clone();
        self.asked
            .insert(reserved.ask, Asked::Leased(dyno, Haste::Idle));
        self.untold.push_back((reserved.ask, now));
        Some(Answer {
            ask: reserved.ask,
            queue_wait_ms: 0,
            queue_depth: 0,
            dynos_in_use: reserved.dynos_in_use,
            queue_headers: reserved.queue_headers,
            result: Ok(reserved.lease),
        })
    }

    fn reserve(&mut self, name: &Arc<str>, count: u32) {
        let first = self.last_ask + 1;
        self.last_ask += u64::from(count);
        self.reserves.order(name, first, count);
        let order = Kind::Reserve(Reserve {
            first,
            count,
            name: name.to_string(),
        });
        self.send(order, Haste::Pressing);
    }

    /// Gives back what was reserved and is not used, and tells of what is. To be
    /// called every few milliseconds until it returns `false`, and what there is to
    /// send then sent.
    pub fn tidy(&mut self, now: Millis) -> bool {
        self.give_back(|reserved| reserved.until <= now);
        self.tell(now);
        self.has_to_tidy()
    }

    /// Says which of the leases that were reserved are in use, and have been for a
    /// while.
    fn tell(&mut self, now: Millis) {
        let mut asks = Vec::new();
        while let Some((ask, _)) = self
            .untold
            .pop_front_if(|(_, since)| since.saturating_add(TELL_AFTER) <= now)
        {
            if self.asked.contains_key(&ask) {
                asks.push(ask);
            }
        }
        if !asks.is_empty() {
            self.send(Kind::Taken(Taken { asks }), Haste::Idle);
        }
    }

    /// See [`Session::tidy`].
    pub fn has_to_tidy(&self) -> bool {
        !self.untold.is_empty() || !self.reserves.is_empty() || !self.outbox.is_empty()
    }

    fn give_back(&mut self, unwanted: impl FnMut(&Reserved) -> bool) {
        let outbox = &mut self.outbox;
        self.reserves.give_back(unwanted, |ask| {
            let kind = Some(Kind::Cancel(Cancel { ask }));
            outbox.push_back(RouterMessage { kind });
        });
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

    /// The request is gone, or does not want its lease: whichever of the two it
    /// has is given back.
    pub fn cancel(&mut self, ask: u64) {
        if self.asked.remove(&ask).is_some() {
            self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
        } else {
            self.turned_away.retain(|(number, _)| *number != ask);
        }
    }

    /// The lease ends.
    pub fn checkin(&mut self, ask: u64, outcome: Outcome) {
        if let Some(asked) = self.asked.remove(&ask) {
            let haste = match (asked, outcome) {
                (Asked::Leased(dyno, _), Outcome::Refused | Outcome::ConnectTimeout) => {
                    self.give_back(|reserved| Arc::ptr_eq(&reserved.lease.dyno, &dyno));
                    Haste::Pressing
                }
                (Asked::Leased(_, haste), _) => haste,
                (Asked::Waiting(..), _) => Haste::Pressing,
            };
            let checkin = Kind::Checkin(Checkin {
                ask,
                outcome: outcome.into(),
            });
            self.send(checkin, haste);
        }
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
        let held = self.asked.iter().filter_map(|(ask, asked)| match asked {
            Asked::Leased(dyno, _) => Some(Held {
                ask: *ask,
                instance: dyno.instance.to_string(),
            }),
            Asked::Waiting(..) => None,
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
        let mut waiting: Vec<_> = self.waiting().collect();
        waiting.sort_by_key(|(ask, request, _)| (request.arrived, *ask));
        let messages: Vec<_> = waiting
            .into_iter()
            .map(|(ask, request, _)| request.message(ask, true, now))
            .collect();
        self.outbox.extend(messages);
    }

    /// Requests without an answer, and since when they wait for it.
    fn waiting(&self) -> impl Iterator<Item = (u64, &Request<T>, Millis)> {
        self.asked.iter().filter_map(|(ask, asked)| match asked {
            Asked::Waiting(request, since) => Some((*ask, request, *since)),
            Asked::Leased(..) => None,
        })
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
        self.reserves.clear();
        self.untold.clear();
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
            sidecar_message::Kind::Recall(recall) => {
                self.recall(recall);
                return None;
            }
            sidecar_message::Kind::Welcome(welcome) => {
                let settings = welcome.settings.unwrap_or_default();
                self.reserves.allow(settings.max_reserved);
                return None;
            }
        };
        self.answered(answer)
    }

    /// What was ordered is there. A lease of a dyno that nobody told of is of no
    /// use, and so is one that nobody ordered.
    fn store(&mut self, part: &v1::Reserved, now: Millis) {
        let count = part.dynos.len() as u32;
        let at = self.reserves.arrive(part.first, count, part.more, now);
        for (ask, number) in (part.first..).zip(&part.dynos) {
            let (Some(at), Some(dyno)) = (at, self.dynos.get(*number)) else {
                self.send(Kind::Cancel(Cancel { ask }), Haste::Idle);
                continue;
            };
            let lease = Lease {
                dyno,
                limited: part.limited,
                others: part.others,
                counted: false,
            };
            let reserved = Reserved {
                ask,
                lease,
                dynos_in_use: part.dynos_in_use,
                queue_headers: part.queue_headers,
                until: reserve::until(now),
            };
            self.reserves.put(at, reserved);
        }
    }

    fn recall(&mut self, recall: Recall) {
        self.tell(Millis::MAX);
        self.give_back(|reserved| recall.apps.contains(&reserved.lease.dyno.app));
        let recall = recall.recall;
        self.send(Kind::Recalled(Recalled { recall }), Haste::Pressing);
    }

    fn answered(&mut self, answer: v1::Answer) -> Option<Delivery<T>> {
        let ask = answer.ask;
        let routed = matches!(answer.result, Some(answer::Result::Route(_)));
        let asked = self.asked.get_mut(&ask)?;
        let answer = self.dynos.read(answer);
        let before = match &answer.result {
            Ok(lease) => {
                let haste = match lease.limited || lease.counted {
                    true => Haste::Pressing,
                    false => Haste::Idle,
                };
                std::mem::replace(asked, Asked::Leased(lease.dyno.clone(), haste))
            }
            Err(_) => self.asked.remove(&ask)?,
        };
        if routed && answer.result.is_err() {
            // A lease that is of no use.
            self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
        }
        match before {
            Asked::Waiting(request, _) => Some(Delivery::Answer(request.token, answer)),
            // Nobody is answered twice.
            leased @ Asked::Leased(..) => {
                self.asked.insert(ask, leased);
                None
            }
        }
    }

    /// When the first request has waited too long for a link; `None` while there
    /// is one.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let since = self.link.down_since()?;
        self.waiting()
            .map(|(_, _, asked)| self.expiry(asked, since))
            .min()
    }

    /// A request that has waited too long for a link, taken out.
    pub fn poll_expired(&mut self, now: Millis) -> Option<Delivery<T>> {
        let since = self.link.down_since()?;
        let (ask, ..) = self
            .waiting()
            .find(|(_, _, asked)| self.expiry(*asked, since) <= now)?;
        let Some(Asked::Waiting(request, _)) = self.asked.remove(&ask) else {
            return None;
        };
        // The sidecar may have the ask, and grant it when it comes back.
        self.send(Kind::Cancel(Cancel { ask }), Haste::Pressing);
        Some(Delivery::Expired(request.token))
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
        let waiting = self.waiting().count();
        (waiting, self.asked.len() - waiting)
    }
}

impl<T> Request<T> {
    fn message(&self, ask: u64, held: bool, now: Millis) -> RouterMessage {
        let millis = |time: Millis| u32::try_from(time).unwrap_or(u32::MAX);
        RouterMessage {
            kind: Some(Kind::Ask(Ask {
                ask,
                name: self.name.to_string(),
                waited_ms: millis(now.saturating_sub(self.arrived)),
                served_ms: millis(self.served),
                held,
                tried: self.tried.iter().map(|t| t.to_string()).collect(),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session<u32> {
        let identity = Identity {
            node: "n".into(),
            worker: 7,
            pid: 1,
        };
        Session::new(identity, Duration::from_secs(5), 0)
    }

    fn drain(session: &mut Session<u32>) -> Vec<Kind> {
        std::iter::from_fn(|| session.poll_transmit())
            .filter_map(|m| m.kind)
            .collect()
    }

    fn request(token: u32, arrived: Millis) -> Request<u32> {
        Request {
            token,
            name: "a".into(),
            arrived,
            served: 0,
            tried: vec![],
        }
    }

    /// Gives `ask` a dyno of its own.
    fn route(s: &mut Session<u32>, ask: u64) -> Option<Delivery<u32>> {
        route_with(s, ask, v1::Route::default())
    }

    fn route_with(s: &mut Session<u32>, ask: u64, route: v1::Route) -> Option<Delivery<u32>> {
        let number = ask as u32;
        let info = v1::DynoInfo {
            number,
            instance: format!("i{ask}"),
            ..v1::DynoInfo::default()
        };
        let route = v1::Route {
            dyno: number,
            ..route
        };
        let answer = v1::Answer {
            ask,
            result: Some(v1::answer::Result::Route(route)),
            ..v1::Answer::default()
        };
        let kind = Some(sidecar_message::Kind::Dyno(info));
        assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
        let kind = Some(sidecar_message::Kind::Answer(answer));
        s.receive(SidecarMessage { kind }, 0)
    }

    fn welcome(s: &mut Session<u32>) {
        let kind = Some(sidecar_message::Kind::Welcome(Default::default()));
        assert_eq!(s.receive(SidecarMessage { kind }, 0), None);
    }

    #[test]
    fn a_sidecar_that_says_nothing_is_out_of_reach() {
        let mut s = session();
        s.ask(request(1, 0), 0);
        s.connected(700);
        s.disconnected(1_400);
        s.connected(1_500);
        assert_eq!(s.poll_timeout(), Some(5_000));
        drain(&mut s);
        assert_eq!(s.poll_expired(5_000), Some(Delivery::Expired(1)));
        assert!(
            matches!(drain(&mut s)[..], [Kind::Cancel(_)]),
            "it had been asked"
        );
        welcome(&mut s);
        s.ask(request(2, 1_600), 1_600);
        assert_eq!(s.poll_timeout(), None);
        s.disconnected(2_000);
        assert_eq!(s.poll_timeout(), Some(7_000));
    }

    #[test]
    fn asks_wait_for_the_link_and_keep_their_order() {
        let mut s = session();
        let late = s.ask(request(1, 20), 20);
        let early = s.ask(request(2, 10), 30);
        assert_eq!(s.to_transmit(), 0);
        s.connected(40);
        let sent = drain(&mut s);
        assert!(matches!(&sent[0], Kind::Hello(h) if h.held.is_empty()));
        // They come in a crowd, which is not their fault.
        assert!(
            sent[1..]
                .iter()
                .all(|kind| matches!(kind, Kind::Ask(a) if a.held))
        );
        assert!(matches!(&sent[1], Kind::Ask(a) if a.ask == early && a.waited_ms == 30));
        assert!(matches!(&sent[2], Kind::Ask(a) if a.ask == late && a.waited_ms == 20));
    }

    #[test]
    fn hello_says_what_is_held_now() {
        let mut s = session();
        s.connected(0);
        let (a, b) = (s.ask(request(1, 0), 0), s.ask(request(2, 0), 0));
        assert!(route(&mut s, a).is_some() && route(&mut s, b).is_some());
        s.disconnected(10);
        s.checkin(a, Outcome::Done);
        s.connected(20);
        let sent = drain(&mut s);
        assert_eq!(sent.len(), 1);
        assert!(matches!(&sent[0], Kind::Hello(h) if h.held.len() == 1 && h.held[0].ask == b));
    }

    #[test]
    fn a_late_answer_is_given_back_by_the_cancel() {
        let mut s = session();
        s.connected(0);
        let a = s.ask(request(1, 0), 0);
        s.cancel(a);
        assert_eq!(route(&mut s, a), None);
        assert!(matches!(
            drain(&mut s)[..],
            [Kind::Hello(_), Kind::Ask(_), Kind::Cancel(_)]
        ));
        assert_eq!(s.counts(), (0, 0));
        s.checkin(a, Outcome::Done);
        assert_eq!(s.to_transmit(), 0, "one end for each lease");
    }

    #[test]
    fn the_end_of_a_lease_is_told_at_once_where_somebody_may_wait() {
        for (limited, counted) in [(false, false), (true, false), (false, true)] {
            let mut s = session();
            s.connected(0);
            let ask = s.ask(request(1, 0), 0);
            let route = v1::Route {
                limited,
                counted,
                ..v1::Route::default()
            };
            assert!(route_with(&mut s, ask, route).is_some());
            drain(&mut s);
            s.checkin(ask, Outcome::Done);
            assert_eq!(s.is_pressing(), limited || counted);
        }
    }

    #[test]
    fn an_outage_has_an_end() {
        let mut s = session();
        s.connected(0);
        welcome(&mut s);
        s.ask(request(1, 0), 0);
        assert_eq!(s.poll_timeout(), None);
        s.disconnected(1_000);
        s.ask(request(2, 2_000), 2_000);
        assert_eq!(s.poll_timeout(), Some(6_000));
        assert_eq!(s.poll_expired(5_999), None);
        assert_eq!(s.poll_expired(6_000), Some(Delivery::Expired(1)));
        assert_eq!(s.poll_expired(6_000), None);
        assert_eq!(s.poll_expired(7_000), Some(Delivery::Expired(2)));
        assert_eq!(s.poll_timeout(), None);
    }
}
