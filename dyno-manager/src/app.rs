//! What the mesh shall know of an app, and the change that makes it so.

use std::{collections::BTreeMap, time::Duration};

use dynomesh_proto::v1::{
    App, Change, CreateApp, Dyno, DynoState, Manage, Operation, PutDyno, Settings, operation::Kind,
};

use crate::config::AppConfig;

/// The sidecar's limit on a boot is longer than the manager's, so that whoever
/// waits is told that the app crashed rather than nothing.
const BOOT_GRACE: Duration = Duration::from_secs(15);

/// In an app of this manager, every dyno with a name like that is this manager's.
pub(crate) fn dyno_name(slot: u32) -> String {
    format!("{PREFIX}{slot}")
}

const PREFIX: &str = "web.";

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|slot| slot.parse::<u32>().is_ok())
}

/// The dynos that the sidecar was told of, by name.
pub(crate) type Told = BTreeMap<String, Dyno>;

pub(crate) fn told(app: &App) -> Told {
    let ours = app.dynos.iter().filter(|dyno| is_ours(&dyno.name));
    ours.map(|dyno| (dyno.name.clone(), dyno.clone())).collect()
}

/// Makes the dynos what they shall be; `None` if they are.
pub(crate) fn dynos_change(app: &str, told: &Told, wanted: &Told) -> Option<Change> {
    let gone = told.keys().filter(|name| !wanted.contains_key(*name));
    let gone = gone.map(|name| Kind::RemoveDyno(name.clone()));
    let new = wanted
        .iter()
        .filter(|(name, dyno)| told.get(*name) != Some(*dyno));
    let new = new.map(|(_, dyno)| {
        Kind::PutDyno(PutDyno {
            // The kernel gave this port to this manager, so nobody else has it.
            takeover: dyno.state() != DynoState::Crashed,
            dyno: Some(dyno.clone()),
        })
    });
    let change = change(app, gone.chain(new));
    (!change.operations.is_empty()).then_some(change)
}

/// Makes the app itself what the file says; what the file does not speak of stays.
/// `None` if it is so.
pub(crate) fn app_change(config: &AppConfig, found: Option<&App>) -> Option<Change> {
    let Some(found) = found else {
        let settings = Some(settings(config, Settings::default()));
        let domains = config.domains.iter().cloned().map(Kind::AddDomain);
        let create = Kind::CreateApp(CreateApp { settings });
        return Some(change(&config.name, [create].into_iter().chain(domains)));
    };
    let old = found.settings.unwrap_or_default();
    let new = settings(config, old);
    let put = (new != old).then_some(Kind::PutSettings(new));
    let missing = config.domains.iter().filter(|domain| {
        let known = |other: &String| other.eq_ignore_ascii_case(domain);
        !found.domains.iter().any(known)
    });
    let operations: Vec<_> = put
        .into_iter()
        .chain(missing.cloned().map(Kind::AddDomain))
        .collect();
    let change = Change {
        base_version: found.version,
        ..change(&config.name, operations)
    };
    (!change.operations.is_empty()).then_some(change)
}

/// All at once, for a mesh that can't be looked at: made whatever the app is.
pub(crate) fn whole_change(config: &AppConfig, wanted: &Told) -> Change {
    let settings = settings(config, Settings::default());
    let manage = Manage {
        wake: Some(settings.wake),
        dyno_limit: Some(settings.dyno_limit),
        boot_timeout_ms: Some(settings.boot_timeout_ms),
        idle_timeout_ms: Some(settings.idle_timeout_ms),
        scale_wait_ms: Some(settings.scale_wait_ms),
        domains: config.domains.clone(),
        dyno_prefix: PREFIX.to_owned(),
        dynos: wanted.values().cloned().collect(),
    };
    change(&config.name, [Kind::Manage(manage)])
}

fn settings(config: &AppConfig, old: Settings) -> Settings {
    Settings {
        dyno_limit: config.limit,
        boot_timeout_ms: millis(Some(config.boot_timeout + BOOT_GRACE)),
        wake: true,
        idle_timeout_ms: millis(config.idle_timeout),
        scale_wait_ms: millis(config.scale_wait),
        ..old
    }
}

fn millis(span: Option<Duration>) -> u32 {
    let millis = span.map_or(0, |span| span.as_millis());
    u32::try_from(millis).unwrap_or(u32::MAX)
}

fn change(app: &str, kinds: impl IntoIterator<Item = Kind>) -> Change {
    let operations = kinds.into_iter().map(|kind| Operation { kind: Some(kind) });
    Change {
        app: app.to_owned(),
        base_version: 0,
        operations: operations.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dyno(name: &str, state: DynoState) -> Dyno {
        Dyno {
            name: name.into(),
            state: state.into(),
            ..Dyno::default()
        }
    }

    fn kinds(change: Option<Change>) -> Vec<Kind> {
        let operations = change.into_iter().flat_map(|change| change.operations);
        operations.filter_map(|operation| operation.kind).collect()
    }

    #[test]
    fn only_what_differs_is_said_and_only_of_our_own() {
        let found = App {
            dynos: vec![
                dyno("web.1", DynoState::Up),
                dyno("web.2", DynoState::Up),
                dyno("worker.1", DynoState::Up),
            ],
            ..App::default()
        };
        let told = told(&found);
        assert_eq!(kinds(dynos_change("shop", &told, &told)), []);
        let draining = dyno("web.2", DynoState::Draining);
        let wanted = Told::from([("web.2".to_owned(), draining.clone())]);
        let put = PutDyno {
            dyno: Some(draining),
            takeover: true,
        };
        assert_eq!(
            kinds(dynos_change("shop", &told, &wanted)),
            [Kind::RemoveDyno("web.1".into()), Kind::PutDyno(put)]
        );
    }
}
