//! A message that the client can't even take off the wire, as one whose routing
//! key is no UTF-8. It would come again for ever, so it is gone around. Pure.

use crate::driver::Position;

/// The same place as often is no accident of the wire.
const SURE: u64 = 3;

/// Where it was stumbled, and how often in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stumble(Option<(Position, u64)>);

impl Stumble {
    /// A session has ended here, on something that can't be read or not.
    pub(super) fn ended(self, position: Option<Position>, is_unreadable: bool) -> Self {
        match (position, self.0) {
            (Some(position), Some((before, times))) if is_unreadable && before == position => {
                Self(Some((position, times + 1)))
            }
            (Some(position), _) if is_unreadable => Self(Some((position, 1))),
            // Something else went wrong, and what is known is known.
            (Some(position), Some((before, _))) if before == position => self,
            _ => Self(None),
        }
    }

    /// Where to go on, instead of at this place: one entry behind it, then two,
    /// until something can be read. What is between is not there, or unreadable.
    pub(super) fn around(self, position: Position) -> Option<u64> {
        let (at, times) = self.0?;
        (at == position && times >= SURE).then(|| at.offset + times + 1 - SURE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position {
            log: 1,
            offset,
            mark: 0,
        }
    }

    #[test]
    fn what_cannot_be_read_is_gone_around_step_by_step() {
        let mut stumble = Stumble::default();
        let mut ways = Vec::new();
        for _ in 0..5 {
            stumble = stumble.ended(Some(at(7)), true);
            // An outage between is no news.
            stumble = stumble.ended(Some(at(7)), false);
            ways.push(stumble.around(at(7)));
        }
        assert_eq!(ways, [None, None, Some(8), Some(9), Some(10)]);
        assert_eq!(stumble.around(at(8)), None);
        // It went on from there.
        stumble = stumble.ended(Some(at(12)), true);
        assert_eq!(stumble.around(at(12)), None);
        assert_eq!(stumble.ended(Some(at(13)), false).around(at(13)), None);
    }
}
