//! `meshctl nodes`: which sidecars there are.

use super::Context;
use crate::{args::Nodes, failure::Failure, output::nodes_details};

pub(super) async fn run(_args: &Nodes, context: &Context) -> Result<(), Failure> {
    let nodes = context.client.nodes().await?;
    match context.out.json {
        true => context.out.object(&nodes),
        false => context.out.text(&nodes_details(&nodes, context.out.colour)),
    }
}
