//! An app as it is at this moment.

use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;

use crate::{
    Auth, Counters, DynoInfo, DynoKey, DynoSpecs, DynoState, Pages, Rules, SessionKey, Settings,
    Shard, Time, dyno::Identity, idle::Idle, pool::Pool, queue::Queue, rate::Rates, scale::Scale,
    settings::Terms,
};

/// With many apps, a request waits for memory and for nothing else. So what each
/// request needs comes first, on four lines of it: the compiler would order it by size.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct App {
    /// The ones that may have a request now.
    pub(crate) pool: Pool,

    /// Leases out, also of dynos that are no longer part of the app.
    pub(crate) in_flight: u32,
    /// Of these, the ones that no request has yet.
    pub(crate) reserved: u32,
    /// Of its leases, those that can be recalled: reserved or passed on.
    pub(crate) ahead: u32,
    /// Dynos with at least one lease.
    pub(crate) in_use: u32,
    /// Most requests in flight since its window began; see `scale.rs`.
    pub(crate) peak: u32,
    pub(crate) census: Census,
    /// How long the queue grew by requests that no limit turned away, as after an
    /// outage. Until it is short again, so many more may wait: a queue that gets
    /// shorter is no reason to refuse who comes meanwhile.
    pub(crate) stretch: u32,
    /// What its settings say to each request.
    terms: Terms,
    pub(crate) maintenance: bool,
    pub(crate) released: bool,
    /// A dyno was asked for in this episode.
    pub(crate) dyno_needed: bool,
    /// Deleted; forgotten with its last lease.
    pub(crate) deleted: bool,

    pub(crate) queue: Queue,
    pub(crate) idle: Idle,
    /// Requests and leases of it that are decided about elsewhere.
    pub(crate) away: u32,
    pub(crate) shard: Shard,

    pub(crate) few: Few,
    pub(crate) counters: Counters,

    settings: Settings,
    pub(crate) name: Arc<str>,
    pub(crate) version: u64,
    /// When it is looked whether it is idle.
    pub(crate) idle_look: Option<Time>,
    /// Who may believe of somebody that it is next; see `next.rs`.
    pub(crate) told_next: Vec<SessionKey>,
    /// Only with the settings.
    pub(crate) rates: Option<Box<Rates>>,
    /// Only with the setting.
    pub(crate) scale: Option<Box<Scale>>,
    pub(crate) domains: Vec<Box<str>>,
    pub(crate) rules: Rules,
    pub(crate) pages: Pages,
    pub(crate) auth: Auth,
    pub(crate) sticky: Box<str>,
    /// In the order they were added.
    pub(crate) dynos: Vec<DynoKey>,
    /// The same as configured, if there are many: whoever works on a copy shares it.
    pub(crate) specs: DynoSpecs,
}

/// The lines are what they are meant to be. (Of other machines it is not said; there it is
/// only slower.)
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(App, in_flight) == 64);
    assert!(offset_of!(App, queue) == 128);
    assert!(offset_of!(App, few) == 192);
    assert!(offset_of!(App, counters.routed) + size_of::<u64>() <= 256);
};

impl App {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            shard: Shard::of(&name),
            name,
            away: 0,
            version: 0,
            terms: Terms::of(&Settings::default()),
            settings: Settings::default(),
            maintenance: false,
            released: false,
            domains: Vec::new(),
            rules: Rules::default(),
            pages: Pages::default(),
            auth: Auth::default(),
            sticky: Box::default(),
            dynos: Vec::new(),
            few: Few::default(),
            specs: DynoSpecs::default(),
            pool: Pool::default(),
            told_next: Vec::new(),
            rates: None,
            queue: Queue::default(),
            stretch: 0,
            census: Census::default(),
            in_flight: 0,
            reserved: 0,
            ahead: 0,
            in_use: 0,
            dyno_needed: false,
            idle: Idle::default(),
            idle_look: None,
            peak: 0,
            scale: None,
            deleted: false,
            counters: Counters::default(),
        }
    }
}

impl App {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    pub(crate) fn set(&mut self, settings: Settings) {
        self.terms = Terms::of(&settings);
        self.settings = settings;
    }

    /// Routers have to know more of it than its dynos.
    pub(crate) fn is_ruled(&self) -> bool {
        let silent = self.rules.is_empty() && self.auth.is_empty() && self.sticky.is_empty();
        !silent || !self.settings.handling().is_none()
    }

    /// Requests that may wait.
    pub(crate) fn depth(&self) -> u32 {
        self.settings.depth_for(self.census.expected())
    }

    /// Requests that have a dyno.
    pub(crate) fn requests(&self) -> u32 {
        self.in_flight - self.reserved
    }

    /// Dynos that a request may come to, now or soon.
    pub(crate) fn candidates(&self) -> u32 {
        self.census.running() + self.census.starting
    }
}

/// Who the dynos of an app are, if they are few. It lies with the app, so that the dyno of a
/// request and what is said of it are waited for at once, not one after the other.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Few(SmallVec<[(DynoKey, Arc<DynoInfo>); 3]>);

impl Few {
    pub(crate) fn of(dynos: &[DynoKey], identities: &Slab<Identity>) -> Self {
        let who = |key: &DynoKey| (*key, identities[key.0 as usize].info.clone());
        let mut few = SmallVec::new();
        if dynos.len() <= few.inline_size() {
            few.extend(dynos.iter().map(who));
        }
        Self(few)
    }

    pub(crate) fn find(&self, dyno: DynoKey) -> Option<&Arc<DynoInfo>> {
        let found = self.0.iter().find(|(key, _)| *key == dyno);
        found.map(|(_, info)| info)
    }
}

/// How many dynos of an app are in which condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) starting: u32,
    pub(crate) up: u32,
    /// Of those up.
    pub(crate) quarantined: u32,
    pub(crate) crashed: u32,
}

impl Census {
    pub(crate) fn count(&mut self, state: DynoState, quarantined: bool) {
        if let Some(n) = self.field(state) {
            *n += 1;
        }
        self.quarantined += u32::from(quarantined && state == DynoState::Up);
    }

    pub(crate) fn discount(&mut self, state: DynoState, quarantined: bool) {
        if let Some(n) = self.field(state) {
            *n -= 1;
        }
        self.quarantined -= u32::from(quarantined && state == DynoState::Up);
    }

    fn field(&mut self, state: DynoState) -> Option<&mut u32> {
        match state {
            DynoState::Starting => Some(&mut self.starting),
            DynoState::Up => Some(&mut self.up),
            DynoState::Crashed => Some(&mut self.crashed),
            DynoState::Draining | DynoState::Down => None,
        }
    }

    /// Up and trusted.
    pub(crate) fn running(&self) -> u32 {
        self.up - self.quarantined
    }

    /// What the default depth of the queue is counted by.
    pub(crate) fn expected(&self) -> u32 {
        self.up + self.starting
    }
}
