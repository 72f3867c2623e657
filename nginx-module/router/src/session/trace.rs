//! Requests that are in a trace.

use dynomesh_proto::v1::{TracedRequest, router_message::Kind};

use super::{Haste, Millis, Session, tap::BUSY};
use crate::trace::Parent;

impl<T: Clone> Session<T> {
    /// Some requests are traced.
    pub fn is_tracing(&self) -> bool {
        self.traces.is_on()
    }

    /// Whether a request is traced that comes with this; `chance` is any number. One
    /// that is counts.
    pub fn traces(&mut self, parent: Option<&Parent>, chance: u32, now: Millis) -> bool {
        self.traces.wants(parent, chance, now)
    }

    /// The sidecar is told of it.
    pub fn tell_traced(&mut self, request: TracedRequest, now: Millis) {
        self.traces.add(request, now);
    }

    pub(super) fn send_traced(&mut self, now: Millis) {
        while self.outbox.len() < BUSY
            && let Some(traced) = self.traces.take(now)
        {
            self.send(Kind::Traced(traced), Haste::Idle);
        }
    }
}
