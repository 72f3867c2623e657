//! What is in the log.

use std::{collections::BTreeSet, sync::Arc};

/// A place in the log. Places grow, with gaps.
pub type Place = u64;

/// A sidecar, for the life of its process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The host, unique among the members: shards belong to it.
    pub name: Arc<str>,
    /// Random, another one each time that it joins.
    pub life: u64,
}

/// An entry, and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The writer.
    pub from: Node,
    /// What it says.
    pub kind: Kind,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The writer is there. Another life of the same name is over.
    Join {
        /// Where the others reach it.
        address: Arc<str>,
        /// Whom it knows from before.
        known: Known,
    },
    /// The writer is there still.
    Tick {
        /// Counts the ticks of this life.
        number: u64,
        /// The writer knows who is a member.
        member: bool,
        /// The list as the writer has it, while somebody may need it.
        listing: Option<Listing>,
    },
    /// This member is out, unless it has written something after that place.
    Suspect {
        /// Which one.
        whom: Node,
        /// The place.
        after: Place,
    },
    /// Every other member is out that has written nothing after that place.
    Found {
        /// The place.
        after: Place,
    },
    /// The writer grants nothing any more of what it lost in this epoch or before, nor
    /// does anybody who had it before.
    Yield {
        /// The epoch.
        epoch: Place,
    },
    /// This one, who was a member and is none, is known to be gone with everything that
    /// it held.
    Forget {
        /// Its name.
        name: Arc<str>,
    },
    /// The writer is out. It has granted nothing since it wrote this.
    Leave {
        /// Nor may anybody grant who had its shards before this epoch.
        clear: Option<Place>,
    },
}

/// Whom a sidecar knew when it was a member last: they may hold something still.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Which list that was: the life of who founded it.
    pub origin: u64,
    /// Others who were members then, or had been.
    pub names: BTreeSet<Arc<str>>,
}

/// A list of members, for who has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The last place that was read before it.
    pub read: Place,
    /// The place of the last change.
    pub epoch: Place,
    /// The life of who founded it: of who went before it knows what that one knew.
    pub origin: u64,
    /// The members, by name.
    pub members: Vec<Listed>,
    /// Who was one and has not come again, and when it went.
    pub gone: Vec<(Arc<str>, Place)>,
}

/// A member, as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub node: Node,
    /// Where the others reach it.
    pub address: Arc<str>,
    /// Where it wrote something last.
    pub wrote: Place,
    /// It took the place of another life of the same name.
    pub again: bool,
}
