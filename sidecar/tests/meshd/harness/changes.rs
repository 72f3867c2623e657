//! Changes, short to write.

use dynomesh_proto::v1::{
    Change, CreateApp, Dyno, DynoState, Operation, PutDyno, SetDynoState, Settings, operation::Kind,
};

pub(crate) fn change(app: &str, kinds: impl IntoIterator<Item = Kind>) -> Change {
    let operations = kinds
        .into_iter()
        .map(|kind| Operation { kind: Some(kind) })
        .collect();
    Change {
        app: app.into(),
        base_version: 0,
        operations,
    }
}

pub(crate) fn create(settings: Settings) -> Kind {
    Kind::CreateApp(CreateApp {
        settings: Some(settings),
    })
}

/// A dyno that is up, at a port of its own.
pub(crate) fn dyno(name: &str, port: u16) -> Dyno {
    Dyno {
        name: name.into(),
        instance: format!("{name}-{port}"),
        address: format!("127.0.0.1:{port}"),
        ..Dyno::default()
    }
}

pub(crate) fn put(dyno: Dyno) -> Kind {
    Kind::PutDyno(PutDyno {
        dyno: Some(dyno),
        takeover: false,
    })
}

pub(crate) fn state(dyno: &str, state: DynoState) -> Kind {
    Kind::SetDynoState(SetDynoState {
        dyno: dyno.into(),
        state: state.into(),
    })
}

/// An app that answers to `NAME.test` and has dynos at these ports.
pub(crate) fn app(name: &str, ports: &[u16]) -> Change {
    let dynos = ports
        .iter()
        .enumerate()
        .map(|(n, port)| put(dyno(&format!("web.{}", n + 1), *port)));
    let own = [
        create(Settings::default()),
        Kind::AddDomain(format!("{name}.test")),
    ];
    change(name, own.into_iter().chain(dynos))
}
