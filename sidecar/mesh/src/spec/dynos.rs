//! The dynos of an app as configured: a list whose copies share what is the same.
//!
//! An app may have thousands, and each change works on a copy. So they are in
//! blocks: to copy the list is to copy pointers, to change a dyno copies its block.

use std::{fmt, iter, ops::Index, slice, sync::Arc};

use crate::DynoSpec;

/// Dynos in a block. Of 10,000, a change copies about as many pointers as dynos.
const BLOCK: usize = 64;

/// Dynos in the order they were added.
#[derive(Clone, Default)]
pub struct DynoSpecs {
    /// None is empty.
    blocks: Vec<Block>,
}

impl DynoSpecs {
    /// How many.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> Iter<'_> {
        self.into_iter()
    }

    /// Adds one at the end.
    pub fn push(&mut self, dyno: DynoSpec) {
        match self.blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => Arc::make_mut(block).push(dyno),
            None => self.blocks.push(Arc::new(vec![dyno])),
        }
    }

    /// Puts another one in the place of one.
    pub fn set(&mut self, index: usize, dyno: DynoSpec) {
        let (block, index) = self.place(index);
        Arc::make_mut(&mut self.blocks[block])[index] = dyno;
    }

    /// Takes one out.
    pub fn remove(&mut self, index: usize) -> DynoSpec {
        let (at, index) = self.place(index);
        let block = Arc::make_mut(&mut self.blocks[at]);
        let dyno = block.remove(index);
        let rest = block.len();
        let next = self.blocks.get(at + 1).map_or(BLOCK, |next| next.len());
        if rest == 0 {
            self.blocks.remove(at);
        } else if rest + next <= BLOCK / 2 {
            // Or there would be a block for each dyno some day.
            let next = self.blocks.remove(at + 1);
            Arc::make_mut(&mut self.blocks[at]).extend_from_slice(&next);
        }
        dyno
    }

    /// How many at the beginning, and how many at the end, are the same for sure.
    pub(crate) fn shared_with(&self, other: &Self) -> (usize, usize) {
        let same = |(a, b): &(&Block, &Block)| Arc::ptr_eq(a, b);
        let count = |(block, _): (&Block, _)| block.len();
        let (mine, others) = (&self.blocks, &other.blocks);
        let first = mine.iter().zip(others).take_while(same).count();
        let (rest, others) = (&mine[first..], &others[first..]);
        let last = rest.iter().rev().zip(others.iter().rev()).take_while(same);
        let first = mine.iter().zip(&other.blocks).take(first);
        (first.map(count).sum(), last.map(count).sum())
    }

    /// Which block, and where in it.
    fn place(&self, mut index: usize) -> (usize, usize) {
        for (at, block) in self.blocks.iter().enumerate() {
            match index.checked_sub(block.len()) {
                Some(rest) => index = rest,
                None => return (at, index),
            }
        }
        panic!("there are only {} dynos", self.len());
    }
}

impl Index<usize> for DynoSpecs {
    type Output = DynoSpec;

    fn index(&self, index: usize) -> &DynoSpec {
        let (block, index) = self.place(index);
        &self.blocks[block][index]
    }
}

impl FromIterator<DynoSpec> for DynoSpecs {
    fn from_iter<I: IntoIterator<Item = DynoSpec>>(dynos: I) -> Self {
        let mut dynos = dynos.into_iter();
        let block = || {
            let mut block: Vec<_> = dynos.by_ref().take(BLOCK).collect();
            // Most apps have few, and there are many of these.
            block.shrink_to_fit();
            (!block.is_empty()).then(|| Arc::new(block))
        };
        Self {
            blocks: iter::from_fn(block).collect(),
        }
    }
}

impl<'a> IntoIterator for &'a DynoSpecs {
    type Item = &'a DynoSpec;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        let dynos: fn(&'a Block) -> slice::Iter<'a, DynoSpec> = |block| block.iter();
        self.blocks.iter().flat_map(dynos)
    }
}

type Block = Arc<Vec<DynoSpec>>;

/// Dynos one after the other.
type Iter<'a> = iter::FlatMap<
    slice::Iter<'a, Block>,
    slice::Iter<'a, DynoSpec>,
    fn(&'a Block) -> slice::Iter<'a, DynoSpec>,
>;

impl PartialEq for DynoSpecs {
    fn eq(&self, other: &Self) -> bool {
        let same = self.blocks.len() == other.blocks.len()
            && iter::zip(&self.blocks, &other.blocks).all(|(a, b)| Arc::ptr_eq(a, b));
        same || self.iter().eq(other)
    }
}

impl Eq for DynoSpecs {}

impl fmt::Debug for DynoSpecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::DynoState;

    fn dyno(number: u16) -> DynoSpec {
        DynoSpec {
            name: number.to_string().into(),
            instance: "i".into(),
            address: "127.0.0.1:1".parse().expect("an address"),
            limit: None,
            state: DynoState::Up,
        }
    }

    proptest! {
        #[test]
        fn is_like_a_vec(
            start in 0..300_u16,
            steps in prop::collection::vec((0..4_u8, 0..1_000_usize), 0..400),
        ) {
            let mut list: DynoSpecs = (0..start).map(dyno).collect();
            let mut model: Vec<_> = (0..start).map(dyno).collect();
            for (number, (what, at)) in steps.into_iter().enumerate() {
                let (before, was) = (list.clone(), model.clone());
                let new = dyno(1_000 + number as u16);
                match (what, at % model.len().max(1)) {
                    (0, at) if !model.is_empty() => {
                        list.set(at, new.clone());
                        model[at] = new;
                    }
                    (1 | 2, at) if !model.is_empty() => {
                        prop_assert_eq!(list.remove(at), model.remove(at));
                    }
                    _ => {
                        list.push(new.clone());
                        model.push(new);
                    }
                }
                prop_assert!(list.iter().eq(&model));
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
                if let Some(last) = model.len().checked_sub(1) {
                    prop_assert_eq!(&list[last], &model[last]);
                }
                // A copy does not notice, and what is shared is the same.
                prop_assert!(before.iter().eq(&was));
                prop_assert_eq!(&before, &was.iter().cloned().collect());
                let (first, last) = list.shared_with(&before);
                prop_assert!(first + last <= list.len().min(was.len()));
                prop_assert_eq!(&model[..first], &was[..first]);
                prop_assert_eq!(&model[model.len() - last..], &was[was.len() - last..]);
                // Only where something changed is it not.
                prop_assert!(model.len() - first - last <= 2 * BLOCK);
            }
        }
    }
}
