//! One sidecar's part.

mod view;

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use crate::{
    Entry, Kind, Known, Node, Ownership, PeerId, Place, Shard, Term, Time,
    entry::Listed,
    learner::{Learned, Learner},
    list::List,
    tenure::{Owners, Tenure, owners},
};

/// Ticks that may be on their way. Those before them are taken for lost.
const MOST_WRITTEN: usize = 64;
/// Own ticks that came back without a word of another member: it is suspected.
const PATIENCE: u32 = 3;
/// Ticks that carry the list after somebody came.
const TELL: u32 = 8;

/// How long what takes. The same for all members.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two ticks.
    pub tick: Duration,
    /// An owner may grant for so long after it wrote the last tick that came back.
    pub lease: Duration,
}

impl Default for Timing {
    /// A dead owner's shards have another one in under 3 s.
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(250),
            lease: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// How long another's lease lasts at most, on a clock that may be faster than the
    /// other's by a twentieth.
    fn wait(self) -> Duration {
        self.lease + self.lease / 20
    }
}

/// Something for the caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this into the log. It may be lost: nothing is written twice, and no
    /// harm is done if it is.
    Write(Entry),
    /// Who is a member has changed, or this one is none any more.
    Changed,
}

/// What a sidecar is in all this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not know the members yet.
    Joining,
    /// One of them.
    Member,
    /// It has left, for good.
    Left,
}

#[derive(Debug)]
enum Phase {
    Joining(Learner),
    Member(Box<Member>),
    /// It goes on to read who is there, if it knew.
    Left(Option<Box<Member>>),
}

#[derive(Debug)]
struct Member {
    list: List,
    owners: Owners,
    tenure: Tenure,
    /// Own ticks that came back since these wrote something.
    unanswered: HashMap<Node, u32>,
    /// When these wrote something, by when it was read.
    heard: HashMap<Node, Time>,
    /// Ticks that shall still carry the list.
    tell: u32,
}

/// See the crate's documentation. Entries are told in the order of the log, all of
/// them from before the first [`Output::Write`] on.
#[derive(Debug)]
pub struct Membership {
    me: Node,
    address: Arc<str>,
    timing: Timing,
    phase: Phase,
    /// Ticks so far.
    ticks: u64,
    /// When those were written that have not come back.
    written: VecDeque<(u64, Time)>,
    lease: Option<Time>,
    next_tick: Time,
    /// As of when it was a member last.
    known: Known,
    outputs: VecDeque<Output>,
}

impl Membership {
    /// Begins to join. `known`: what [`Membership::known`] of an earlier life said last.
    pub fn new(me: Node, address: &str, timing: Timing, known: Known, now: Time) -> Self {
        Self {
            me,
            address: address.into(),
            timing,
            phase: Phase::Joining(Learner::default()),
            ticks: 0,
            written: VecDeque::new(),
            lease: None,
            next_tick: now,
            known,
            outputs: VecDeque::new(),
        }
    }

    /// What is to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Membership::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Left(_) => None,
            Phase::Joining(_) => Some(self.next_tick),
            Phase::Member(member) => {
                let owed = member.tenure.poll_timeout();
                Some(owed.map_or(self.next_tick, |owed| owed.min(self.next_tick)))
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Phase::Left(_) = self.phase {
            return;
        }
        self.settle(now);
        if now < self.next_tick {
            return;
        }
        // After a pause there is nothing to catch up with.
        self.next_tick = now + self.timing.tick;
        let (mut member, mut listing) = (false, None);
        match &mut self.phase {
            Phase::Joining(learner) => {
                if let Some(after) = learner.founds(now, self.timing.wait()) {
                    self.write(Kind::Found { after });
                } else if !learner.has_joined() || self.ticks.is_multiple_of(4) {
                    let (address, known) = (self.address.clone(), self.known.clone());
                    self.write(Kind::Join { address, known });
                }
            }
            Phase::Member(it) => {
                member = true;
                if it.tell > 0 {
                    it.tell -= 1;
                    listing = Some(it.list.listing());
                }
            }
            Phase::Left(_) => {}
        }
        self.ticks += 1;
        self.written.push_back((self.ticks, now));
        if self.written.len() > MOST_WRITTEN {
            self.written.pop_front();
        }
        self.write(Kind::Tick {
            number: self.ticks,
            member,
            listing,
        });
    }

    fn write(&mut self, kind: Kind) {
        let from = self.me.clone();
        self.outputs.push_back(Output::Write(Entry { from, kind }));
    }

    /// The next entry of the log.
    pub fn entry(&mut self, place: Place, entry: &Entry, now: Time) {
        let own = entry.from == self.me;
        match &mut self.phase {
            Phase::Left(member) => {
                if let Some(member) = member
                    && member.list.apply(place, entry)
                {
                    member.owners = owners(&member.list);
                    self.outputs.push_back(Output::Changed);
                }
                return;
            }
            Phase::Joining(learner) => {
                let learned = learner.hear(place, entry, &self.me, now);
                self.learned(learned, now);
                if let Phase::Member(member) = &mut self.phase {
                    member.heard.insert(entry.from.clone(), now);
                }
            }
            Phase::Member(_) => self.follow(place, entry, now),
        }
        if let Kind::Tick { number, .. } = entry.kind
            && own
        {
            self.came_back(number);
        }
        self.settle(now);
    }

    /// A tick came back, so nobody has been told before it that this one is out.
    fn came_back(&mut self, number: u64) {
        while let Some((tick, written)) = self.written.pop_front_if(|(tick, _)| *tick <= number) {
            if tick == number {
                self.lease = self.lease.max(Some(written + self.timing.lease));
            }
        }
        let Phase::Member(member) = &mut self.phase else {
            return;
        };
        let mut silent = Vec::new();
        for listed in member.list.members().filter(|it| it.node != self.me) {
            let unanswered = member.unanswered.entry(listed.node.clone()).or_default();
            *unanswered += 1;
            if *unanswered >= PATIENCE {
                *unanswered = 0;
                silent.push((listed.node.clone(), listed.wrote));
            }
        }
        for (whom, after) in silent {
            self.write(Kind::Suspect { whom, after });
        }
    }

    fn learned(&mut self, learned: Learned, now: Time) {
        let until = now + self.timing.wait();
        let (list, tenure) = match learned {
            Learned::Nothing => return,
            Learned::Out => return self.join_anew(),
            Learned::Founded(list) => {
                let tenure = Tenure::unknown(list.epoch(), until);
                (list, tenure)
            }
            Learned::List {
                list,
                since_join,
                yields,
            } => {
                let again = |it: &Listed| it.node == self.me && it.again;
                let mut tenure = match since_join && !list.members().any(again) {
                    // Those who had the shards before this one came are at hand.
                    true => Tenure::new(list.owners_without(&self.me), list.epoch(), until),
                    false => Tenure::unknown(list.epoch(), until),
                };
                for (by, epoch) in yields {
                    tenure.yielded(&by, epoch);
                }
                (list, tenure)
            }
        };
        self.phase = Phase::Member(Box::new(Member {
            owners: owners(&list),
            list,
            tenure,
            unanswered: HashMap::new(),
            heard: HashMap::new(),
            tell: TELL,
        }));
        self.outputs.push_back(Output::Changed);
    }

    fn follow(&mut self, place: Place, entry: &Entry, now: Time) {
        let Phase::Member(member) = &mut self.phase else {
            return;
        };
        member.unanswered.remove(&entry.from);
        match entry.kind {
            Kind::Yield { epoch } => member.tenure.yielded(&entry.from, epoch),
            Kind::Join { .. } => {
                // It waits for the list.
                member.tell = TELL;
                self.next_tick = now;
            }
            _ => {}
        }
        // What came to a leaver since the epoch that it knew was somebody else's before.
        let clear = match entry.kind {
            Kind::Leave { clear } => clear == Some(member.list.epoch()),
            _ => false,
        };
        let has_changed = member.list.apply(place, entry);
        if member.list.has(&entry.from) {
            member.heard.insert(entry.from.clone(), now);
        }
        if !has_changed {
            return;
        }
        if !member.list.has(&self.me) {
            return self.join_anew();
        }
        let list = &member.list;
        member.unanswered.retain(|node, _| list.has(node));
        member.heard.retain(|node, _| list.has(node));
        let after = owners(list);
        let before = mem::replace(&mut member.owners, after);
        let wait = self.timing.wait();
        member.tenure.change(
            (&before, &member.owners),
            (clear.then_some(&entry.from), place),
            &self.me,
            (now, wait),
        );
        self.outputs.push_back(Output::Changed);
    }

    /// Something of the log was missed, or may have been: it begins to join as another
    /// life.
    pub fn begin_anew(&mut self, now: Time) {
        self.join_anew();
        self.next_tick = now;
    }

    /// It is out: as another life it may come back.
    fn join_anew(&mut self) {
        self.known = self.known();
        self.me.life = self
            .me
            .life
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(1);
        self.phase = Phase::Joining(Learner::default());
        self.lease = None;
        self.written.clear();
        self.outputs.push_back(Output::Changed);
    }

    /// Writes the yield that is due.
    fn settle(&mut self, now: Time) {
        if let Phase::Member(member) = &mut self.phase
            && let Some(epoch) = member.tenure.poll_yield(now)
        {
            self.write(Kind::Yield { epoch });
        }
    }

    /// Grants nothing from here on, and says so to the others.
    pub fn leave(&mut self, now: Time) {
        let phase = mem::replace(&mut self.phase, Phase::Left(None));
        self.lease = None;
        let clear = match phase {
            Phase::Left(_) => return self.phase = phase,
            Phase::Joining(_) => None,
            Phase::Member(member) => {
                let clear = member.tenure.is_clear(now);
                let epoch = member.list.epoch();
                self.phase = Phase::Left(Some(member));
                clear.then_some(epoch)
            }
        };
        self.write(Kind::Leave { clear });
        self.outputs.push_back(Output::Changed);
    }

    /// Whether it may decide for this shard at this moment. It is to be asked for
    /// each grant, under the clock that it is told the time by.
    pub fn may_grant(&self, shard: Shard, now: Time) -> bool {
        let Phase::Member(member) = &self.phase else {
            return false;
        };
        member.owners[shard.index()].as_ref() == Some(&self.me)
            && self.lease.is_some_and(|until| now < until)
            && !member.tenure.is_blocked(shard, now)
    }

    /// Whose the shard is, and where to reach it, as far as is known here.
    pub fn owner(&self, shard: Shard) -> Option<&Listed> {
        let member = self.member()?;
        let owner = member.owners[shard.index()].as_ref()?;
        member.list.members().find(|it| it.node == *owner)
    }

    /// The members that are known here, by name.
    pub fn members(&self) -> impl Iterator<Item = &Listed> {
        self.member()
            .into_iter()
            .flat_map(|member| member.list.members())
    }

    /// The place of the entry that last changed them.
    pub fn epoch(&self) -> Option<Place> {
        Some(self.member()?.list.epoch())
    }

    fn member(&self) -> Option<&Member> {
        match &self.phase {
            Phase::Member(member) | Phase::Left(Some(member)) => Some(member),
            Phase::Joining(_) | Phase::Left(None) => None,
        }
    }

    /// Who owns what, for the core: `None` while the members are not known here.
    pub fn ownership(&self) -> Option<Ownership> {
        let list = &self.member()?.list;
        let members = list.members().map(|member| &member.node.name);
        let peers = members.chain(list.gone());
        let peers = peers.filter(|name| **name != self.me.name);
        let owner = |shard| list.owner(shard).map(|node| PeerId::of(&node.name));
        Some(Ownership {
            // The first place of a log is 0, and the core knows nothing before 1.
            epoch: list.epoch() + 1,
            me: PeerId::of(&self.me.name),
            peers: peers.map(|name| PeerId::of(name)).collect(),
            owners: Shard::all().map(owner).collect(),
        })
    }

    /// For how long what this one owns is its own to grant, for the core:
    /// [`Membership::may_grant`] in advance.
    pub fn term(&self) -> Term {
        match (&self.phase, self.lease) {
            (Phase::Member(member), Some(until)) => Term {
                until,
                blocked: member.tenure.blocked().collect(),
            },
            _ => Term::default(),
        }
    }

    /// Who this is.
    pub fn me(&self) -> &Node {
        &self.me
    }

    /// What this is.
    pub fn standing(&self) -> Standing {
        match self.phase {
            Phase::Joining(_) => Standing::Joining,
            Phase::Member(_) => Standing::Member,
            Phase::Left(_) => Standing::Left,
        }
    }
}
