//! One host: a sidecar, with its routers beside it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use members::{Entry, Known, Membership, Place};
use mesh::{AskId, Mesh, Outcome};

use crate::router::Router;

/// What a router says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Hello {
        router: usize,
        worker: u64,
        held: Vec<(AskId, Box<str>)>,
    },
    Ask {
        router: usize,
        ask: AskId,
        app: usize,
        arrived: u64,
        held: bool,
    },
    Cancel {
        router: usize,
        ask: AskId,
    },
    Done {
        router: usize,
        ask: AskId,
        outcome: Outcome,
    },
    /// The router's process died.
    Gone {
        router: usize,
    },
}

impl Said {
    pub(crate) fn router(&self) -> usize {
        match self {
            Self::Hello { router, .. }
            | Self::Ask { router, .. }
            | Self::Cancel { router, .. }
            | Self::Done { router, .. }
            | Self::Gone { router } => *router,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Node {
    /// `None` while it is down.
    pub(crate) core: Option<Mesh>,
    pub(crate) membership: Option<Membership>,
    /// On its disk.
    pub(crate) known: Known,
    /// Its clock runs so much faster than the world's, in thousandths of a thousandth.
    pub(crate) drift: i64,
    pub(crate) epoch: Option<Place>,
    /// The members, as it knew them last.
    pub(crate) others: BTreeSet<Arc<str>>,
    pub(crate) frozen_until: u64,
    /// It can't be reached from other sidecars, nor reach them, and ...
    pub(crate) cut_until: u64,
    /// ... neither writes into the log nor reads it.
    pub(crate) deaf_until: u64,
    /// It is about to stop, as planned, and what then.
    pub(crate) stops_at: Option<(u64, u64)>,
    pub(crate) back_at: Option<u64>,
    /// It is no host any more, nor are its routers.
    pub(crate) retired: bool,
    pub(crate) routers: Vec<Router>,
    /// From its routers, in order.
    pub(crate) said: VecDeque<Said>,
    /// Which router has which session.
    pub(crate) sessions: BTreeMap<mesh::SessionKey, usize>,
    /// How far it has read in the log of apps, and when it reads on.
    pub(crate) applied: usize,
    pub(crate) reads_at: u64,
    /// The log.
    pub(crate) next: usize,
    pub(crate) heard_at: u64,
    pub(crate) wrote_at: u64,
    pub(crate) arriving: VecDeque<(u64, Place)>,
    pub(crate) leaving: VecDeque<(u64, Entry)>,
}
