//! The dynos of one app that may have a request now, by load.
//!
//! Every operation takes constant time in the number of dynos: a dyno changes
//! place by swapping with the last one of its level, and the least loaded level
//! is the first set bit of a bitmap with one bit for each load up to
//! [`MAX_LOAD`]. Those with one request or none, where most dynos are, are at hand
//! without it.

use std::num::NonZeroU32;

use rand::{Rng, RngExt};
use smallvec::SmallVec;

use crate::DynoKey;

/// Most requests at once for any dyno: the number of levels is bounded by it.
pub const MAX_LOAD: u32 = 65_535;

/// A place in a list, so that `Option<Place>` is as small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(NonZeroU32);

impl Place {
    /// That of who was added just now to a list.
    pub(crate) fn last_of<T>(list: &[T]) -> Self {
        Self(NonZeroU32::new(list.len() as u32).unwrap_or(NonZeroU32::MIN))
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Where a dyno stands in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    level: Load,
    place: Place,
}

/// Up to [`MAX_LOAD`].
type Load = u16;

/// Small: an app has it on the first line of memory that a request reads of it.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    len: u32,
    /// The lowest levels.
    low: [Level; LOW],
    /// The other ones, once there was need of them.
    busy: Option<Box<Busy>>,
}

const LOW: usize = 2;

/// The dynos of one level. Most apps have few, and these stand in the pool itself:
/// with many apps, a checkout waits for memory and for nothing else.
type Level = SmallVec<[DynoKey; 4]>;

/// The levels of dynos that have more requests.
#[derive(Debug, Default)]
struct Busy {
    levels: Vec<Level>,
    /// One bit for each of these that is not empty.
    occupied: Vec<u64>,
}

impl Pool {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The load that a slot stands for, and who is there.
    pub(crate) fn at(&self, slot: Slot) -> (u32, Option<DynoKey>) {
        let level = slot.level as usize;
        let dynos = match self.low.get(level) {
            None => self
                .busy
                .as_ref()
                .and_then(|busy| busy.levels.get(level - LOW)),
            low => low,
        };
        let dyno = dynos.and_then(|dynos| dynos.get(slot.place.index()));
        (slot.level.into(), dyno.copied())
    }

    /// Adds a dyno that has `level` requests.
    pub(crate) fn insert(&mut self, level: u32, dyno: DynoKey) -> Slot {
        self.len += 1;
        let dynos = match self.low.get_mut(level as usize) {
            Some(low) => low,
            None => self
                .busy
                .get_or_insert_default()
                .enter(level as usize - LOW),
        };
        dynos.push(dyno);
        Slot {
            level: level as Load,
            place: Place::last_of(dynos),
        }
    }

    /// Takes a dyno out. Another one may have to move into its place: it is
    /// returned with its new slot.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<(DynoKey, Slot)> {
        self.len -= 1;
        let level = slot.level as usize;
        let moved = match self.low.get_mut(level) {
            Some(low) => take(low, slot.place),
            None => self.busy.as_mut()?.remove(level - LOW, slot.place),
        };
        moved.map(|moved| (moved, slot))
    }

    /// One of the least loaded dynos, each equally likely.
    pub(crate) fn pick(&self, rng: &mut impl Rng) -> Option<DynoKey> {
        let low = self.low.iter().find(|level| !level.is_empty());
        let least = match low {
            Some(low) => low,
            None => self.busy.as_ref()?.least()?,
        };
        match least[..] {
            [only] => Some(only),
            _ => least
                .get(rng.random_range(0..least.len() as u32) as usize)
                .copied(),
        }
    }
}

impl Busy {
    /// A level that is about to get a dyno.
    fn enter(&mut self, at: usize) -> &mut Level {
        if self.levels.len() <= at {
            self.levels.resize_with(at + 1, Level::default);
            self.occupied.resize(at / 64 + 1, 0);
        }
        self.occupied[at / 64] |= 1 << (at % 64);
        &mut self.levels[at]
    }

    fn remove(&mut self, at: usize, place: Place) -> Option<DynoKey> {
        let level = &mut self.levels[at];
        let moved = take(level, place);
        if level.is_empty() {
            self.occupied[at / 64] &= !(1 << (at % 64));
        }
        moved
    }

    fn least(&self) -> Option<&Level> {
        let mut words = self.occupied.iter().enumerate();
        let (word, bits) = words.find(|(_, bits)| **bits != 0)?;
        self.levels.get(word * 64 + bits.trailing_zeros() as usize)
    }
}

/// The last one takes the place of the one taken out, and is returned, unless it is
/// that one.
fn take(level: &mut Level, place: Place) -> Option<DynoKey> {
    level.swap_remove(place.index());
    level.get(place.index()).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    /// Keeps the slots, as the mesh does.
    #[derive(Default)]
    struct Slots(Pool, HashMap<DynoKey, Slot>);

    impl Slots {
        fn put(&mut self, dyno: u32, level: u32) {
            self.take(dyno);
            let slot = self.0.insert(level, DynoKey(dyno));
            self.1.insert(DynoKey(dyno), slot);
        }

        fn take(&mut self, dyno: u32) {
            if let Some(slot) = self.1.remove(&DynoKey(dyno)) {
                assert_eq!(self.0.at(slot).1, Some(DynoKey(dyno)));
                self.1.extend(self.0.remove(slot));
            }
        }
    }

    #[test]
    fn the_least_loaded_is_picked() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut slots = Slots::default();
        assert_eq!(slots.0.pick(&mut rng), None);
        // Beyond one word of the bitmap, and at the very end.
        for (dyno, level) in [
            (1, MAX_LOAD - 1),
            (2, 200),
            (3, 64),
            (4, 65),
            (5, 1),
            (6, 0),
        ] {
            slots.put(dyno, level);
            assert!(slots.0.pick(&mut rng).is_some());
        }
        let mut order = Vec::new();
        while let Some(dyno) = slots.0.pick(&mut rng) {
            order.push(dyno.0);
            slots.take(dyno.0);
        }
        assert_eq!(order, [6, 5, 3, 4, 2, 1]);
        assert!(slots.0.is_empty());
    }

    #[test]
    fn slots_stay_right_as_dynos_move() {
        let mut rng = SmallRng::seed_from_u64(2);
        let mut slots = Slots::default();
        let mut levels: HashMap<u32, u32> = HashMap::new();
        for _ in 0..20_000 {
            let (dyno, level) = (rng.random_range(0..40), rng.random_range(0..130));
            match rng.random_bool(0.3) {
                true => {
                    slots.take(dyno);
                    levels.remove(&dyno);
                }
                false => {
                    slots.put(dyno, level);
                    levels.insert(dyno, level);
                }
            }
            assert_eq!(slots.0.len() as usize, levels.len());
            let picked = slots.0.pick(&mut rng).map(|dyno| levels[&dyno.0]);
            assert_eq!(picked, levels.values().min().copied());
        }
    }

    #[test]
    fn equals_are_equally_likely_wherever_they_stand() {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut slots = Slots::default();
        for dyno in 0..30 {
            slots.put(dyno, dyno % 3);
        }
        // Dynos leave and come back between the picks, as in use.
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            let DynoKey(dyno) = slots.0.pick(&mut rng).unwrap_or(DynoKey(1));
            counts[dyno as usize / 3] += 1;
            slots.put(dyno, 1);
            slots.put(dyno, 0);
        }
        let chi: f64 = counts
            .iter()
            .map(|n| (f64::from(*n) - 2e3).powi(2) / 2e3)
            .sum();
        // 99.9 % of honest choices among 10 stay below.
        assert!(chi < 27.9, "{chi} {counts:?}");
    }
}
