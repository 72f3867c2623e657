//! One tap: which requests it wants, and how many it may have.

use dynomesh_proto::v1;

use super::Traits;
use crate::session::Millis;

/// What a request costs a tap that may have one a second, each millisecond.
const REQUEST: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) number: u64,
    /// Requests that it did not get, since it was told.
    pub(super) lost: u64,
    filter: v1::TapFilter,
    per_second: u64,
    /// What it may have now, in parts of a [`REQUEST`]. A second's worth at most.
    may_have: u64,
    at: Millis,
}

impl Wanted {
    pub(super) fn new(number: u64, filter: v1::TapFilter, per_second: u32, now: Millis) -> Self {
        let per_second = per_second.max(1).into();
        Self {
            number,
            lost: 0,
            filter,
            per_second,
            may_have: per_second * REQUEST,
            at: now,
        }
    }

    /// So many of a million; 0: all.
    pub(super) fn sample(&self) -> u32 {
        self.filter.sample
    }

    /// It has room for one more: then that is taken.
    pub(super) fn may(&mut self, now: Millis) -> bool {
        let more = now.saturating_sub(self.at).saturating_mul(self.per_second);
        self.at = self.at.max(now);
        let most = self.per_second * REQUEST;
        self.may_have = self.may_have.saturating_add(more).min(most);
        match self.may_have.checked_sub(REQUEST) {
            Some(left) => {
                self.may_have = left;
                true
            }
            None => false,
        }
    }

    pub(super) fn wants(&self, traits: &Traits<'_>) -> bool {
        let v1::TapFilter {
            app,
            status,
            error,
            slow_ms,
            dyno,
            path,
            // Looked at by others.
            sample: _,
            per_second: _,
        } = &self.filter;
        let by_status = match *status {
            0 => true,
            class @ 1..10 => u32::from(traits.status) / 100 == class,
            status => u32::from(traits.status) == status,
        };
        app == traits.app
            && by_status
            && (error.is_empty() || error == traits.error)
            && (dyno.is_empty() || dyno == traits.dyno)
            && traits.total_ms >= u64::from(*slow_ms)
            && (path.is_empty() || super::path(traits.target).starts_with(&**path))
    }
}
