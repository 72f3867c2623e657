//! Apps become what they shall be.

use mesh::{AppSpec, DynoState, Refusal, Update};

use crate::hints::Hints;

use super::{App, Reference, Trust, rate::Tokens};

impl Reference {
    pub(crate) fn apply(&mut self, update: &Update) {
        let name = update.app();
        let index = self.apps.iter().position(|app| *app.spec.name == *name);
        match update {
            Update::Put(spec) => self.put(index, spec),
            Update::Remove(_) => {
                if let Some(index) = index {
                    let id = self.apps[index].id;
                    for waiter in self.queue(id) {
                        self.refuse(&waiter, Refusal::UnknownName);
                    }
                    self.apps.remove(index);
                }
            }
        }
    }

    fn put(&mut self, index: Option<usize>, spec: &AppSpec) {
        let index = index.unwrap_or_else(|| {
            self.serial += 1;
            let (id, spec) = (self.serial, AppSpec::default());
            self.apps.push(App {
                id,
                spec,
                dynos: vec![],
                dyno_needed: false,
                stretch: 0,
                hints: Hints::default(),
                tokens: Tokens::default(),
            });
            self.apps.len() - 1
        });
        let id = self.apps[index].id;
        let mut trust = vec![];
        for dyno in &spec.dynos {
            let app = &self.apps[index];
            let known = app
                .spec
                .dynos
                .iter()
                .position(|d| d.instance == dyno.instance);
            match known {
                Some(at) if app.spec.dynos[at].state == dyno.state => {
                    trust.push(app.dynos[at].clone());
                    continue;
                }
                Some(_) if dyno.state == DynoState::Draining && self.load(&dyno.instance) == 0 => {
                    self.expect_drained(&dyno.instance);
                }
                Some(_) => {}
                // What an earlier life of it holds is its own again.
                None => {
                    let own = self
                        .leases
                        .iter_mut()
                        .filter(|l| l.instance == dyno.instance);
                    own.for_each(|lease| lease.app = id);
                }
            }
            trust.push(Trust::default());
        }
        let old = (self.apps[index].spec.settings.clone(), self.expected(index));
        if spec.settings.max_rate != old.0.max_rate {
            self.apps[index].tokens = Tokens::default();
        }
        self.apps[index].spec = spec.clone();
        self.apps[index].dynos = trust;
        self.serve(id);
        self.review(index, &old.0, old.1);
    }
}
