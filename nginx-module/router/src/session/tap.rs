//! Requests that operators look at.

use dynomesh_proto::v1::{TappedRequest, router_message::Kind};

use super::{Haste, Millis, Session};
use crate::tap::Traits;

/// With more to send than this taps wait, and lose: whoever looks holds nobody up.
pub(super) const BUSY: usize = 1_024;

impl<T: Clone> Session<T> {
    /// Somebody looks at requests.
    pub fn is_tapped(&self) -> bool {
        self.taps.is_on()
    }

    /// Who wants to know of this request.
    pub fn who_taps(&mut self, traits: &Traits<'_>, now: Millis) -> Vec<u64> {
        self.taps.who(traits, now)
    }

    /// They are told of it.
    pub fn tell_tapped(&mut self, request: TappedRequest, now: Millis) {
        self.taps.add(request, now);
    }

    pub(super) fn send_tapped(&mut self, now: Millis) {
        while self.outbox.len() < BUSY
            && let Some(tapped) = self.taps.take(now)
        {
            self.send(Kind::Tapped(tapped), Haste::Idle);
        }
    }
}
