//! `meshctl dyno set`: the limit that was given, everything else as it is.

use dynomesh_proto::v1::{App, Applied, Dyno};
use tonic::Status;

use super::{Context, known, until_unhindered};
use crate::{
    args::SetDyno,
    change::{change_of_version, put_dyno},
    failure::Failure,
};

pub(super) async fn run(args: &SetDyno, context: &Context) -> Result<(), Failure> {
    let SetDyno { app, name, limit } = args;
    let (applied, changed) = until_unhindered(async || set(args, context).await)
        .await
        .map_err(|failure| known(failure, app))?;
    let limit = match limit {
        0 => "the app's default limit".to_owned(),
        limit => format!("limit {limit}"),
    };
    let already = if changed { "" } else { " already" };
    let what = format!("dyno {name} of app {app} has {limit}{already}");
    context.out.applied(&applied, &what)
}

/// The protocol replaces a dyno as a whole. So the one that was read is sent
/// again, with its instance, and only to the version that it was read from:
/// otherwise a process that ended meanwhile would be back. Says whether there
/// was something to change.
async fn set(args: &SetDyno, context: &Context) -> Result<(Applied, bool), Failure> {
    let app = context.client.app(&args.app).await?.app.unwrap_or_default();
    let dyno = find(&app, &args.name)?;
    if dyno.limit == args.limit {
        let applied = Applied {
            app: app.name,
            version: app.version,
            ..Applied::default()
        };
        return Ok((applied, false));
    }
    let dyno = Dyno {
        limit: args.limit,
        ..dyno.clone()
    };
    let change = change_of_version(&args.app, app.version, [put_dyno(dyno, false)]);
    Ok((context.client.apply(change).await?, true))
}

fn find<'a>(app: &'a App, name: &str) -> Result<&'a Dyno, Failure> {
    let dyno = app.dynos.iter().find(|dyno| dyno.name == name);
    dyno.ok_or_else(|| {
        let why = format!("app \"{}\" has no dyno \"{name}\"", app.name);
        Failure::from_status(&Status::not_found(why))
    })
}
