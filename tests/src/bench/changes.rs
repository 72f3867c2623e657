//! Changes to be made.

use std::fmt::Display;

use dynomesh_proto::v1::{
    Change, CreateApp, Dyno, DynoState, Operation, Policy, PutDyno, Settings, operation::Kind,
};

/// Dynos of each app that only fills the table.
const DYNOS: usize = 2;

/// A change of one app.
pub(super) fn change(app: &str, kinds: impl IntoIterator<Item = Kind>) -> Change {
    Change {
        app: app.to_owned(),
        base_version: 0,
        operations: kinds
            .into_iter()
            .map(|kind| Operation { kind: Some(kind) })
            .collect(),
    }
}

/// A dyno that is up.
pub(super) fn put_dyno(name: &str, address: impl Display) -> Kind {
    Kind::PutDyno(PutDyno {
        dyno: Some(Dyno {
            name: name.to_owned(),
            address: address.to_string(),
            state: DynoState::Up.into(),
            ..Dyno::default()
        }),
        takeover: false,
    })
}

/// An app that answers to `NAME.test`, with these dynos.
pub(super) fn app<A: Display>(name: &str, settings: Settings, dynos: &[A]) -> Change {
    let create = [
        Kind::CreateApp(CreateApp {
            settings: Some(settings),
        }),
        Kind::AddDomain(host(name)),
    ];
    let put = dynos
        .iter()
        .enumerate()
        .map(|(at, address)| put_dyno(&format!("web.{}", at + 1), address));
    change(name, create.into_iter().chain(put))
}

/// What such an app answers to.
pub(super) fn host(app: &str) -> String {
    format!("{app}.test")
}

/// Settings with this policy and, unless zero, this many requests at once.
pub(super) fn policy(policy: Policy, limit: u32) -> Settings {
    Settings {
        policy: policy.into(),
        dyno_limit: limit,
        ..Settings::default()
    }
}

/// Apps that fill the table: nobody asks for them.
pub(super) fn fillers(apps: usize) -> Vec<Change> {
    (0..apps)
        .map(|at| {
            let dynos = std::array::from_fn::<_, DYNOS, _>(|dyno| address(at, dyno));
            app(&filler(at), Settings::default(), &dynos)
        })
        .collect()
}

/// The name of one of these.
pub(super) fn filler(at: usize) -> String {
    format!("filler-{at}")
}

/// An address that no other dyno has, and where nothing is: there are so many
/// loopback addresses, and an app has a port of each.
pub(super) fn address(app: usize, dyno: usize) -> String {
    let (high, port) = (app / 50_000 + 1, app % 50_000 + 1_000);
    format!("127.{high}.{}.{}:{port}", dyno / 250, dyno % 250 + 1)
}
