//! `meshctl app …`

mod auth;
mod delete;
mod list;
mod page;
mod rules;
mod set;

use dynomesh_proto::v1::{App as AppMessage, CreateApp, Dyno, DynoState, operation::Kind};
use tonic::Code;

use super::Context;
use crate::{
    args::{App, Create},
    change::{change, first_names, put_dyno},
    failure::Failure,
    output::{app_details, count},
};

/// What can be refused without asking the sidecar.
pub(super) fn check(args: &App) -> Result<(), Failure> {
    match args {
        App::Set(set) if set.settings.is_empty() && set.sticky.is_none() => Err(Failure::Usage(
            "nothing to set: give at least one setting, `meshctl app set --help` lists them".into(),
        )),
        App::Delete(delete) => delete::check(delete),
        _ => Ok(()),
    }
}

pub(super) async fn run(args: App, context: &Context) -> Result<(), Failure> {
    match args {
        App::Create(create) => self::create(create, context).await,
        App::List(args) => list::run(&args, context).await,
        App::Show(show) => self::show(&show.name, context).await,
        App::Delete(args) => delete::run(&args, context).await,
        App::Set(args) => set::run(&args, context).await,
        App::Rules(args) => rules::run(&args, context).await,
        App::Page(args) => page::run(&args, context).await,
        App::Auth(args) => auth::run(&args, context).await,
    }
}

/// One change, so that there is never half an app.
async fn create(create: Create, context: &Context) -> Result<(), Failure> {
    let Create {
        name,
        domains,
        dynos,
        settings,
    } = create;
    let settings = settings.over(&Default::default());
    let what = format!(
        "app {name} created with {} and {}",
        count(domains.len(), "domain"),
        count(dynos.len(), "dyno")
    );
    let mut kinds = vec![Kind::CreateApp(CreateApp {
        settings: Some(settings),
    })];
    kinds.extend(domains.into_iter().map(Kind::AddDomain));
    kinds.extend(first_names().zip(dynos).map(|(name, address)| {
        let state = DynoState::Up.into();
        put_dyno(
            Dyno {
                name,
                address,
                state,
                ..Default::default()
            },
            false,
        )
    }));
    let applied = context.client.apply(change(&name, kinds)).await.map_err(|failure| {
        failure.hint(
            Code::AlreadyExists,
            "nothing was created; to change an app there are `meshctl app set`, `domain add` and `dyno add` \
             (with --takeover for the address of a dyno that is gone)",
        )
    })?;
    context.out.applied(&applied, &what)
}

async fn show(name: &str, context: &Context) -> Result<(), Failure> {
    let status = context.client.app(name).await?;
    if context.out.json {
        return context.out.object(&status);
    }
    let none = AppMessage::default();
    let app = status.app.as_ref().unwrap_or(&none);
    context
        .out
        .text(&app_details(app, &status, context.out.colour))
}
