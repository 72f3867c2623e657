//! What this sidecar does not even publish.

use mesh::{Change, ChangeError};

use crate::driver::Driver;

impl Driver {
    /// Names the dynos that come back to requests of this host. Says whether
    /// there are any: the change is then for one version of its app.
    pub fn recognise(&self, change: &mut Change) -> bool {
        self.act(None, |mesh, _| mesh.recognise(change))
    }

    /// A change that is malformed, or for which this sidecar has no room, need
    /// not be in the log. Anything else may be possible at its place there.
    ///
    /// # Errors
    /// Why it can't be made.
    pub fn admit(&self, change: &Change) -> Result<(), ChangeError> {
        let mut change = change.clone();
        self.act(None, |mesh, _| {
            mesh.identify_shared(&mut change, |number| format!("admitted-{number}").into());
            match mesh.plan_shared(&change) {
                Err(error @ ChangeError::Invalid(_)) => return Err(error),
                Err(_) => return Ok(()),
                Ok(_) => {}
            }
            match mesh.plan(&change) {
                Err(error @ ChangeError::Exhausted(_)) => Err(error),
                _ => Ok(()),
            }
        })
    }
}
