//! What the sidecar is told of requests that have ended.

use dynomesh_proto::v1::router_message::Kind;

use super::{Haste, Link, Session};
use crate::tally::Ended;

impl<T: Clone> Session<T> {
    /// A request has ended.
    pub fn count(&mut self, ended: &Ended<'_>) {
        self.tally.add(ended);
    }

    /// Tells what has become of requests. To be called once a second until it returns
    /// `false`, and when there is no more to come (`last`).
    pub fn tell_tally(&mut self, last: bool) -> bool {
        if self.link == Link::Up
            && let Some(tally) = self.tally.take(last)
        {
            self.send(Kind::Tally(tally), Haste::Idle);
        }
        self.tally.is_owing()
    }

    /// The sidecar was told something, and has not said that it has it.
    pub fn is_telling(&self) -> bool {
        self.link == Link::Up && self.tally.is_told()
    }

    /// The sidecar is there, and says whether it wants to know.
    pub(super) fn welcome_tally(&mut self, wanted: bool) {
        self.tally.want(wanted);
        let again: Vec<_> = self.tally.again().collect();
        for tally in again {
            self.send(Kind::Tally(tally), Haste::Idle);
        }
    }
}
