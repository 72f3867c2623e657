//! `meshctl app set`: the settings that were given, the others as they are.

use dynomesh_proto::v1::{Applied, operation::Kind};
use tonic::Code;

use super::Context;
use crate::{args::Set, change::change_of_version, failure::Failure, output::sticky_name};

pub(super) async fn run(args: &Set, context: &Context) -> Result<(), Failure> {
    let first = attempt(args, context).await;
    // Someone else was faster: once more, over what they made of it.
    let (applied, what) = match first {
        Err(failure) if failure.code() == Some(Code::Aborted) => attempt(args, context).await?,
        other => other?,
    };
    context.out.applied(&applied, &what)
}

/// The protocol replaces all settings, so those not given are sent as they
/// were read, and only to the version that they were read from.
async fn attempt(args: &Set, context: &Context) -> Result<(Applied, String), Failure> {
    let name = &args.name;
    let app = context.client.app(name).await?.app.unwrap_or_default();
    let old = app.settings.unwrap_or_default();
    let new = args.settings.over(&old);
    let sticky = args.sticky.as_deref();
    let other = sticky.filter(|sticky| *sticky != sticky_name(&app.sticky));
    let mut kinds = Vec::new();
    if new != old {
        kinds.push(Kind::PutSettings(new));
    }
    if let Some(other) = other {
        let sticky = if other == "none" { "" } else { other };
        kinds.push(Kind::PutSticky(sticky.to_owned()));
    }
    if kinds.is_empty() {
        let applied = Applied {
            app: app.name,
            version: app.version,
            ..Applied::default()
        };
        return Ok((applied, format!("app {name} has these settings already")));
    }
    let change = change_of_version(name, app.version, kinds);
    let applied = context.client.apply(change).await?;
    Ok((applied, format!("app {name} set")))
}
