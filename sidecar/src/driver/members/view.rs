//! What operators see of the members.

use std::{sync::Arc, time::Duration};

use members::{Listed, Membership, Node, Shard, Standing, Time};

use super::{Driver, State};

/// What this sidecar is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it decides for itself.
    None,
    /// It does not know the members yet.
    Joining,
    /// One of them.
    Member,
    /// It has left, for good.
    Left,
}

/// The members, as this sidecar knows them.
#[derive(Clone, Debug)]
pub struct MembersView {
    /// What it is itself.
    pub part: Part,
    /// Why it takes no part, or is cut off.
    pub problem: Option<Arc<str>>,
    /// The place of the last change.
    pub epoch: Option<u64>,
    /// How long it may grant yet.
    pub lease: Duration,
    /// What it may grant for at this moment.
    pub may_grant: Vec<Shard>,
    /// All of them, by name.
    pub members: Vec<MemberView>,
    /// Who was one and has not come back, by name.
    pub gone: Vec<Arc<str>>,
    /// What was no entry.
    pub skipped: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Who.
    pub node: Node,
    /// Where it is reached.
    pub address: Arc<str>,
    /// This sidecar.
    pub is_own: bool,
    /// How many shards are its.
    pub shards: usize,
    /// Since something by it was read.
    pub age: Option<Duration>,
}

impl Driver {
    /// Who decides about this app, if it is exact and there are members.
    pub fn owner_of(&self, app: &str) -> Option<Arc<str>> {
        let state = self.members.state.lock();
        let owner = state.membership.as_ref()?.owner(Shard::of(app))?;
        Some(owner.node.name.clone())
    }

    /// The members at this moment.
    pub fn members_view(&self) -> MembersView {
        let state = self.members.state.lock();
        let now = self.clock.now();
        let membership = state.membership.as_ref();
        let members = membership.into_iter().flat_map(Membership::members);
        MembersView {
            part: state.part(),
            problem: state.problem.clone(),
            epoch: membership.and_then(Membership::epoch),
            lease: membership
                .and_then(Membership::lease)
                .map_or(Duration::ZERO, |until| until.since(now)),
            may_grant: Shard::all()
                .filter(|shard| membership.is_some_and(|it| it.may_grant(*shard, now)))
                .collect(),
            members: members
                .filter_map(|listed| Some(member(membership?, listed, now)))
                .collect(),
            gone: membership
                .map(|it| it.gone().cloned().collect())
                .unwrap_or_default(),
            skipped: state.skipped,
        }
    }
}

impl State {
    fn part(&self) -> Part {
        let standing = self.membership.as_ref().map(Membership::standing);
        match (&self.post, standing) {
            (None, _) => Part::None,
            (Some(_), None | Some(Standing::Joining)) => Part::Joining,
            (Some(_), Some(Standing::Member)) => Part::Member,
            (Some(_), Some(Standing::Left)) => Part::Left,
        }
    }
}

fn member(membership: &Membership, listed: &Listed, now: Time) -> MemberView {
    let is_its = |shard: &Shard| {
        let owner = membership.owner(*shard);
        owner.is_some_and(|owner| owner.node == listed.node)
    };
    MemberView {
        node: listed.node.clone(),
        address: listed.address.clone(),
        is_own: listed.node == *membership.me(),
        shards: Shard::all().filter(is_its).count(),
        age: membership.heard(&listed.node).map(|at| now.since(at)),
    }
}
