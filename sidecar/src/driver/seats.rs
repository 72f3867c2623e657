//! Which shards this sidecar decides for.

use members::Membership;

use super::Driver;

impl Driver {
    /// What it may grant has changed, or until when. The desk of the members is locked:
    /// whoever has the core may not ask for that.
    pub(super) fn seat(&self, membership: &Membership) {
        let (ownership, term) = (membership.ownership(), membership.term());
        self.act_on_state(None, |state, now| {
            match ownership {
                Some(ownership) => state.mesh.own(ownership, now),
                // Put out, or somebody new: it knows of nobody.
                None => {
                    if state.mesh.disown(now) {
                        state.lines.break_off_all();
                    }
                }
            }
            state.mesh.serve_term(term, now);
        });
    }
}
