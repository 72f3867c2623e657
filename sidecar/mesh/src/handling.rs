//! What an app's settings say to routers: they go by it, and the core does not. They are
//! told together with its [rules](crate::Rules), and told to forget it in the same way.

use std::{ops::RangeInclusive, time::Duration};

use crate::{ChangeError, Settings, settings::within};

/// What `max_time` may be.
pub const MAX_TIMES: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);

/// See the module's documentation. The default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// Longest request, in bytes.
    pub max_body: Option<u64>,
    /// Longest time for a response to be complete.
    pub max_time: Option<Duration>,
    /// Asks say from which clients requests are.
    pub by_client: bool,
}

impl Handling {
    /// It says nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn check(&self) -> Result<(), ChangeError> {
        within("max_time", self.max_time, &MAX_TIMES)
    }
}

impl Settings {
    /// What they say to routers.
    pub fn handling(&self) -> Handling {
        Handling {
            max_body: self.max_body,
            max_time: self.max_time,
            by_client: self.max_client_rate.is_some(),
        }
    }
}
