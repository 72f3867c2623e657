//! Who was served before whom.

/// A request that a dyno began, in the order in which they were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Its place in the order of arrival, if the front put that on it.
    pub(super) arrival: Option<u64>,
    /// It lay there before the dyno looked, so its place here is not exact.
    pub(super) early: bool,
}

/// What the order was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Requests that began after one that had come later.
    pub(super) overtaken: u64,
    /// Requests whose place is known, on both sides.
    pub(super) sure: u64,
    /// Requests of which nothing can be said.
    pub(super) unsure: u64,
}

impl Order {
    /// Judges starts. Numbers of arrival only have to grow.
    pub(super) fn of(starts: impl IntoIterator<Item = Start>) -> Self {
        let mut order = Self::default();
        let mut latest = 0;
        for start in starts {
            match start.arrival {
                Some(arrival) if !start.early => {
                    order.sure += 1;
                    if arrival < latest {
                        order.overtaken += 1;
                    }
                    latest = latest.max(arrival);
                }
                _ => order.unsure += 1,
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(arrival: u64) -> Start {
        Start {
            arrival: Some(arrival),
            early: false,
        }
    }

    #[test]
    fn each_that_was_overtaken_counts_once() {
        let order = Order::of([1, 2, 5, 3, 4, 6].map(start));
        assert_eq!((order.overtaken, order.sure, order.unsure), (2, 6, 0));
    }

    #[test]
    fn what_is_not_known_proves_nothing() {
        let unknown = Start {
            arrival: None,
            early: false,
        };
        let early = Start {
            early: true,
            ..start(9)
        };
        let order = Order::of([start(1), early, unknown, start(2)]);
        assert_eq!((order.overtaken, order.sure, order.unsure), (0, 2, 2));
    }
}
