//! Who this sidecar was. Pure.

use std::collections::VecDeque;

use members::Node;

/// Entries of earlier lives come a moment late, not for ever.
const MOST: usize = 16;

/// Its lives, the latest last.
#[derive(Debug, Default)]
pub(super) struct Lives(VecDeque<Node>);

impl Lives {
    /// This is who it is now.
    pub(super) fn add(&mut self, node: &Node) {
        if self.0.back() == Some(node) {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(node.clone());
    }

    pub(super) fn has(&self, node: &Node) -> bool {
        self.0.contains(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known() {
        let node = |life: usize| Node {
            name: "a".into(),
            life: life as u64,
        };
        let mut lives = Lives::default();
        for life in 0..=MOST {
            lives.add(&node(life));
            lives.add(&node(life));
        }
        assert!(!lives.has(&node(0)));
        assert!((1..=MOST).all(|life| lives.has(&node(life))));
    }
}
