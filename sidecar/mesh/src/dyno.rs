//! A dyno as it is at this moment.

use std::sync::Arc;

use crate::{
    Address, AppKey, DynoKey, DynoSpec, DynoState, MAX_LOAD, Mesh, Time, mark,
    pool::{Place, Slot},
    settings::Terms,
};

/// Who a dyno is: what a router needs to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynoInfo {
    /// Its app's name.
    pub app: Arc<str>,
    /// Unique in its app.
    pub name: Box<str>,
    /// Unique for each start of a process.
    pub instance: Box<str>,
    /// Where it listens.
    pub address: Address,
}

/// Who a dyno is: apart from how it is, which has no room for that on its line of memory.
/// (Of an app with few dynos, a request finds it with the app.)
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) info: Arc<DynoInfo>,
    /// See [`mark`].
    pub(crate) mark: u64,
}

impl Identity {
    pub(crate) fn new(app: &Arc<str>, spec: &DynoSpec) -> Self {
        Self {
            info: Arc::new(DynoInfo {
                app: app.clone(),
                name: spec.name.clone(),
                instance: spec.instance.clone(),
                address: spec.address.clone(),
            }),
            mark: mark(&spec.instance),
        }
    }
}

/// How a dyno is: one line of memory, as most requests find none of it in a cache.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Dyno {
    pub(crate) app: AppKey,
    pub(crate) state: DynoState,
    /// Its own limit, else the app's default applies.
    pub(crate) own_limit: Option<u32>,
    /// Leases that it has.
    pub(crate) load: u32,
    /// Of these, the ones that no request has yet.
    pub(crate) reserved: u32,
    /// Of its leases, those that can be recalled: reserved or passed on.
    pub(crate) ahead: u32,
    /// Requests that other nodes have there, as far as is known.
    pub(crate) elsewhere: u32,
    /// What other nodes were told of its own requests.
    pub(crate) told: u32,
    /// Its place among those of whom there is something to tell.
    pub(crate) untold: Option<Place>,
    /// Failed connections in a row.
    pub(crate) strikes: u8,
    /// In quarantine until then.
    pub(crate) quarantine: Option<Time>,
    /// Its place among the dynos that may have a request now.
    pub(crate) slot: Option<Slot>,
    /// No longer part of its app; forgotten with its last lease.
    pub(crate) retired: bool,
}

/// It is no larger among all others, where its place may be free.
#[cfg(target_pointer_width = "64")]
const _: () = {
    enum Entry {
        _Free(usize),
        _Taken(Dyno),
    }
    assert!(size_of::<Entry>() == 64);
};

impl Dyno {
    pub(crate) fn new(app: AppKey, spec: &DynoSpec) -> Self {
        Self {
            app,
            state: spec.state,
            own_limit: spec.limit,
            load: 0,
            reserved: 0,
            ahead: 0,
            elsewhere: 0,
            told: 0,
            untold: None,
            strikes: 0,
            quarantine: None,
            slot: None,
            retired: false,
        }
    }

    /// The limit in force; `None` means that only [`MAX_LOAD`] holds.
    pub(crate) fn limit(&self, terms: Terms) -> Option<u32> {
        self.own_limit.or(terms.limit)
    }

    /// It may have one more request now. A limit is for everybody's together, as
    /// far as they are known here.
    pub(crate) fn is_eligible(&self, terms: Terms) -> bool {
        let is_below = match self.limit(terms) {
            Some(limit) => self.sum() < limit,
            None => self.load < MAX_LOAD,
        };
        self.is_running() && is_below
    }

    /// Its requests, here and elsewhere.
    pub(crate) fn sum(&self) -> u32 {
        self.load.saturating_add(self.elsewhere)
    }

    /// Its place in the pool, if it is in it.
    pub(crate) fn level(&self, terms: Terms) -> u32 {
        terms.level(self.sum().min(MAX_LOAD))
    }

    /// Up and trusted: if it cannot take a request now, it will soon.
    pub(crate) fn is_running(&self) -> bool {
        !self.retired && self.state == DynoState::Up && self.quarantine.is_none()
    }

    /// Its load as people see it.
    pub(crate) fn visible_load(&self) -> u32 {
        match self.state {
            DynoState::Up => self.load - self.reserved,
            // Some of it may be in use, and nobody has said so yet.
            _ => self.load,
        }
    }

    /// It is part of this app.
    pub(crate) fn is_of(&self, app: AppKey) -> bool {
        self.app == app && !self.retired
    }
}

impl Mesh {
    pub(crate) fn info(&self, dyno: DynoKey) -> &Arc<DynoInfo> {
        &self.identities[dyno.0 as usize].info
    }

    pub(crate) fn dyno_spec(&self, key: DynoKey) -> DynoSpec {
        let (dyno, info) = (&self.dynos[key.0 as usize], self.info(key));
        DynoSpec {
            name: info.name.clone(),
            instance: info.instance.clone(),
            address: info.address.clone(),
            limit: dyno.own_limit,
            state: dyno.state,
        }
    }
}
