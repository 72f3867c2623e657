//! Changes as the protocol has them, made of what the command line has.

mod app;
mod name;

use dynomesh_proto::v1::{
    Change, Dyno, DynoState, Operation, PutDyno, SetDynoState, operation::Kind,
};

pub(crate) use app::recreate;
pub(crate) use name::{first_names, free_name};

/// A change of an app in whatever version it is.
pub(crate) fn change(app: &str, kinds: impl IntoIterator<Item = Kind>) -> Change {
    change_of_version(app, 0, kinds)
}

/// A change that is refused when the app is not in this version any more.
pub(crate) fn change_of_version(
    app: &str,
    base_version: u64,
    kinds: impl IntoIterator<Item = Kind>,
) -> Change {
    Change {
        app: app.to_owned(),
        base_version,
        operations: kinds
            .into_iter()
            .map(|kind| Operation { kind: Some(kind) })
            .collect(),
    }
}

pub(crate) fn put_dyno(dyno: Dyno, takeover: bool) -> Kind {
    Kind::PutDyno(PutDyno {
        dyno: Some(dyno),
        takeover,
    })
}

pub(crate) fn set_dyno_state(dyno: &str, state: DynoState) -> Kind {
    Kind::SetDynoState(SetDynoState {
        dyno: dyno.to_owned(),
        state: state.into(),
    })
}
