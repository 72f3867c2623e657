//! `meshctl dyno add`

use dynomesh_proto::v1::{Applied, Change, Dyno, DynoState};
use tonic::Code;

use super::{Context, until_unhindered};
use crate::{
    args::Add,
    change::{change_of_version, free_name, put_dyno},
    failure::Failure,
    output::state_name,
};

pub(super) async fn run(args: Add, context: &Context) -> Result<(), Failure> {
    let added = match &args.name {
        // In whatever version the app is: the name is the operator's decision.
        Some(name) => attempt(&args, name, 0, context).await,
        None => until_unhindered(async || add_next(&args, context).await).await,
    };
    let (applied, name) = added.map_err(|failure| {
        let hint = "for an address whose process is gone there is --takeover";
        failure.hint(Code::AlreadyExists, hint)
    })?;
    let Add {
        app,
        address,
        state,
        ..
    } = &args;
    let state = state_name(DynoState::from(*state));
    let what = format!("dyno {name} of app {app} at {address} is {state}");
    context.out.applied(&applied, &what)
}

/// Under the next free name. A dyno of a name that is there would be replaced,
/// so the change is only for the version in which the name was free.
async fn add_next(args: &Add, context: &Context) -> Result<(Applied, String), Failure> {
    let app = context.client.app(&args.app).await?.app.unwrap_or_default();
    let name = free_name(app.dynos.iter().map(|dyno| &*dyno.name));
    attempt(args, &name, app.version, context).await
}

async fn attempt(
    args: &Add,
    name: &str,
    version: u64,
    context: &Context,
) -> Result<(Applied, String), Failure> {
    let applied = context.client.apply(put(args, name, version)).await?;
    Ok((applied, name.to_owned()))
}

fn put(args: &Add, name: &str, version: u64) -> Change {
    let dyno = Dyno {
        name: name.to_owned(),
        instance: args.instance.clone(),
        address: args.address.clone(),
        limit: args.limit,
        state: DynoState::from(args.state).into(),
    };
    let kind = put_dyno(dyno, args.takeover);
    change_of_version(&args.app, version, [kind])
}
