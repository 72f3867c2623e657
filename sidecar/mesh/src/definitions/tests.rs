//! An app with many dynos, of which a change touches few.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::MANY;
use crate::{
    AskId, Change, DynoSpec, DynoState, Operation, Outcome, Policy, Settings, Update,
    testing::{Lab, put, set},
};

struct Large {
    lab: Lab,
    /// Dynos so far.
    named: usize,
    removed: Vec<DynoSpec>,
    asks: Vec<AskId>,
}

impl Large {
    fn new(dynos: usize) -> Self {
        let mut large = Self {
            lab: Lab::new(Settings::default(), &[]),
            named: 0,
            removed: vec![],
            asks: vec![],
        };
        let operations = (0..dynos).map(|_| large.fresh()).collect();
        large.change(operations);
        large
    }

    fn fresh(&mut self) -> Operation {
        self.named += 1;
        put(&format!("web.{}", self.named))
    }

    /// What was planned is what is then, and all that is derived from it fits.
    fn change(&mut self, operations: Vec<Operation>) {
        let change = Change {
            app: "a".into(),
            base_version: None,
            operations,
        };
        let updates = self.lab.mesh.plan(&change).unwrap();
        for update in &updates {
            self.apply(update);
        }
    }

    fn apply(&mut self, update: &Update) {
        self.lab.mesh.apply(update, self.lab.now);
        self.lab.mesh.check_invariants().unwrap();
        let spec = self.lab.mesh.spec("a").unwrap();
        assert_eq!(*update, Update::Put(spec));
    }

    fn step(&mut self, what: u8, at: usize) {
        let spec = self.lab.mesh.spec("a").unwrap();
        let dyno = (!spec.dynos.is_empty()).then(|| spec.dynos[at % spec.dynos.len()].clone());
        let states = [DynoState::Up, DynoState::Draining, DynoState::Down];
        match (what, dyno) {
            (0..=2, _) => {
                self.asks.push(self.lab.ask());
            }
            (3, _) if !self.asks.is_empty() => {
                let ask = self.asks.remove(at % self.asks.len());
                self.lab.checkin(ask, Outcome::Done);
            }
            (4 | 5, Some(dyno)) => self.change(vec![set(&dyno.name, states[at % 3])]),
            (6, Some(dyno)) => {
                self.change(vec![Operation::RemoveDyno(dyno.name.clone())]);
                self.removed.push(dyno);
            }
            // With the requests that it has still, if it has.
            (7, _) if !self.removed.is_empty() => {
                let dyno = self.removed.remove(at % self.removed.len());
                let takeover = false;
                self.change(vec![Operation::PutDyno { dyno, takeover }]);
            }
            (8, _) => {
                let policy = [Policy::IdleOnly, Policy::LeastLoad][at % 2];
                self.change(vec![Operation::PutSettings(Settings {
                    policy,
                    ..Settings::default()
                })]);
            }
            // The disk fails: all is as before.
            (9, Some(dyno)) => {
                let fresh = self.fresh();
                self.change(vec![Operation::RemoveDyno(dyno.name), fresh]);
                self.apply(&Update::Put(spec));
            }
            _ => {
                let fresh = self.fresh();
                self.change(vec![fresh]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_large_app_is_what_it_was_made(
        dynos in MANY - 5..3 * MANY,
        steps in prop::collection::vec((0..12_u8, 0..1_000_usize), 0..120),
    ) {
        let mut large = Large::new(dynos);
        for (what, at) in steps {
            large.step(what, at);
        }
        let shared = large.lab.mesh.apps.iter().any(|(_, app)| !app.specs.is_empty());
        let many = large.lab.mesh.spec("a").unwrap().dynos.len() >= MANY;
        prop_assert_eq!(shared, many);
    }
}
