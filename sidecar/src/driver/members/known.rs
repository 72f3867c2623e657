//! Who the other members were, for the next life of this sidecar. Pure, but for the clock,
//! which is that of the wall: a process that is not there can't count.

use std::time::{Duration, SystemTime};

use members::{Known, Membership};

use crate::store::Members;

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed();
    now.map_or(0, |now| now.as_secs())
}

/// What a new [`Membership`] is to know.
pub(super) fn from_disk(members: &Members) -> Known {
    Known {
        epoch: members.epoch,
        names: members.others.keys().cloned().collect(),
    }
}

/// What `membership` knows now. Says whether that is something else.
pub(super) fn update(members: &mut Members, membership: &Membership, now: u64) -> bool {
    let known = membership.known();
    let gone = |name: &str| membership.gone().any(|gone| **gone == *name);
    let others = known.names.into_iter().map(|name| {
        let before = members.others.get(&name).copied().flatten();
        let since = gone(&name).then(|| before.unwrap_or(now));
        (name, since)
    });
    let after = Members {
        epoch: known.epoch,
        others: others.collect(),
    };
    let is_new = after != *members;
    *members = after;
    is_new
}

/// Who is gone for longer than this.
pub(super) fn stale(members: &Members, long: Duration, now: u64) -> impl Iterator<Item = &str> {
    let is_stale = move |since: u64| now.saturating_sub(since) > long.as_secs();
    let others = members.others.iter();
    others
        .filter(move |(_, since)| since.is_some_and(is_stale))
        .map(|(name, _)| &**name)
}
