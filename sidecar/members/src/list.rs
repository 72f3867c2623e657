//! The members, as of one place in the log.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Entry, Kind, Node, Place, Shard,
    entry::{Listed, Listing},
};

/// Most members. Who comes when there are so many has to wait for one to go.
const MOST: usize = 64;

/// The same for everybody who has read as far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    read: Place,
    epoch: Place,
    /// By name.
    members: BTreeMap<Arc<str>, Listed>,
}

impl List {
    pub(crate) fn new(listing: &Listing) -> Self {
        let members = listing.members.iter().take(MOST);
        Self {
            read: listing.read,
            epoch: listing.epoch,
            members: members
                .map(|member| (member.node.name.clone(), member.clone()))
                .collect(),
        }
    }

    /// One that begins with a single member, which has just written at this place.
    pub(crate) fn found(founder: Listed) -> Self {
        Self {
            read: founder.wrote,
            epoch: founder.wrote,
            members: BTreeMap::from([(founder.node.name.clone(), founder)]),
        }
    }

    pub(crate) fn listing(&self) -> Listing {
        Listing {
            read: self.read,
            epoch: self.epoch,
            members: self.members.values().cloned().collect(),
        }
    }

    pub(crate) fn epoch(&self) -> Place {
        self.epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Listed> {
        self.members.values()
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
        shard.owner(self.members.values())
    }

    /// By shard, who would have each without this one.
    pub(crate) fn owners_without(&self, node: &Node) -> Vec<Option<Node>> {
        let others = || self.members.values().filter(|it| it.node != *node);
        Shard::all()
            .map(|shard| shard.owner(others()).cloned())
            .collect()
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
            Kind::Join { address } => self.join(place, &entry.from, address),
            Kind::Suspect { whom, after } => {
                let out = self.member(whom).is_some_and(|it| it.wrote <= *after);
                out && self.members.remove(&whom.name).is_some()
            }
            Kind::Found { after } if self.has(&entry.from) => {
                let before = self.members.len();
                self.members.retain(|_, member| member.wrote > *after);
                self.members.len() != before
            }
            Kind::Leave { .. } => {
                self.has(&entry.from) && self.members.remove(&entry.from.name).is_some()
            }
            Kind::Found { .. } | Kind::Tick { .. } | Kind::Yield { .. } => false,
        };
        if changed {
            self.epoch = place;
        }
        changed
    }

    fn join(&mut self, place: Place, node: &Node, address: &Arc<str>) -> bool {
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
        self.members.insert(node.name.clone(), member);
        true
    }
}
