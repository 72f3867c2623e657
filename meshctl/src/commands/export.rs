//! `meshctl export`: what `meshctl apply` reads.

use super::Context;
use crate::{args::Export, change::recreate, failure::Failure};

pub(super) async fn run(args: &Export, context: &Context) -> Result<(), Failure> {
    let mut pages = context.client.pages(&args.prefix, false);
    while let Some(apps) = pages.next().await? {
        for app in apps.iter().filter_map(|status| status.app.as_ref()) {
            for change in recreate(app) {
                context.out.json_line(&change)?;
            }
        }
    }
    Ok(())
}
