//! `meshctl top`: what is busy, now and again.

mod live;
mod look;
mod sample;
mod screen;
mod view;

use std::io::{self, IsTerminal as _};

use tokio::time::sleep;

use super::Context;
use crate::{args::Top, failure::Failure};
use look::Looker;

pub(super) async fn run(args: &Top, context: &Context) -> Result<(), Failure> {
    let looker = Looker::new(context.client.clone());
    match (context.out.json, args.once || !io::stdout().is_terminal()) {
        (true, _) => objects(args, looker, context).await,
        (false, true) => once(args, looker, context).await,
        (false, false) => live::run(args.interval, looker).await,
    }
}

/// One object for each look; the first has no rates, unless it is the only one.
async fn objects(args: &Top, mut looker: Looker, context: &Context) -> Result<(), Failure> {
    if args.once {
        looker.look().await?;
        sleep(args.interval).await;
        return context.out.json_line(&looker.look().await?);
    }
    loop {
        context.out.json_line(&looker.look().await?)?;
        sleep(args.interval).await;
    }
}

/// Rates need two looks.
async fn once(args: &Top, mut looker: Looker, context: &Context) -> Result<(), Failure> {
    looker.look().await?;
    sleep(args.interval).await;
    let view = looker.look().await?;
    context
        .out
        .text(&format!("{}\n\n{}", view.summary(), view.table()))
}
