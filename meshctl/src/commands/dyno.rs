//! `meshctl dyno …`

mod add;
mod drain;
mod set;

use dynomesh_proto::v1::{DynoState, operation::Kind};
use tonic::Code;

use super::Context;
use crate::{
    args::{Dyno, State},
    change::{change, set_dyno_state},
    failure::Failure,
};

/// Others may change the same app at the same time, and each of them wins once.
const ATTEMPTS: u32 = 10;

pub(super) async fn run(args: Dyno, context: &Context) -> Result<(), Failure> {
    match args {
        Dyno::Add(add) => add::run(add, context).await,
        Dyno::Remove(remove) => self::remove(&remove.app, remove.name, context).await,
        Dyno::State(state) => self::state(&state, context).await,
        Dyno::Set(set) => set::run(&set, context).await,
        Dyno::Drain(drain) => drain::run(&drain, context).await,
    }
}

async fn remove(app: &str, name: String, context: &Context) -> Result<(), Failure> {
    let what = format!("dyno {name} removed from app {app}");
    let change = change(app, [Kind::RemoveDyno(name)]);
    let applied = context
        .client
        .apply(change)
        .await
        .map_err(|failure| known(failure, app))?;
    context.out.applied(&applied, &what)
}

async fn state(args: &State, context: &Context) -> Result<(), Failure> {
    let State { app, name, state } = args;
    let state = DynoState::from(*state);
    let change = change(app, [set_dyno_state(name, state)]);
    let applied = context
        .client
        .apply(change)
        .await
        .map_err(|failure| known(failure, app))?;
    let what = format!(
        "dyno {name} of app {app} is {}",
        crate::output::state_name(state)
    );
    context.out.applied(&applied, &what)
}

/// A failure of a command that names a dyno.
fn known(failure: Failure, app: &str) -> Failure {
    failure.hint(
        Code::NotFound,
        format!("`meshctl app show {app}` shows its dynos"),
    )
}

/// Makes a change for the version of the app that it reads; again, if someone
/// else was faster.
async fn until_unhindered<T>(attempt: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        let result = attempt().await;
        match &result {
            Err(failure) if failure.code() == Some(Code::Aborted) => {}
            _ => return result,
        }
    }
    attempt().await
}
