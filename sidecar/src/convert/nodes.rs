//! Which sidecars there are, as operators see it.

use dynomesh_proto::v1;
use members::{SHARDS, Shard};

use super::millis;
use crate::driver::{MemberView, MembersView, Part};

/// All that is known of them, as a message.
pub fn nodes(view: &MembersView) -> v1::NodesResponse {
    let own_shards = view.may_grant.len();
    let members = view.members.iter();
    v1::NodesResponse {
        membership: Some(membership_status(view)),
        members: members.map(|it| member_status(it, own_shards)).collect(),
        may_grant: bits(&view.may_grant),
        gone: view.gone.iter().map(|name| (**name).into()).collect(),
    }
}

/// This sidecar's part, as a message.
pub fn membership_status(view: &MembersView) -> v1::MembershipStatus {
    let standing = match view.part {
        Part::None => v1::MemberStanding::None,
        Part::Joining => v1::MemberStanding::Joining,
        Part::Member => v1::MemberStanding::Member,
        Part::Left => v1::MemberStanding::Left,
    };
    v1::MembershipStatus {
        standing: standing.into(),
        problem: view.problem.as_deref().unwrap_or_default().into(),
        epoch: view.epoch.unwrap_or(0),
        lease_ms: millis(view.lease),
        members: count(view.members.len()),
        may_grant: count(view.may_grant.len()),
        skipped: view.skipped,
    }
}

fn member_status(member: &MemberView, own_shards: usize) -> v1::MemberStatus {
    v1::MemberStatus {
        name: (*member.node.name).into(),
        life: format!("{:016x}", member.node.life),
        address: (*member.address).into(),
        own: member.is_own,
        shards: count(member.shards),
        may_grant: if member.is_own { count(own_shards) } else { 0 },
        age_ms: member.age.map(millis),
    }
}

fn bits(shards: &[Shard]) -> Vec<u8> {
    let mut bits = vec![0; SHARDS / 8];
    for shard in shards {
        bits[shard.index() / 8] |= 1 << (shard.index() % 8);
    }
    bits
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_its_bit() {
        let some: Vec<_> = Shard::all().filter(|it| it.index() % 9 == 0).collect();
        let bits = bits(&some);
        assert_eq!(bits.len(), 32);
        assert_eq!((bits[0], bits[1]), (0b1, 0b10));
        let set: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(set, 29);
    }
}
