//! What became of some requests.

/// How many took how long are told apart; see `Spread` in the protocol.
pub const BUCKETS: usize = crate::convert::BOUNDS_MS.len() + 1;

/// Kinds of answers of one app; the rest is told apart by class alone.
const MOST: usize = 128;

/// Requests that were answered in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// What the client was told; 1 to 5: a class; 0: nothing.
    pub status: u16,
    /// What went wrong; empty: nothing did.
    pub error: Box<str>,
    /// How many.
    pub requests: u64,
}

/// How many took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Those longer than the bound before, and no longer than their own.
    pub counts: [u64; BUCKETS],
    /// All their times together, in milliseconds.
    pub sum_ms: u64,
}

/// What became of some requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "see `AppTally` in the protocol")]
pub struct Counted {
    pub answers: Vec<Answers>,
    pub waits: Spread,
    pub services: Spread,
    pub received: u64,
    pub sent: u64,
}

impl Spread {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn add(&mut self, more: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(more.counts) {
            *sum = sum.saturating_add(more);
        }
        self.sum_ms = self.sum_ms.saturating_add(more.sum_ms);
    }
}

impl Counted {
    /// How many requests.
    pub fn requests(&self) -> u64 {
        self.answers.iter().map(|answers| answers.requests).sum()
    }

    /// More of them.
    pub fn add(&mut self, more: Self) {
        for answers in more.answers {
            self.answer(answers);
        }
        self.waits.add(&more.waits);
        self.services.add(&more.services);
        self.received = self.received.saturating_add(more.received);
        self.sent = self.sent.saturating_add(more.sent);
    }

    fn answer(&mut self, more: Answers) {
        let same = |all: &&mut Answers| (all.status, &all.error) == (more.status, &more.error);
        if let Some(all) = self.answers.iter_mut().find(same) {
            all.requests = all.requests.saturating_add(more.requests);
        } else if self.answers.len() < MOST || more.status < 10 && more.error.is_empty() {
            self.answers.push(more);
        } else {
            self.answer(Answers {
                status: class(more.status),
                error: Box::default(),
                ..more
            });
        }
    }
}

/// Of a status, or of what is one already.
fn class(status: u16) -> u16 {
    match status {
        0..10 => status,
        status => (status / 100).min(9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_kinds_of_answers_become_classes() {
        let mut counted = Counted::default();
        for status in 100..600 {
            counted.answer(Answers {
                status,
                error: "".into(),
                requests: 2,
            });
            counted.answer(Answers {
                status,
                error: format!("H{status}").into(),
                requests: 1,
            });
        }
        assert_eq!(counted.requests(), 1_500);
        assert!(counted.answers.len() <= MOST + 10);
    }
}
