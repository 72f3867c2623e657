//! Apps and dynos, as configured and as they are at the moment.

use dynomesh_proto::v1;
use mesh::{AppSpec, AppView, Counters, DynoSpec, Rules};

use super::{
    Malformed,
    auth::{auth, auth_lines},
    millis, non_zero,
    pages::{pages_from_core, pages_from_proto, pages_in_short},
    rules::lines,
    settings::{settings_from_core, settings_from_proto, state_from_core, state_from_proto},
};

/// An app as it is kept on disk and shown.
pub fn app_from_spec(spec: &AppSpec) -> v1::App {
    app_with(spec, pages_from_core(&spec.pages))
}

fn app_with(spec: &AppSpec, pages: Vec<v1::Page>) -> v1::App {
    v1::App {
        name: (*spec.name).into(),
        version: spec.version,
        settings: Some(settings_from_core(&spec.settings)),
        maintenance: spec.maintenance,
        released: spec.released,
        domains: spec
            .domains
            .iter()
            .map(|domain| (**domain).into())
            .collect(),
        dynos: spec.dynos.iter().map(dyno_from_spec).collect(),
        rules: lines(&spec.rules),
        pages,
        auth: auth_lines(&spec.auth),
        sticky: (*spec.sticky).into(),
    }
}

/// An app from disk.
///
/// # Errors
/// Which field is not what [`app_from_spec`] wrote.
pub fn spec_from_app(app: v1::App) -> Result<AppSpec, Malformed> {
    let settings = app.settings.unwrap_or_default();
    let settings = settings_from_proto(&settings).map_err(|error| error.within("settings"))?;
    let dynos = app.dynos.into_iter().enumerate();
    let dynos = dynos
        .map(|(i, dyno)| {
            dyno_from_proto(dyno).map_err(|error| error.within(&format!("dynos[{i}]")))
        })
        .collect::<Result<_, _>>()?;
    Ok(AppSpec {
        name: app.name.into(),
        version: app.version,
        settings,
        maintenance: app.maintenance,
        released: app.released,
        domains: app.domains.into_iter().map(Into::into).collect(),
        // They were checked when they were set, perhaps by another version.
        rules: Rules::new(app.rules.into_iter().map(Into::into)),
        pages: pages_from_proto(app.pages),
        auth: auth(app.auth),
        sticky: app.sticky.into(),
        dynos,
    })
}

pub(super) fn dyno_from_spec(spec: &DynoSpec) -> v1::Dyno {
    v1::Dyno {
        name: (*spec.name).into(),
        instance: (*spec.instance).into(),
        address: spec.address.to_string(),
        limit: spec.limit.unwrap_or(0),
        state: state_from_core(spec.state).into(),
    }
}

pub(super) fn dyno_from_proto(dyno: v1::Dyno) -> Result<DynoSpec, Malformed> {
    let address = dyno.address.parse();
    Ok(DynoSpec {
        name: dyno.name.into(),
        instance: dyno.instance.into(),
        address: address
            .map_err(|error: mesh::BadAddress| Malformed::new("address", error.to_string()))?,
        limit: non_zero(dyno.limit),
        state: state_from_proto(dyno.state)?,
    })
}

/// An app, and what it does.
pub fn app_status(view: &AppView) -> v1::AppStatus {
    status_of(view, app_from_spec(&view.spec))
}

/// The same for a list: without what may be long.
pub fn app_in_list(view: &AppView) -> v1::AppStatus {
    status_of(view, app_with(&view.spec, pages_in_short(&view.spec.pages)))
}

fn status_of(view: &AppView, app: v1::App) -> v1::AppStatus {
    let dynos = view.spec.dynos.iter().zip(&view.dynos);
    v1::AppStatus {
        app: Some(app),
        in_flight: view.in_flight,
        waiting: view.waiting,
        oldest_wait_ms: millis(view.oldest_wait),
        dynos: dynos
            .map(|(spec, dyno)| v1::DynoLoad {
                name: (*spec.name).into(),
                load: dyno.load,
                limit: dyno.limit.unwrap_or(0),
                quarantine_ms: millis(dyno.quarantine),
                elsewhere: dyno.elsewhere,
            })
            .collect(),
        counters: Some(counters(&view.counters)),
    }
}

/// What happened to requests.
pub fn counters(counters: &Counters) -> v1::Counters {
    v1::Counters {
        routed: counters.routed,
        queued: counters.queued,
        refused: counters.refused,
        cancelled: counters.cancelled,
        loose: counters.loose,
    }
}
