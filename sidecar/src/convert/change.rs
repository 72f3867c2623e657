//! Changes of apps.

use dynomesh_proto::v1::{self, operation::Kind};
use mesh::{Change, Operation};

use super::{
    Malformed,
    app::{dyno_from_proto, dyno_from_spec},
    auth::{auth_from_proto, auth_lines},
    manage::{manage_from_core, manage_from_proto},
    pages::{page_from_core, page_from_proto},
    rules::{lines, rules_from_proto},
    settings::{settings_from_core, settings_from_proto, state_from_core, state_from_proto},
    sticky::sticky_from_proto,
};

/// What somebody wants changed.
///
/// # Errors
/// Which field is malformed.
pub fn change_from_proto(change: v1::Change) -> Result<Change, Malformed> {
    let operations = change.operations.into_iter().enumerate();
    let operations = operations
        .map(|(i, operation)| {
            let operation = operation_from_proto(operation);
            operation.map_err(|error| error.within(&format!("operations[{i}]")))
        })
        .collect::<Result<_, _>>()?;
    Ok(Change {
        app: change.app.into(),
        base_version: (change.base_version > 0).then_some(change.base_version),
        operations,
    })
}

fn operation_from_proto(operation: v1::Operation) -> Result<Operation, Malformed> {
    let kind = operation
        .kind
        .ok_or_else(|| Malformed::new("kind", "is not set, or not known here"))?;
    Ok(match kind {
        Kind::CreateApp(create) => {
            let settings = create.settings.unwrap_or_default();
            let settings = settings_from_proto(&settings);
            Operation::CreateApp(settings.map_err(|error| error.within("create_app.settings"))?)
        }
        Kind::DeleteApp(v1::DeleteApp {}) => Operation::DeleteApp,
        Kind::PutSettings(settings) => {
            let settings = settings_from_proto(&settings);
            Operation::PutSettings(settings.map_err(|error| error.within("put_settings"))?)
        }
        Kind::SetMaintenance(on) => Operation::SetMaintenance(on),
        Kind::AddDomain(domain) => Operation::AddDomain(domain.into()),
        Kind::RemoveDomain(domain) => Operation::RemoveDomain(domain.into()),
        Kind::PutDyno(put) => {
            let dyno = put
                .dyno
                .ok_or_else(|| Malformed::new("put_dyno.dyno", "is not set"))?;
            let dyno = dyno_from_proto(dyno).map_err(|error| error.within("put_dyno.dyno"))?;
            Operation::PutDyno {
                dyno,
                takeover: put.takeover,
            }
        }
        Kind::RemoveDyno(dyno) => Operation::RemoveDyno(dyno.into()),
        Kind::SetDynoState(set) => {
            let state =
                state_from_proto(set.state).map_err(|error| error.within("set_dyno_state"))?;
            Operation::SetDynoState {
                dyno: set.dyno.into(),
                state,
            }
        }
        Kind::Manage(manage) => {
            let manage = manage_from_proto(manage).map_err(|error| error.within("manage"))?;
            Operation::Manage(Box::new(manage))
        }
        Kind::PutRules(rules) => Operation::PutRules(rules_from_proto(rules)?),
        Kind::PutPage(page) => Operation::PutPage(page_from_proto(page)?),
        Kind::PutAuth(auth) => Operation::PutAuth(auth_from_proto(auth)?),
        Kind::PutSticky(sticky) => Operation::PutSticky(sticky_from_proto(sticky)?),
    })
}

/// A change as it was made.
pub fn change_from_core(change: &Change) -> v1::Change {
    v1::Change {
        app: (*change.app).into(),
        base_version: change.base_version.unwrap_or(0),
        operations: change.operations.iter().map(operation_from_core).collect(),
    }
}

fn operation_from_core(operation: &Operation) -> v1::Operation {
    let kind = match operation {
        Operation::CreateApp(settings) => Kind::CreateApp(v1::CreateApp {
            settings: Some(settings_from_core(settings)),
        }),
        Operation::DeleteApp => Kind::DeleteApp(v1::DeleteApp {}),
        Operation::PutSettings(settings) => Kind::PutSettings(settings_from_core(settings)),
        Operation::SetMaintenance(on) => Kind::SetMaintenance(*on),
        Operation::AddDomain(domain) => Kind::AddDomain((**domain).into()),
        Operation::RemoveDomain(domain) => Kind::RemoveDomain((**domain).into()),
        Operation::PutDyno { dyno, takeover } => Kind::PutDyno(v1::PutDyno {
            dyno: Some(dyno_from_spec(dyno)),
            takeover: *takeover,
        }),
        Operation::RemoveDyno(dyno) => Kind::RemoveDyno((**dyno).into()),
        Operation::SetDynoState { dyno, state } => Kind::SetDynoState(v1::SetDynoState {
            dyno: (**dyno).into(),
            state: state_from_core(*state).into(),
        }),
        Operation::Manage(manage) => Kind::Manage(manage_from_core(manage)),
        Operation::PutRules(rules) => Kind::PutRules(v1::Rules {
            lines: lines(rules),
        }),
        Operation::PutPage(page) => Kind::PutPage(page_from_core(page)),
        Operation::PutAuth(auth) => Kind::PutAuth(v1::Auth {
            lines: auth_lines(auth),
        }),
        Operation::PutSticky(sticky) => Kind::PutSticky((**sticky).into()),
    };
    v1::Operation { kind: Some(kind) }
}
