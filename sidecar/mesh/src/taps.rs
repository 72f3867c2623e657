//! Apps that want their requests told to the broker. Here that is a list, for whoever
//! does it.

use std::sync::Arc;

use crate::{AppKey, Mesh};

impl Mesh {
    /// The first of these apps by name, and how many requests a second each wants told.
    pub fn told_apps(&self, most: usize) -> Vec<(Arc<str>, u32)> {
        let first = self.told.iter().take(most);
        first.map(|(app, rate)| (app.clone(), *rate)).collect()
    }

    /// The app may be another one now.
    pub(crate) fn review_tap(&mut self, key: AppKey) {
        let app = &self.apps[key.0 as usize];
        match app.settings().tap_rate {
            Some(rate) if !app.deleted => self.told.insert(app.name.clone(), rate),
            _ => self.told.remove(&app.name),
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::{AppSpec, Limits, Mesh, Settings, Time, Update};

    #[test]
    fn who_wants_it_is_known() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let mut put = |name: &str, tap_rate| {
            let settings = Settings {
                tap_rate,
                ..Settings::default()
            };
            let spec = AppSpec {
                name: name.into(),
                settings,
                ..AppSpec::default()
            };
            mesh.apply(&Update::Put(spec), Time::ZERO);
            mesh.check_invariants().expect("all holds");
            mesh.told_apps(2)
        };
        assert_eq!(put("a", None), []);
        assert_eq!(put("b", Some(9)), [("b".into(), 9)]);
        put("c", Some(1));
        assert_eq!(put("a", Some(3)), [("a".into(), 3), ("b".into(), 9)]);
        assert_eq!(put("b", None), [("a".into(), 3), ("c".into(), 1)]);
        mesh.apply(&Update::Remove("a".into()), Time::ZERO);
        assert_eq!(mesh.told_apps(9), [("c".into(), 1)]);
    }
}
