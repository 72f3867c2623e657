//! Who asks: the sessions and what each of them holds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::{DynoKey, Held, PeerId, Prefer, Time, numbers::Number, queue::WaiterKey};

/// One session. Never the same for two sessions of a mesh's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    index: u32,
    /// Counts sessions, so that an old key never means a new session.
    serial: u32,
}

/// A worker: the same after it reconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// A request of one session, and the lease that it may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// May a request have a dyno?
#[derive(Clone, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Names the request, and the lease that it may get.
    pub id: AskId,
    /// Which app it is for: any name that may be one of its domains.
    pub name: &'a str,
    /// How long ago it arrived, at whichever router. It keeps its place in the
    /// queue when it is asked again. (One that was not held and has tried nothing comes
    /// behind those that its session asked for before.)
    pub waited: Duration,
    /// Of that, the time that it was with dynos, which failed it: not spent in a
    /// queue.
    pub served: Duration,
    /// Its router had to hold it, since there was nobody to ask. Such a crowd is
    /// the mesh's own fault, so the app's limits on who may wait don't apply.
    pub held: bool,
    /// Instances that failed it: it comes to none of them again.
    pub tried: Vec<Box<str>>,
    /// Which dyno it would rather have.
    pub prefer: Option<Prefer>,
    /// Which client it is from, where the app wants to know; 0: nobody says.
    pub client: u64,
    /// Many come to its router for this name: it would pass the lease on to them.
    pub passes_on: bool,
}

impl<'a> Ask<'a> {
    /// A request that arrives at this moment.
    pub fn new(id: AskId, name: &'a str) -> Self {
        Self {
            id,
            name,
            waited: Duration::ZERO,
            served: Duration::ZERO,
            held: false,
            tried: Vec::new(),
            prefer: None,
            client: 0,
            passes_on: false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Waiting(WaiterKey),
    /// A lease that no request has yet.
    Reserved(DynoKey),
    /// One that was reserved, or asked for, and serves one request after the other.
    Passed(DynoKey),
    Leased(DynoKey),
    /// Another sidecar decides, or has; its number there.
    Away(AskId),
}

/// What a session has, by ask. The numbers come from a router of our own that
/// counts, so nobody aims at collisions, and each request needs it thrice.
pub(crate) type Entries = FxHashMap<AskId, Entry>;

/// Who has a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Party {
    Worker(WorkerId),
    Peer(PeerId),
}

#[derive(Debug)]
pub(crate) struct Session {
    serial: u32,
    party: Party,
    /// Of another sidecar.
    pub(crate) peer: Option<PeerId>,
    /// What that has said of epochs that are not known here yet.
    pub(crate) early: Vec<Held>,
    /// Leases that it may have ended without a word to this sidecar.
    pub(crate) doubtful: BTreeSet<AskId>,
    /// These are over then.
    pub(crate) doubt_until: Option<Time>,
    /// Leases of dynos that are not known here yet (`strange.rs`).
    pub(crate) strange: BTreeMap<AskId, Box<str>>,
    /// Of a worker, leases of which others may know: these are the sidecar's own, or
    /// strange (`numbers.rs`).
    pub(crate) numbers: BTreeMap<AskId, Number>,
    pub(crate) entries: Entries,
    /// When the newest request arrived of those that were asked for the first time.
    newest: Time,
    /// How many leases of each dyno it has ahead: reserved or passed on.
    pub(crate) ahead: FxHashMap<DynoKey, u32>,
    /// Broken; its leases are kept until then.
    pub(crate) lost_until: Option<Time>,
}

impl Session {
    /// Requests and leases that it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.strange.len()
    }

    /// When a request arrived, which asks for the first time. Such ones come in the order
    /// of their arrival; how long each has waited is measured elsewhere, rounded, and lies in
    /// sockets for a while, so by that alone one could overtake the one before it.
    pub(crate) fn arrival(&mut self, said: Time) -> Time {
        self.newest = self.newest.max(said);
        self.newest
    }

    pub(crate) fn take(&mut self, ask: AskId) -> Option<Entry> {
        let entry = self.entries.remove(&ask);
        if let Some(Entry::Reserved(dyno) | Entry::Passed(dyno)) = entry {
            self.less_ahead(dyno);
        }
        entry
    }

    pub(crate) fn less_ahead(&mut self, dyno: DynoKey) {
        if let Some(count) = self.ahead.get_mut(&dyno) {
            *count -= 1;
            if *count == 0 {
                self.ahead.remove(&dyno);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slab: Slab<Session>,
    by_party: HashMap<Party, SessionKey>,
    serial: u32,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn open(&mut self, worker: WorkerId) -> SessionKey {
        self.open_for(Party::Worker(worker))
    }

    pub(crate) fn open_peer(&mut self, peer: PeerId) -> SessionKey {
        self.open_for(Party::Peer(peer))
    }

    fn open_for(&mut self, party: Party) -> SessionKey {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let session = Session {
            serial,
            party,
            peer: match party {
                Party::Worker(_) => None,
                Party::Peer(peer) => Some(peer),
            },
            early: Vec::new(),
            doubtful: BTreeSet::new(),
            doubt_until: None,
            strange: BTreeMap::new(),
            numbers: BTreeMap::new(),
            entries: Entries::default(),
            newest: Time::default(),
            ahead: FxHashMap::default(),
            lost_until: None,
        };
        let key = SessionKey {
            index: self.slab.insert(session) as u32,
            serial,
        };
        self.by_party.insert(party, key);
        key
    }

    pub(crate) fn of_worker(&self, worker: WorkerId) -> Option<SessionKey> {
        self.by_party.get(&Party::Worker(worker)).copied()
    }

    pub(crate) fn of_peer(&self, peer: PeerId) -> Option<SessionKey> {
        self.by_party.get(&Party::Peer(peer)).copied()
    }

    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.slab
            .get(key.index as usize)
            .filter(|s| s.serial == key.serial)
    }

    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.slab
            .get_mut(key.index as usize)
            .filter(|s| s.serial == key.serial)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        let key = |(index, session): (usize, &Session)| SessionKey {
            index: index as u32,
            serial: session.serial,
        };
        self.slab.iter().map(move |entry| (key(entry), entry.1))
    }

    pub(crate) fn close(&mut self, key: SessionKey) -> Option<Session> {
        self.get(key)?;
        let session = self.slab.remove(key.index as usize);
        if self.by_party.get(&session.party) == Some(&key) {
            self.by_party.remove(&session.party);
        }
        Some(session)
    }
}
