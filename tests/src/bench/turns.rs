//! Who is measured when.
//!
//! What is measured first in a turn, or behind a certain other one, finds the machine in
//! another condition: another's connections have been idle for longer, other caches are
//! warm. So everybody has each place, and comes behind each of the others, equally often.
//! (A Latin square that is balanced for what is carried over: Williams, 1949.)

/// The order in which `all` are measured in this turn. It is balanced after as many turns as
/// there are, or twice as many where they are an odd number.
pub(super) fn order(turn: usize, all: usize) -> Vec<usize> {
    // 0, 1, the last one, 2, the one before: the steps between them are all different.
    let zigzag = (0..all).map(|at| match at % 2 {
        0 => (all - at / 2) % all,
        _ => at / 2 + 1,
    });
    let mut order: Vec<usize> = zigzag.map(|who| (who + turn) % all).collect();
    // With an odd number, each step comes twice in one direction and never in the other.
    if all % 2 == 1 && turn / all % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn everybody_has_each_place_and_follows_each_other_equally_often() {
        for all in 2..8 {
            let turns = all * (1 + all % 2);
            let (mut places, mut pairs) = (BTreeMap::new(), BTreeMap::new());
            for turn in 0..turns {
                let order = order(turn, all);
                for place in order.iter().enumerate() {
                    *places.entry((place.0, *place.1)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(places.len(), all * all, "{all}");
            assert_eq!(pairs.len(), all * (all - 1), "{all}");
            assert!(places.values().all(|n| *n == turns / all), "{places:?}");
            assert!(pairs.values().all(|n| *n == turns / all), "{pairs:?}");
        }
    }
}
