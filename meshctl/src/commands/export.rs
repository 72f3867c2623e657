//! `meshctl export`: what `meshctl apply` reads.

use super::Context;
use dynomesh_proto::v1::App;
use tonic::Code;

use crate::{args::Export, change::recreate, failure::Failure};

pub(super) async fn run(args: &Export, context: &Context) -> Result<(), Failure> {
    let mut pages = context.client.pages(&args.prefix, false);
    while let Some(apps) = pages.next().await? {
        for app in apps.into_iter().filter_map(|status| status.app) {
            for change in recreate(&whole(app, context).await?) {
                context.out.json_line(&change)?;
            }
        }
    }
    Ok(())
}

/// A list does not have the pages of an app.
async fn whole(app: App, context: &Context) -> Result<App, Failure> {
    if app.pages.is_empty() {
        return Ok(app);
    }
    match context.client.app(&app.name).await {
        Ok(status) => Ok(status.app.unwrap_or(app)),
        // It was deleted just now: as the list has it, but for the pages.
        Err(failure) if failure.code() == Some(Code::NotFound) => Ok(App {
            pages: Vec::new(),
            ..app
        }),
        Err(failure) => Err(failure),
    }
}
