//! The changes that make an app again as it is.

use dynomesh_proto::v1::{App, Auth, Change, CreateApp, Dyno, DynoState, Rules, operation::Kind};

use super::{change, free_name, put_dyno};

/// Operations in one change. Nearly every app fits in one, and is then made as
/// a whole or not at all; a sidecar takes no more than this at once.
const MOST: usize = 1_000;

/// What makes the app, in order.
pub(crate) fn recreate(app: &App) -> Vec<Change> {
    let kinds = kinds(app);
    kinds
        .chunks(MOST)
        .map(|kinds| change(&app.name, kinds.iter().cloned()))
        .collect()
}

fn kinds(app: &App) -> Vec<Kind> {
    let mut kinds = vec![Kind::CreateApp(CreateApp {
        settings: app.settings,
    })];
    // Before its domains: no request may slip through.
    if app.maintenance {
        kinds.push(Kind::SetMaintenance(true));
    }
    if !app.rules.is_empty() {
        kinds.push(Kind::PutRules(Rules {
            lines: app.rules.clone(),
        }));
    }
    if !app.sticky.is_empty() {
        kinds.push(Kind::PutSticky(app.sticky.clone()));
    }
    kinds.extend(app.pages.iter().cloned().map(Kind::PutPage));
    if !app.auth.is_empty() {
        kinds.push(Kind::PutAuth(Auth {
            lines: app.auth.clone(),
        }));
    }
    kinds.extend(release(app).into_iter().flatten());
    kinds.extend(app.domains.iter().cloned().map(Kind::AddDomain));
    kinds.extend(app.dynos.iter().cloned().map(|dyno| put_dyno(dyno, false)));
    kinds
}

/// An app that is scaled to zero or has crashed differs from one that never
/// had a release, and only a dyno that starts can say so. Here one starts that
/// is gone within the same change, when no dyno of the app says it.
fn release(app: &App) -> Option<[Kind; 2]> {
    let started = |dyno: &Dyno| matches!(dyno.state(), DynoState::Starting | DynoState::Up);
    if !app.released || app.dynos.iter().any(started) {
        return None;
    }
    let name = free_name(app.dynos.iter().map(|dyno| &*dyno.name));
    let dyno = Dyno {
        name: name.clone(),
        instance: String::new(),
        // No process can listen there, so it is nobody else's.
        address: "unix:/dev/null".to_owned(),
        limit: 0,
        state: DynoState::Starting.into(),
    };
    Some([put_dyno(dyno, false), Kind::RemoveDyno(name)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dyno(name: &str, state: DynoState) -> Dyno {
        Dyno {
            name: name.into(),
            state: state.into(),
            ..Default::default()
        }
    }

    #[test]
    fn an_app_is_made_with_all_it_has() {
        let web = dyno("web.7", DynoState::Up);
        let app = App {
            name: "shop".into(),
            version: 9,
            maintenance: true,
            released: true,
            domains: vec!["a.example".into(), "*.b.example".into()],
            dynos: vec![web.clone()],
            rules: vec!["always deny".into()],
            auth: vec!["basic".into()],
            ..Default::default()
        };
        let want = [
            Kind::CreateApp(CreateApp { settings: None }),
            Kind::SetMaintenance(true),
            Kind::PutRules(Rules {
                lines: vec!["always deny".into()],
            }),
            Kind::PutAuth(Auth {
                lines: vec!["basic".into()],
            }),
            Kind::AddDomain("a.example".into()),
            Kind::AddDomain("*.b.example".into()),
            put_dyno(web, false),
        ];
        assert_eq!(recreate(&app), [change("shop", want)]);
    }

    #[test]
    fn released_is_not_never_released() {
        let never = App::default();
        assert_eq!(kinds(&never).len(), 1);
        let asleep = App {
            released: true,
            ..never
        };
        assert!(matches!(
            &kinds(&asleep)[..],
            [Kind::CreateApp(_), Kind::PutDyno(_), Kind::RemoveDyno(_)]
        ));
        let crashed = App {
            dynos: vec![dyno("web.1", DynoState::Crashed)],
            ..asleep
        };
        let Some([_, removed]) = release(&crashed) else {
            panic!("it is as if it never had a release");
        };
        assert_eq!(removed, Kind::RemoveDyno("web.2".into()));
    }

    #[test]
    fn what_is_too_much_for_one_change_becomes_more() {
        let name = |n| format!("{n}.example");
        let app = App {
            domains: (0..MOST).map(name).collect(),
            ..Default::default()
        };
        let sizes: Vec<_> = recreate(&app).iter().map(|c| c.operations.len()).collect();
        assert_eq!(sizes, [MOST, 1]);
    }
}
