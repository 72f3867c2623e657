//! Parts of the apps, and whose each is.

use crate::{Node, entry::Listed};

/// How many shards there are, whatever the number of members.
pub const SHARDS: u16 = 256;

/// Some of the apps: those that one member decides for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// The shard of an app, the same on every host and in every version.
    pub fn of(app: &str) -> Self {
        Self((mix(hash(app)) % u64::from(SHARDS)) as u16)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// Its number, below [`SHARDS`].
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// Whose it is among these: that with the greatest weight for it, so who comes or
    /// goes takes or leaves its own share and moves nothing between the others.
    pub(crate) fn owner<'a>(self, members: impl Iterator<Item = &'a Listed>) -> Option<&'a Node> {
        let weight = |node: &Node| mix(hash(&node.name) ^ mix(u64::from(self.0) + 1));
        let nodes = members.map(|member| &member.node);
        nodes.max_by_key(|node| (weight(node), &node.name))
    }
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Spreads what differs in few bits: the end of splitmix64, by Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Listed {
        Listed {
            node: Node {
                name: name.into(),
                life: 1,
            },
            address: "".into(),
            wrote: 0,
            again: false,
        }
    }

    #[test]
    fn shards_are_where_they_have_always_been() {
        // Sidecars of several versions work together: these never change.
        assert_eq!(Shard::of("").index(), 155);
        assert_eq!(Shard::of("app-1").index(), 69);
    }

    #[test]
    fn who_comes_takes_its_share_from_everybody_and_nothing_else_moves() {
        for count in 1..20_usize {
            let mut members: Vec<_> = (0..count).map(|n| member(&format!("host-{n}"))).collect();
            let owners = |members: &[Listed]| -> Vec<_> {
                let owner = |shard: Shard| shard.owner(members.iter()).cloned();
                Shard::all().map(owner).collect()
            };
            let before = owners(&members);
            let new = member("new");
            members.push(new.clone());
            let after = owners(&members);
            let changed = before.iter().zip(&after).filter(|(a, b)| a != b);
            assert!(
                changed
                    .clone()
                    .all(|(_, owner)| *owner == Some(new.node.clone()))
            );
            let fair = usize::from(SHARDS) / (count + 1);
            let moved = changed.count();
            assert!(
                moved > fair / 3 && moved < fair * 2,
                "{moved} of {count}, fair is {fair}"
            );
        }
    }
}
