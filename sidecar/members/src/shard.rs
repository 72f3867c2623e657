//! Whose a shard is.

use mesh::Shard;

use crate::{Node, entry::Listed};

/// The one of these that it is drawn to most.
pub(crate) fn owner<'a>(
    shard: Shard,
    members: impl Iterator<Item = &'a Listed>,
) -> Option<&'a Node> {
    let nodes = members.map(|member| &member.node);
    nodes.max_by_key(|node| (shard.weight(&node.name), &node.name))
}

#[cfg(test)]
mod tests {
    use mesh::SHARDS;

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
    fn who_comes_takes_its_share_from_everybody_and_nothing_else_moves() {
        for count in 1..20_usize {
            let mut members: Vec<_> = (0..count).map(|n| member(&format!("host-{n}"))).collect();
            let owners = |members: &[Listed]| -> Vec<_> {
                let owner = |shard| owner(shard, members.iter()).cloned();
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
            let fair = SHARDS / (count + 1);
            let moved = changed.count();
            assert!(
                moved > fair / 3 && moved < fair * 2,
                "{moved} of {count}, fair is {fair}"
            );
        }
    }
}
