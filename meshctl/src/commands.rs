//! One module for each noun: what the command line asks for, done.

mod app;
mod apply;
mod completion;
mod domain;
mod dyno;
mod export;
mod maintenance;
mod nodes;
mod progress;
mod status;
mod tap;
mod top;
mod watch;

use crate::{
    args::{Cli, Command, Connection},
    client::Client,
    failure::Failure,
    output::Output,
};

/// What most commands work with.
pub(crate) struct Context {
    client: Client,
    out: Output,
}

impl Context {
    async fn open(connection: &Connection, queue: bool, out: Output) -> Result<Self, Failure> {
        let client = Client::connect(connection).await?.queueing(queue);
        Ok(Self { client, out })
    }
}

pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli {
        connection,
        json,
        queue,
        command,
    } = cli;
    let out = Output::new(json);
    // These have something to do before there is a connection.
    match &command {
        Command::Completion(args) => return completion::run(args, out),
        Command::Status(args) => return status::run(args, &connection, out).await,
        Command::Apply(args) => return apply::run(args, &connection, queue, out).await,
        Command::App(args) => app::check(args)?,
        _ => {}
    }
    let context = Context::open(&connection, queue, out).await?;
    match command {
        Command::App(args) => app::run(args, &context).await,
        Command::Domain(args) => domain::run(args, &context).await,
        Command::Dyno(args) => dyno::run(args, &context).await,
        Command::Maintenance(args) => maintenance::run(&args, &context).await,
        Command::Export(args) => export::run(&args, &context).await,
        Command::Watch(args) => watch::run(&args, &context).await,
        Command::Tap(args) => tap::run(&args, &context).await,
        Command::Top(args) => top::run(&args, &context).await,
        Command::Nodes(args) => nodes::run(&args, &context).await,
        Command::Apply(_) | Command::Status(_) | Command::Completion(_) => Ok(()),
    }
}
