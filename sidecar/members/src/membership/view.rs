//! What can be seen of it from outside.

use std::sync::Arc;

use super::{Membership, Phase};
use crate::{Kind, Known, Node, Time};

impl Membership {
    /// Until when it may grant, if it writes nothing more that comes back.
    pub fn lease(&self) -> Option<Time> {
        self.lease
    }

    /// Who was a member, and may hold something still.
    pub fn gone(&self) -> impl Iterator<Item = &Arc<str>> {
        self.member()
            .into_iter()
            .flat_map(|member| member.list.gone())
    }

    /// Whom it knows, for its next life.
    pub fn known(&self) -> Known {
        let Some(member) = self.member() else {
            return self.known.clone();
        };
        let members = member.list.members().map(|it| &it.node.name);
        let known = members.chain(member.list.gone());
        let others = known.filter(|name| **name != self.me.name);
        Known {
            origin: member.list.origin(),
            names: others.cloned().collect(),
        }
    }

    /// Whatever the one of this name holds is over: its host is known to be dead. Says
    /// whether it is one of whom that can be said.
    pub fn forget(&mut self, name: &str) -> bool {
        let is_gone = self.gone().any(|gone| **gone == *name);
        let can = is_gone && matches!(self.phase, Phase::Member(_));
        if can {
            self.write(Kind::Forget { name: name.into() });
        }
        can
    }

    /// When something by this member was read last, if anything was.
    pub fn heard(&self, node: &Node) -> Option<Time> {
        match &self.phase {
            Phase::Member(member) => member.heard.get(node).copied(),
            Phase::Joining(_) | Phase::Left(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Entry, Output, Shard, Standing, Timing};

    fn new(name: &str, known: Known, now: Time) -> Membership {
        let name = name.into();
        let me = Node { name, life: 1 };
        Membership::new(me, "here:1", Timing::default(), known, now)
    }

    /// Lets both write and read, step by step, until they have heard of each other.
    fn pair() -> (Membership, Membership, Time) {
        let mut now = Time::from_micros(10_000_000);
        let mut both = ["a", "b"].map(|name| new(name, Known::default(), now));
        let mut place = 0;
        let know = |one: &Membership, other: &Membership| one.heard(other.me()).is_some();
        while !know(&both[0], &both[1]) || !know(&both[1], &both[0]) {
            now = now + Duration::from_millis(10);
            for at in 0..2 {
                both[at].handle_timeout(now);
                while let Some(output) = both[at].poll_output() {
                    let Output::Write(entry) = output else {
                        continue;
                    };
                    place += 1;
                    both.iter_mut().for_each(|it| it.entry(place, &entry, now));
                }
            }
            assert!(place < 1_000, "they never know each other");
        }
        let [a, b] = both;
        (a, b, now)
    }

    /// Nobody else writes anything behind this place. Returns when that is, and the last
    /// place.
    fn until_it_founds(it: &mut Membership, mut now: Time, first: u64) -> (Time, u64) {
        let mut place = first;
        while it.standing() == Standing::Joining {
            now = now + Duration::from_millis(10);
            it.handle_timeout(now);
            while let Some(output) = it.poll_output() {
                if let Output::Write(entry) = output {
                    place += 1;
                    it.entry(place, &entry, now);
                }
            }
            assert!(place < first + 1_000, "it never founds");
        }
        (now, place)
    }

    #[test]
    fn a_member_has_a_lease_and_hears_the_other_one() {
        let (a, b, now) = pair();
        for (it, other) in [(&a, &b), (&b, &a)] {
            let lease = it.lease().expect("a lease");
            assert!(lease > now && lease <= now + Timing::default().lease);
            assert!(Shard::all().all(|shard| !it.may_grant(shard, lease)));
            assert!(it.heard(other.me()).is_some_and(|heard| heard <= now));
        }
    }

    #[test]
    fn who_founds_anew_has_not_forgotten_whom_it_knew() {
        let (mut a, _, now) = pair();
        a.begin_anew(now);
        assert_eq!(a.standing(), Standing::Joining);
        // The other one says nothing any more.
        until_it_founds(&mut a, now, 1_000);
        assert_eq!(a.gone().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
        let ownership = a.ownership().expect("it is a member");
        assert!(ownership.peers.contains(&mesh::PeerId::of("b")));
    }

    #[test]
    fn whom_the_founder_did_not_know_is_known_when_somebody_comes_who_does() {
        let join = |origin, life| Entry {
            from: Node {
                name: "b".into(),
                life,
            },
            kind: Kind::Join {
                address: "there:1".into(),
                known: Known {
                    origin,
                    names: ["a", "c"].map(Into::into).into(),
                },
            },
        };
        let now = Time::from_micros(10_000_000);
        let mut a = new("a", Known::default(), now);
        let (now, place) = until_it_founds(&mut a, now, 100);
        let gone = |a: &Membership| a.gone().map(|it| it.to_string()).collect::<Vec<_>>();
        // Whoever went since it was founded is known.
        let origin = a.known().origin;
        a.entry(place + 1, &join(origin, 1), now);
        assert_eq!(gone(&a), [""; 0]);
        a.entry(place + 2, &join(99, 2), now);
        assert_eq!(gone(&a), ["c"]);
        a.forget("c");
        while let Some(output) = a.poll_output() {
            if let Output::Write(entry) = output {
                a.entry(place + 3, &entry, now);
            }
        }
        assert_eq!(gone(&a), [""; 0]);
        a.entry(place + 5, &join(origin, 3), now);
        assert_eq!(gone(&a), [""; 0], "it is known to be forgotten");
        a.entry(place + 6, &join(99, 4), now);
        assert_eq!(gone(&a), ["c"]);
        assert_eq!(a.known().names, ["b", "c"].map(Into::into).into());
    }

    #[test]
    fn who_has_left_has_nothing_to_show() {
        let (mut a, b, now) = pair();
        a.leave(now);
        assert_eq!((a.lease(), a.heard(b.me())), (None, None));
        assert_eq!(a.standing(), Standing::Left);
    }
}
