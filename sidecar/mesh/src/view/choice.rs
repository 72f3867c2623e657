//! Between whom it was chosen, for people.

use std::sync::Arc;

use crate::{DynoInfo, DynoState, Mesh, Route, dyno::Dyno};

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
        let is_chosen = |dyno: &Dyno| dyno.info.instance == route.dyno.instance;
        let chosen = self.instances.get(&route.dyno.instance);
        let others = app.dynos.iter().take(LOOKED_AT);
        let others = others.filter(|other| Some(*other) != chosen);
        let all = chosen.into_iter().chain(others);
        let mut up: Vec<&Dyno> = all
            .map(|d| &self.dynos[d.0 as usize])
            .filter(|dyno| dyno.state == DynoState::Up || is_chosen(dyno))
            .collect();
        up.sort_unstable_by_key(|dyno| (!is_chosen(dyno), dyno.sum()));
        let candidates = up.into_iter().take(SHOWN).map(|dyno| Candidate {
            dyno: dyno.info.clone(),
            load: dyno.visible_load().saturating_sub(is_chosen(dyno).into()),
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
