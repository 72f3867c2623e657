//! One tap: which requests it wants, and how many it may have.

use dynomesh_proto::v1;

use super::Traits;
use crate::{pace::Pace, session::Millis};

#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) number: u64,
    /// Requests that it did not get, since it was told.
    pub(super) lost: u64,
    filter: v1::TapFilter,
    pace: Pace,
}

impl Wanted {
    pub(super) fn new(number: u64, filter: v1::TapFilter, per_second: u32, now: Millis) -> Self {
        Self {
            number,
            lost: 0,
            filter,
            pace: Pace::new(per_second.max(1), now),
        }
    }

    /// So many of a million; 0: all.
    pub(super) fn sample(&self) -> u32 {
        self.filter.sample
    }

    /// It has room for one more: then that is taken.
    pub(super) fn may(&mut self, now: Millis) -> bool {
        self.pace.may(now)
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
