//! What must hold of what dyno managers are told.

use std::collections::BTreeSet;

use super::{Check, holds};
use crate::{AppKey, Mesh};

impl Mesh {
    /// Looked at is who may become idle or want other dynos, and nobody else.
    pub(super) fn check_hints(&self) -> Check {
        let mut idle = BTreeSet::new();
        for (index, app) in &self.apps {
            let (settings, dynos) = (app.settings(), app.census.expected());
            let may_idle = settings.idle_timeout.is_some() && dynos > 0 && !app.deleted;
            holds(app.idle_look.is_some() == may_idle, || {
                format!("{}: looked at, {:?}", app.name, app.idle)
            })?;
            let busy = app.requests() + app.away > 0 || !app.queue.is_empty();
            holds(!app.idle.said || (may_idle && !busy), || {
                format!("{} is not idle", app.name)
            })?;
            idle.extend(app.idle.said.then_some(AppKey(index as u32)));
            let limited = settings.default_limit().is_some();
            let may_scale = settings.scale_wait.is_some() && limited && !app.deleted;
            holds(app.scale.is_some() == may_scale, || {
                format!("{}: hints, {:?}", app.name, app.scale)
            })?;
            let Some(scale) = &app.scale else { continue };
            holds(scale.look.is_some() || app.queue.is_empty(), || {
                format!("{}: nobody looks who waits", app.name)
            })?;
            holds(scale.window.is_some() == (dynos > 1), || {
                format!("{}: a window, {scale:?}", app.name)
            })?;
            holds(app.peak >= app.requests(), || {
                format!("{}: more than the peak", app.name)
            })?;
        }
        holds(idle == self.idle, || {
            format!("{idle:?} are idle, not {:?}", self.idle)
        })
    }
}
