//! Between whom it was chosen, for people.

use std::sync::Arc;

use crate::{DynoInfo, DynoKey, DynoState, Mesh, Route, dyno::Dyno};

/// Dynos that are shown.
const SHOWN: usize = 16;
/// Dynos that are looked at: this happens while others wait for the core.
const LOOKED_AT: usize = 256;

/// Whom the core could choose for a request, and whom it chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The chosen one, then those with the least load; not all, when there are many.
    pub candidates: Vec<Candidate>,
    /// Dynos of the app that are up.
    pub up: u32,
    /// Requests that waited still.
    pub waiting: u32,
}

/// A dyno that could be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub dyno: Arc<DynoInfo>,
    /// Its requests, without the one that it was chosen for.
    pub load: u32,
    /// Requests that other nodes have there.
    pub elsewhere: u32,
    /// The limit in force.
    pub limit: Option<u32>,
}

impl Mesh {
    /// What this route was chosen from, as it was given just now.
    pub fn choice(&self, route: &Route) -> Option<Choice> {
        let key = self.by_name.get(&route.dyno.app)?;
        let app = &self.apps[key.0 as usize];
        let chosen = self.instances.get(&route.dyno.instance);
        let is_chosen = |key: &DynoKey| Some(key) == chosen;
        let others = app.dynos.iter().take(LOOKED_AT);
        let others = others.filter(|other| Some(*other) != chosen);
        let all = chosen.into_iter().chain(others);
        let mut up: Vec<(&DynoKey, &Dyno)> = all
            .map(|key| (key, &self.dynos[key.0 as usize]))
            .filter(|(key, dyno)| dyno.state == DynoState::Up || is_chosen(key))
            .collect();
        up.sort_unstable_by_key(|(key, dyno)| (!is_chosen(key), dyno.sum()));
        let candidates = up.into_iter().take(SHOWN).map(|(key, dyno)| Candidate {
            dyno: self.info(*key).clone(),
            load: dyno.visible_load().saturating_sub(is_chosen(key).into()),
            elsewhere: dyno.elsewhere,
            limit: dyno.limit(app.terms()),
        });
        Some(Choice {
            candidates: candidates.collect(),
            up: app.census.up,
            waiting: app.queue.len(),
        })
    }
}
