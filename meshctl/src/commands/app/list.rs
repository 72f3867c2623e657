//! `meshctl app list`

use super::Context;
use crate::{
    args::List,
    failure::Failure,
    output::{JsonArray, app_row, app_table},
};

pub(super) async fn run(args: &List, context: &Context) -> Result<(), Failure> {
    match context.out.json {
        true => json(args, context).await,
        false => text(args, context).await,
    }
}

/// Page by page: there may be very many.
async fn json(args: &List, context: &Context) -> Result<(), Failure> {
    let mut pages = context.client.pages(&args.prefix, args.busy);
    let mut array = JsonArray::new(context.out);
    while let Some(apps) = pages.next().await? {
        for app in &apps {
            array.push(app)?;
        }
    }
    array.end()
}

/// All at once, because the widths of the columns depend on every row.
async fn text(args: &List, context: &Context) -> Result<(), Failure> {
    let mut pages = context.client.pages(&args.prefix, args.busy);
    let mut table = app_table(context.out.colour);
    while let Some(apps) = pages.next().await? {
        for status in &apps {
            if let Some(app) = &status.app {
                app_row(&mut table, app, status);
            }
        }
    }
    context.out.text(&table.render())
}
