//! Who joins, and does not know the others yet.

use std::sync::Arc;

use crate::{
    Entry, Kind, Known, Node, Place, Time,
    entry::{Listed, Listing},
    list::List,
};

/// Entries that are kept until a list comes. With more, it joins anew.
const MOST: usize = 10_000;

/// What has come since the join.
#[derive(Debug, Default)]
pub(crate) struct Learner {
    join: Option<Joined>,
    /// What came since.
    entries: Vec<(Place, Entry)>,
}

#[derive(Debug)]
struct Joined {
    place: Place,
    address: Arc<str>,
    known: Known,
    /// Where a member wrote something last, or this place.
    last_word: Place,
    /// When that came.
    quiet_since: Time,
    /// Own ticks that came back since.
    ticks: u32,
    /// Where somebody founded a list last, or this place: who has not read as far may have
    /// one that is out.
    founded: Place,
}

/// How it ends.
#[derive(Debug)]
pub(crate) enum Learned {
    /// Not yet.
    Nothing,
    /// From a member: the list as of the last entry. It is just as it became with the
    /// join, or it has changed since.
    List {
        list: List,
        since_join: bool,
        /// What others have given up since.
        yields: Vec<(Node, Place)>,
    },
    /// There was none, and this one counts.
    Founded(List),
    /// The join does not count.
    Out,
}

impl Learner {
    pub(crate) fn has_joined(&self) -> bool {
        self.join.is_some()
    }

    /// The place after which no member has written, if it is time to found.
    pub(crate) fn founds(&self, now: Time, wait: std::time::Duration) -> Option<Place> {
        let join = self.join.as_ref()?;
        let quiet = now >= join.quiet_since + wait && join.ticks >= 3;
        quiet.then_some(join.last_word)
    }

    /// The next entry.
    pub(crate) fn hear(&mut self, place: Place, entry: &Entry, me: &Node, now: Time) -> Learned {
        let own = entry.from == *me;
        let Some(join) = &mut self.join else {
            if let Kind::Join { address, known } = &entry.kind
                && own
            {
                self.join = Some(Joined {
                    place,
                    address: address.clone(),
                    known: known.clone(),
                    last_word: place,
                    quiet_since: now,
                    ticks: 0,
                    founded: place,
                });
            }
            return Learned::Nothing;
        };
        if place <= join.place {
            return Learned::Nothing;
        }
        self.entries.push((place, entry.clone()));
        if matches!(entry.kind, Kind::Found { .. }) {
            join.founded = place;
        }
        match &entry.kind {
            Kind::Tick {
                listing: Some(listing),
                ..
            } if !own && listing.read >= join.founded => return self.learn(listing, me),
            Kind::Found { after } if own && join.last_word <= *after => {
                return self.found(me);
            }
            Kind::Found { .. } if own => {}
            Kind::Tick { .. } if own => join.ticks += 1,
            _ if !own && is_by_member(&entry.kind) => {
                (join.last_word, join.quiet_since, join.ticks) = (place, now, 0);
            }
            _ => {}
        }
        match self.entries.len() > MOST {
            true => Learned::Out,
            false => Learned::Nothing,
        }
    }

    fn learn(&self, listing: &Listing, me: &Node) -> Learned {
        let joined = self.join.as_ref().map(|join| join.place);
        let mut list = List::new(listing);
        if !list.has(me) {
            return Learned::Out;
        }
        let mut since_join = joined == Some(listing.epoch);
        for (place, entry) in &self.entries {
            since_join &= !list.apply(*place, entry);
        }
        match list.has(me) {
            true => Learned::List {
                list,
                since_join,
                yields: self.yields().collect(),
            },
            false => Learned::Out,
        }
    }

    fn yields(&self) -> impl Iterator<Item = (Node, Place)> {
        self.entries
            .iter()
            .filter_map(|(_, entry)| match entry.kind {
                Kind::Yield { epoch } => Some((entry.from.clone(), epoch)),
                _ => None,
            })
    }

    /// Nobody else has a list that counts, so it is as it is seen from here.
    fn found(&self, me: &Node) -> Learned {
        let Some(join) = &self.join else {
            return Learned::Nothing;
        };
        let founder = Listed {
            node: me.clone(),
            address: join.address.clone(),
            wrote: join.place,
            again: false,
        };
        let mut list = List::found(founder, &join.known);
        for (place, entry) in &self.entries {
            list.apply(*place, entry);
        }
        match list.has(me) {
            true => Learned::Founded(list),
            false => Learned::Out,
        }
    }
}

/// Only who knows the members writes such.
fn is_by_member(kind: &Kind) -> bool {
    match kind {
        Kind::Tick { member, .. } => *member,
        Kind::Join { .. } => false,
        Kind::Suspect { .. }
        | Kind::Found { .. }
        | Kind::Yield { .. }
        | Kind::Forget { .. }
        | Kind::Leave { .. } => true,
    }
}
