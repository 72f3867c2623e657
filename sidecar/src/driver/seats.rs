//! Which shards this sidecar decides for.

use members::Membership;

use super::Driver;

impl Driver {
    /// What it may grant has changed, or until when. The desk of the members is locked:
    /// whoever has the core may not ask for that.
    ///
    /// Does nothing yet: here the core will be told.
    pub(super) fn seat(&self, _membership: &Membership) {}
}
