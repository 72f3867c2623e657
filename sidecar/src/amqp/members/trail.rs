//! Where in the stream this sidecar is, and whether it has missed something. Pure.

use crate::amqp::consume::From;

/// The broker leaves out a few places by itself, where a segment begins. What its
/// retention takes away are whole segments, of far more entries.
const MOST_LEFT_OUT: u64 = 8;

/// The last entry that was read: its place, and what tells it from others.
#[derive(Debug, Default)]
pub(super) struct Trail {
    last: Option<(u64, u128)>,
    is_resuming: bool,
}

/// What an entry is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Next,
    /// The last one, once more.
    Again,
    /// It is not known what came before.
    Lost(&'static str),
}

impl Trail {
    /// Where to go on.
    pub(super) fn resume(&mut self) -> From {
        self.is_resuming = self.last.is_some();
        match self.last {
            Some((place, _)) => From::Offset(place),
            None => From::Next,
        }
    }

    /// The first entry has to be one that was read before.
    pub(super) fn is_resuming(&self) -> bool {
        self.is_resuming
    }

    /// Nothing that was read counts any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// An entry comes.
    pub(super) fn see(&mut self, place: u64, mark: u128) -> Step {
        if let Some((last, last_mark)) = self.last {
            if self.is_resuming {
                self.is_resuming = false;
                return match (place, mark) == (last, last_mark) {
                    true => Step::Again,
                    false => Step::Lost("the last entry that was read is not there any more"),
                };
            }
            if place <= last {
                return Step::Lost("the stream is another one");
            }
            if place - last > MOST_LEFT_OUT + 1 {
                return Step::Lost("entries are missing");
            }
        }
        self.last = Some((place, mark));
        Step::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: u64) -> Trail {
        let mut trail = Trail::default();
        assert!(matches!(trail.resume(), From::Next));
        assert!(!trail.is_resuming());
        assert_eq!(trail.see(place, 1), Step::Next);
        trail
    }

    fn is_lost(step: Step) -> bool {
        matches!(step, Step::Lost(_))
    }

    #[test]
    fn entries_follow_each_other_with_small_gaps() {
        let mut trail = at(5);
        assert_eq!(trail.see(6, 2), Step::Next);
        assert_eq!(trail.see(7 + MOST_LEFT_OUT, 3), Step::Next);
        assert!(is_lost(trail.see(9 + 2 * MOST_LEFT_OUT, 4)));
        for earlier in [4, 5] {
            assert!(is_lost(at(5).see(earlier, 9)));
        }
    }

    #[test]
    fn it_goes_on_at_the_very_entry_that_was_the_last() {
        let mut trail = at(5);
        assert!(matches!(trail.resume(), From::Offset(5)));
        assert!(trail.is_resuming());
        assert_eq!(trail.see(5, 1), Step::Again);
        assert!(!trail.is_resuming());
        assert_eq!(trail.see(6, 2), Step::Next);
        for (place, mark) in [(5, 7), (6, 1), (4, 1)] {
            let mut trail = at(5);
            trail.resume();
            assert!(is_lost(trail.see(place, mark)));
        }
        trail.forget();
        assert!(matches!(trail.resume(), From::Next));
    }
}
