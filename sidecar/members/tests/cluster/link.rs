//! A link from one sidecar to another, over which it asks.

use std::collections::VecDeque;

use mesh::{FarAnswer, SessionKey, ToPeer};

/// Both ways in order; what is on its way when it breaks is lost.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// To be tried then.
    pub(crate) next_try: u64,
    /// Somebody does not answer, and that is noticed then.
    pub(crate) dead_at: Option<u64>,
    pub(crate) session: Option<SessionKey>,
    /// With the times of arrival.
    pub(crate) down: VecDeque<(u64, ToPeer)>,
    pub(crate) back: VecDeque<(u64, FarAnswer)>,
}

impl Link {
    pub(crate) fn end(&mut self, next_try: u64) -> Option<SessionKey> {
        self.up = false;
        self.dead_at = None;
        self.next_try = next_try;
        self.down.clear();
        self.back.clear();
        self.session.take()
    }
}
