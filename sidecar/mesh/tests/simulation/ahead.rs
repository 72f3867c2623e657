//! What a router has reserved.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use mesh::{AskId, DynoInfo, Time};

/// A lease that no request has yet.
pub(crate) struct Lease {
    pub(crate) ask: AskId,
    pub(crate) dyno: Arc<DynoInfo>,
    /// It is given back then.
    pub(crate) until: Time,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Ahead {
    /// By name.
    pub(crate) leases: BTreeMap<String, VecDeque<Lease>>,
    /// Names for which something is on its way, and since when, by its first number.
    pub(crate) orders: BTreeMap<AskId, (String, Time)>,
    /// Leases that requests have, and since when, of which nobody was told.
    pub(crate) untold: VecDeque<(AskId, Time)>,
    /// What these leases are, and for which name.
    pub(crate) lent: BTreeMap<AskId, (String, Arc<DynoInfo>)>,
    /// It will be seen to.
    pub(crate) tidying: bool,
}

impl Ahead {
    pub(crate) fn is_empty(&self) -> bool {
        let leases = self.leases.values().all(VecDeque::is_empty);
        leases && self.orders.is_empty() && self.untold.is_empty()
    }

    /// The next lease for this name that is fresh.
    pub(crate) fn take(&mut self, name: &str, now: Time) -> Option<Lease> {
        let lease = self
            .leases
            .get_mut(name)?
            .pop_front_if(|lease| now < lease.until)?;
        self.lend(lease.ask, name.to_owned(), lease.dyno.clone(), now);
        Some(lease)
    }

    /// A request has it, and the next one may.
    pub(crate) fn lend(&mut self, ask: AskId, name: String, dyno: Arc<DynoInfo>, now: Time) {
        self.untold.push_back((ask, now));
        self.lent.insert(ask, (name, dyno));
    }

    /// Its request is done: the next one may have it, if nobody was told of it.
    pub(crate) fn pass_on(&mut self, ask: AskId, until: Time) -> bool {
        let Some((name, dyno)) = self.lent.remove(&ask) else {
            return false;
        };
        self.untold.retain(|(untold, _)| *untold != ask);
        let lease = Lease { ask, dyno, until };
        self.leases.entry(name).or_default().push_back(lease);
        true
    }

    /// Takes out what shall not be used any more.
    pub(crate) fn give_back(&mut self, unwanted: impl Fn(&Lease) -> bool) -> Vec<AskId> {
        let mut back = Vec::new();
        for leases in self.leases.values_mut() {
            back.extend(leases.iter().filter(|l| unwanted(l)).map(|l| l.ask));
            leases.retain(|lease| !unwanted(lease));
        }
        back
    }

    /// Who has been in use since then or before.
    pub(crate) fn tell(&mut self, before: Time) -> Vec<AskId> {
        let mut told = Vec::new();
        while let Some((ask, _)) = self.untold.pop_front_if(|(_, since)| *since <= before) {
            self.lent.remove(&ask);
            told.push(ask);
        }
        told
    }
}
