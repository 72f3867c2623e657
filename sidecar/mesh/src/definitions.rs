//! Making an app what its specification says, while requests go on.

use std::{collections::HashSet, iter, sync::Arc};

use crate::{
    AppKey, AppSpec, Auth, DynoKey, DynoSpec, DynoSpecs, DynoState, Mesh, Pages, RecallId, Refusal,
    Rules, Time, Update,
    app::{App, Few},
    dyno::{Dyno, Identity},
    output::{Event, Output},
    timers::Timer,
};

/// So many dynos that a change of one shall not cost as much as all of them. For
/// fewer it is not worth the memory.
const MANY: usize = 65;

impl Mesh {
    /// Makes an app what `update` says. What was planned with [`Mesh::plan`],
    /// or was accepted before (by this mesh from disk, by another one), fits.
    ///
    /// What routers have reserved of the app is recalled: the change is in effect
    /// everywhere when [`Output::Recalled`] has said so of all that is returned.
    pub fn apply(&mut self, update: &Update, now: Time) -> Vec<RecallId> {
        let mut apps = Vec::from_iter(self.by_name.get(update.app()).copied());
        let lost = self.lost_domains(update);
        let names = self.names_of_rules(update);
        let pages = self.changes_pages(update);
        match update {
            Update::Put(spec) => {
                // Who answered to these names before.
                apps.extend(spec.domains.iter().filter_map(|d| self.directory.lookup(d)));
                self.put_app(spec, now);
            }
            Update::Remove(name) => self.remove_app(name, now),
        }
        apps.sort_unstable();
        apps.dedup();
        let own = self.recall(&apps, lost, now);
        self.recall_rules(update.app(), names, now);
        if pages {
            self.recall_pages(update.app(), now);
        }
        self.recalls.before(update, own)
    }

    /// What leads to an app, if anything of it can be recalled, and will not any more.
    fn lost_domains(&self, update: &Update) -> Vec<Box<str>> {
        let app = self.by_name.get(update.app());
        let app = app.map(|key| &self.apps[key.0 as usize]);
        let Some(app) = app.filter(|app| app.ahead > 0 || !app.told_next.is_empty()) else {
            return Vec::new();
        };
        let stay: HashSet<_> = match update {
            Update::Put(spec) if app.domains == spec.domains => return Vec::new(),
            Update::Put(spec) => spec.domains.iter().collect(),
            Update::Remove(_) => HashSet::new(),
        };
        let gone = app.domains.iter().filter(|domain| !stay.contains(domain));
        gone.cloned().collect()
    }

    fn put_app(&mut self, spec: &AppSpec, now: Time) {
        let key = match self.by_name.get(&*spec.name) {
            Some(key) => *key,
            None => {
                let name: Arc<str> = (*spec.name).into();
                let key = AppKey(self.apps.insert(App::new(name.clone())) as u32);
                self.by_name.insert(name, key);
                key
            }
        };
        self.end_edition(key);
        self.put_domains(key, &spec.domains);
        let app = &mut self.apps[key.0 as usize];
        let before = (app.settings().clone(), app.census.expected());
        self.ruled += usize::from(spec.is_ruled());
        self.ruled -= usize::from(app.is_ruled());
        app.rules = spec.rules.clone();
        self.paged += usize::from(!spec.pages.is_empty());
        self.paged -= usize::from(!app.pages.is_empty());
        app.pages = spec.pages.clone();
        app.auth = spec.auth.clone();
        app.sticky = spec.sticky.clone();
        app.version = spec.version;
        app.maintenance = spec.maintenance;
        app.released = spec.released;
        let shared = match *app.settings() == spec.settings {
            true => app.specs.shared_with(&spec.dynos),
            // Each dyno is put on its level under the new settings.
            false => (0, 0),
        };
        app.set(spec.settings.clone());
        self.put_dynos(key, &spec.dynos, shared);
        self.review_tap(key);
        self.review_rates(key, &before.0);
        let (settings, dynos) = (&before.0, before.1);
        self.review_owner(key, settings.exact.is_some(), now);
        self.serve_queue(key, now);
        self.review_idle(key, settings, dynos, now);
        self.review_scale(key, settings, dynos, now);
    }

    fn remove_app(&mut self, name: &str, now: Time) {
        let Some(key) = self.by_name.remove(name) else {
            return;
        };
        self.end_edition(key);
        self.put_domains(key, &[]);
        self.put_dynos(key, &DynoSpecs::default(), (0, 0));
        self.stop_hints(key);
        let app = &mut self.apps[key.0 as usize];
        self.ruled -= usize::from(app.is_ruled());
        app.rules = Rules::default();
        app.sticky = Box::default();
        self.paged -= usize::from(!app.pages.is_empty());
        app.pages = Pages::default();
        app.auth = Auth::default();
        app.deleted = true;
        self.review_tap(key);
        self.forget_rates(key);
        self.unstall(key);
        self.refuse_away(key, now);
        self.refuse_all(key, Refusal::UnknownName, now);
        self.forget_if_deleted(key);
    }

    fn put_domains(&mut self, key: AppKey, domains: &[Box<str>]) {
        let app = &mut self.apps[key.0 as usize];
        if *app.domains == *domains {
            return;
        }
        for domain in &app.domains {
            // Another app may have got it first, if its update came before this.
            if self.directory.owner(domain) == Some(key) {
                self.directory.remove(domain);
            }
        }
        for domain in domains {
            self.directory.insert(domain, key);
        }
        app.domains = domains.to_vec();
    }

    /// So many of the first and so many of the last are as they were.
    fn put_dynos(&mut self, key: AppKey, specs: &DynoSpecs, (first, last): (usize, usize)) {
        let dynos = &mut self.apps[key.0 as usize].dynos;
        let old: Vec<_> = dynos.drain(first..dynos.len() - last).collect();
        let here: HashSet<_> = old.iter().copied().collect();
        let mut stay = HashSet::new();
        let changed: Vec<_> = specs
            .iter()
            .skip(first)
            .take(specs.len() - first - last)
            .filter(|spec| stay.insert(&*spec.instance))
            .collect();
        // Whoever goes first makes room for a new one at the same address.
        for dyno in old {
            let instance = &self.info(dyno).instance;
            if !stay.contains(&**instance) || self.instances.get(instance) != Some(&dyno) {
                self.retire_dyno(dyno);
            }
        }
        let mut new = Vec::with_capacity(changed.len());
        for spec in changed {
            let dyno = match self.instances.get(&spec.instance).copied() {
                Some(dyno) if self.dynos[dyno.0 as usize].is_of(key) => {
                    if !here.contains(&dyno) {
                        continue;
                    }
                    self.update_dyno(dyno, spec)
                }
                Some(dyno) if self.is_return(dyno, key, spec) => self.restore_dyno(dyno, key, spec),
                _ => self.add_dyno(key, spec),
            };
            new.push(dyno);
        }
        let fits = |(dyno, spec): (&DynoKey, &DynoSpec)| {
            let info = self.info(*dyno);
            info.name == spec.name && info.address == spec.address
        };
        let fit = iter::zip(&new, specs.iter().skip(first)).all(fits);
        let app = &mut self.apps[key.0 as usize];
        app.dynos.splice(first..first, new);
        app.few = Few::of(&app.dynos, &self.identities);
        // Nobody plans what does not fit: an instance twice, or one that moves.
        app.specs = match fit && app.dynos.len() == specs.len() && specs.len() >= MANY {
            true => specs.clone(),
            false => DynoSpecs::default(),
        };
    }

    /// This dyno was taken out of its app, has leases still, and comes back.
    fn is_return(&self, dyno: DynoKey, app: AppKey, spec: &DynoSpec) -> bool {
        let info = self.info(dyno);
        self.dynos[dyno.0 as usize].retired
            && info.app == self.apps[app.0 as usize].name
            && info.name == spec.name
            && info.address == spec.address
    }

    /// Its process was there all the time, so it comes back with its leases. Its
    /// app may have been deleted and created again meanwhile.
    fn restore_dyno(&mut self, key: DynoKey, app: AppKey, spec: &DynoSpec) -> DynoKey {
        let dyno = &mut self.dynos[key.0 as usize];
        let former = std::mem::replace(&mut dyno.app, app);
        dyno.retired = false;
        dyno.own_limit = spec.limit;
        dyno.state = spec.state;
        dyno.strikes = 0;
        let (load, reserved, ahead) = (dyno.load, dyno.reserved, dyno.ahead);
        self.retired -= 1;
        let address = &self.identities[key.0 as usize].info.address;
        if self.left.get(address) == Some(&key) {
            self.left.remove(address);
        }
        if spec.state.is_alive() {
            self.addresses.insert(spec.address.clone(), key);
        }
        let gone = &mut self.apps[former.0 as usize];
        gone.in_flight -= load;
        gone.reserved -= reserved;
        gone.ahead -= ahead;
        let app = &mut self.apps[app.0 as usize];
        app.in_flight += load;
        app.reserved += reserved;
        app.ahead += ahead;
        app.in_use += 1;
        app.census.count(spec.state, false);
        self.repool(key);
        self.forget_if_deleted(former);
        key
    }

    fn add_dyno(&mut self, app: AppKey, spec: &DynoSpec) -> DynoKey {
        let name = self.apps[app.0 as usize].name.clone();
        let identity = Identity::new(&name, spec);
        let mark = identity.mark;
        let mut dyno = Dyno::new(app, spec);
        dyno.elsewhere = self.seen_elsewhere(app, &spec.instance);
        let dyno = DynoKey(self.dynos.insert(dyno) as u32);
        self.identities.insert(identity);
        self.instances.insert(spec.instance.clone(), dyno);
        self.marks.insert(mark, dyno);
        if spec.state.is_alive() {
            self.addresses.insert(spec.address.clone(), dyno);
        }
        self.apps[app.0 as usize].census.count(spec.state, false);
        self.repool(dyno);
        self.claim(dyno);
        dyno
    }

    fn update_dyno(&mut self, key: DynoKey, spec: &DynoSpec) -> DynoKey {
        self.unpool(key);
        let dyno = &mut self.dynos[key.0 as usize];
        let was = dyno.state;
        dyno.own_limit = spec.limit;
        if was != spec.state {
            self.set_state(key, spec.state);
        }
        self.repool(key);
        key
    }

    fn set_state(&mut self, key: DynoKey, state: DynoState) {
        self.end_quarantine(key);
        let dyno = &mut self.dynos[key.0 as usize];
        let census = &mut self.apps[dyno.app.0 as usize].census;
        census.discount(dyno.state, false);
        census.count(state, false);
        dyno.state = state;
        dyno.strikes = 0;
        let address = &self.identities[key.0 as usize].info.address;
        if state.is_alive() {
            self.addresses.insert(address.clone(), key);
        } else if self.addresses.get(address) == Some(&key) {
            self.addresses.remove(address);
        }
        self.say_if_drained(key);
    }

    /// Takes a dyno out of its app. Its leases go on to their end.
    fn retire_dyno(&mut self, key: DynoKey) {
        self.unpool(key);
        self.end_quarantine(key);
        let dyno = &mut self.dynos[key.0 as usize];
        dyno.retired = true;
        let app = &mut self.apps[dyno.app.0 as usize];
        app.census.discount(dyno.state, false);
        app.in_use -= u32::from(dyno.load > 0);
        let address = &self.identities[key.0 as usize].info.address;
        if self.addresses.get(address) == Some(&key) {
            self.addresses.remove(address);
        }
        match dyno.load {
            0 => self.forget_dyno(key),
            _ => {
                self.left.insert(address.clone(), key);
                self.retired += 1;
            }
        }
    }

    pub(crate) fn forget_dyno(&mut self, key: DynoKey) {
        self.forget_untold(key);
        self.dynos.remove(key.0 as usize);
        let Identity { info, mark } = self.identities.remove(key.0 as usize);
        if self.instances.get(&info.instance) == Some(&key) {
            self.instances.remove(&info.instance);
            self.marks.remove(&mark);
        }
        if self.left.get(&info.address) == Some(&key) {
            self.left.remove(&info.address);
        }
    }

    /// Out of quarantine, without being put back into the pool.
    pub(crate) fn end_quarantine(&mut self, key: DynoKey) {
        let dyno = &mut self.dynos[key.0 as usize];
        if let Some(until) = dyno.quarantine.take() {
            let census = &mut self.apps[dyno.app.0 as usize].census;
            census.discount(dyno.state, true);
            census.count(dyno.state, false);
            self.timers.unset(until, Timer::Quarantine(key));
        }
    }

    /// Not before it is known who holds what: somebody may have a lease still.
    pub(crate) fn say_if_drained(&mut self, key: DynoKey) {
        if self.is_recovering() {
            return;
        }
        let dyno = &self.dynos[key.0 as usize];
        if dyno.state == DynoState::Draining && dyno.load == 0 && !dyno.retired {
            let info = self.info(key).clone();
            self.outputs.push_back(Output::Event(Event::Drained(info)));
        }
    }

    /// Puts a dyno where it belongs among those that may have a request now.
    pub(crate) fn repool(&mut self, key: DynoKey) {
        let dyno = &mut self.dynos[key.0 as usize];
        let app = &mut self.apps[dyno.app.0 as usize];
        if dyno.slot.is_none() && dyno.is_eligible(app.terms()) {
            let level = dyno.level(app.terms());
            dyno.slot = Some(app.pool.insert(level, key));
        }
    }

    pub(crate) fn unpool(&mut self, key: DynoKey) {
        let dyno = &mut self.dynos[key.0 as usize];
        let Some(slot) = dyno.slot.take() else { return };
        let moved = self.apps[dyno.app.0 as usize].pool.remove(slot);
        if let Some((other, slot)) = moved {
            self.dynos[other.0 as usize].slot = Some(slot);
        }
    }

    pub(crate) fn forget_if_deleted(&mut self, key: AppKey) {
        let app = &self.apps[key.0 as usize];
        if app.deleted && app.in_flight + app.away == 0 && app.queue.is_empty() {
            // Until then, who its leases are to be told to may change.
            self.owners.exact.remove(&(app.shard, key));
            self.apps.remove(key.0 as usize);
        }
    }
}

#[cfg(test)]
mod tests;
