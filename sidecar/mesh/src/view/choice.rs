//! Between whom it was chosen, for people.

use crate::{DynoState, Mesh, Route, dyno::Dyno};

/// Dynos that are shown.
const SHOWN: usize = 16;
/// Dynos that are looked at: this happens for each request.
const LOOKED_AT: usize = 1_024;

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
    /// Its name.
    pub name: Box<str>,
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
        let all = app.dynos.iter().map(|d| &self.dynos[d.0 as usize]);
        let mut up: Vec<&Dyno> = all
            .take(LOOKED_AT)
            .filter(|dyno| dyno.state == DynoState::Up)
            .collect();
        let is_chosen = |dyno: &Dyno| dyno.info.instance == route.dyno.instance;
        up.sort_unstable_by_key(|dyno| (!is_chosen(dyno), dyno.sum()));
        let candidates = up.into_iter().take(SHOWN).map(|dyno| Candidate {
            name: dyno.info.name.clone(),
            load: dyno.visible_load().saturating_sub(is_chosen(dyno).into()),
            elsewhere: dyno.elsewhere,
            limit: dyno.limit(&app.settings),
        });
        Some(Choice {
            candidates: candidates.collect(),
            up: app.census.up,
            waiting: app.queue.len(),
        })
    }
}
