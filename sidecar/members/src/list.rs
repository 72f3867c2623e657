//! The members, as of one place in the log.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Entry, Kind, Known, Node, Place, Shard,
    entry::{Listed, Listing},
    shard::owner,
};

/// Most names of who is gone that are kept; then the one that went first is forgotten.
const MOST_GONE: usize = 64;

/// Most members. Who comes when there are so many has to wait for one to go.
const MOST: usize = 64;

/// The same for everybody who has read as far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    read: Place,
    epoch: Place,
    origin: u64,
    /// By name.
    members: BTreeMap<Arc<str>, Listed>,
    /// Who was one and has not come again, with the place at which it went.
    gone: BTreeMap<Arc<str>, Place>,
}

impl List {
    pub(crate) fn new(listing: &Listing) -> Self {
        let members = listing.members.iter().take(MOST);
        Self {
            read: listing.read,
            epoch: listing.epoch,
            origin: listing.origin,
            members: members
                .map(|member| (member.node.name.clone(), member.clone()))
                .collect(),
            gone: listing.gone.iter().take(MOST_GONE).cloned().collect(),
        }
    }

    /// One that begins with a single member, which has just written at this place, and
    /// those that it knows from before.
    pub(crate) fn found(founder: Listed, known: &Known) -> Self {
        let founded = founder.wrote;
        let mut list = Self {
            read: founded,
            epoch: founded,
            origin: founder.node.life,
            members: BTreeMap::from([(founder.node.name.clone(), founder)]),
            gone: BTreeMap::new(),
        };
        list.miss(known, founded);
        list
    }

    pub(crate) fn listing(&self) -> Listing {
        Listing {
            read: self.read,
            epoch: self.epoch,
            origin: self.origin,
            members: self.members.values().cloned().collect(),
            gone: self
                .gone
                .iter()
                .map(|(name, at)| (name.clone(), *at))
                .collect(),
        }
    }

    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    pub(crate) fn epoch(&self) -> Place {
        self.epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Listed> {
        self.members.values()
    }

    /// Who was one, and has not come again.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Arc<str>> {
        self.gone.keys()
    }

    pub(crate) fn has(&self, node: &Node) -> bool {
        self.member(node).is_some()
    }

    fn member(&self, node: &Node) -> Option<&Listed> {
        self.members
            .get(&node.name)
            .filter(|member| member.node == *node)
    }

    pub(crate) fn owner(&self, shard: Shard) -> Option<&Node> {
        owner(shard, self.members.values())
    }

    /// By shard, who would have each without this one.
    pub(crate) fn owners_without(&self, node: &Node) -> Vec<Option<Node>> {
        let others = || self.members.values().filter(|it| it.node != *node);
        Shard::all()
            .map(|shard| owner(shard, others()).cloned())
            .collect()
    }

    /// These were members before anybody had this list, and may hold something still: as
    /// many as there is room for.
    fn miss(&mut self, known: &Known, at: Place) {
        for name in &known.names {
            if !self.members.contains_key(name) && self.gone.len() < MOST_GONE {
                self.gone.entry(name.clone()).or_insert(at);
            }
        }
    }

    /// The next entry. Says whether the list has changed.
    pub(crate) fn apply(&mut self, place: Place, entry: &Entry) -> bool {
        if place <= self.read {
            return false;
        }
        self.read = place;
        let known = self
            .members
            .get_mut(&entry.from.name)
            .filter(|member| member.node == entry.from);
        if let Some(member) = known {
            member.wrote = place;
        }
        let changed = match &entry.kind {
            Kind::Join { address, known } => self.join(place, &entry.from, address, known),
            Kind::Suspect { whom, after } => {
                let out = self.member(whom).is_some_and(|it| it.wrote <= *after);
                out && self.remove(place, &whom.name)
            }
            Kind::Found { after } if self.has(&entry.from) => {
                let silent = self.members.iter().filter(|(_, it)| it.wrote <= *after);
                let silent: Vec<_> = silent.map(|(name, _)| name.clone()).collect();
                let removed = silent.iter().filter(|name| self.remove(place, name));
                removed.count() > 0
            }
            Kind::Leave { .. } => self.has(&entry.from) && self.remove(place, &entry.from.name),
            Kind::Forget { name } if self.has(&entry.from) => self.gone.remove(name).is_some(),
            Kind::Found { .. } | Kind::Tick { .. } | Kind::Yield { .. } | Kind::Forget { .. } => {
                false
            }
        };
        if changed {
            self.epoch = place;
        }
        changed
    }

    fn join(&mut self, place: Place, node: &Node, address: &Arc<str>, known: &Known) -> bool {
        let again = self.members.contains_key(&node.name);
        if self.has(node) || !again && self.members.len() >= MOST {
            return false;
        }
        let member = Listed {
            node: node.clone(),
            address: address.clone(),
            wrote: place,
            again,
        };
        self.gone.remove(&node.name);
        self.members.insert(node.name.clone(), member);
        // Who knew this very list knew no more than is in it.
        if known.origin != self.origin {
            self.miss(known, place);
        }
        true
    }

    fn remove(&mut self, place: Place, name: &Arc<str>) -> bool {
        if self.members.remove(name).is_none() {
            return false;
        }
        self.gone.insert(name.clone(), place);
        if self.gone.len() > MOST_GONE {
            let first = self.gone.iter().min_by_key(|(_, at)| **at);
            let first = first.map(|(name, _)| name.clone());
            self.gone.retain(|name, _| Some(name) != first.as_ref());
        }
        true
    }
}
