//! `meshctl nodes`: which sidecars there are.

use super::Context;
use crate::{
    args::{Nodes, NodesCommand},
    failure::Failure,
    output::nodes_details,
};

pub(super) async fn run(args: &Nodes, context: &Context) -> Result<(), Failure> {
    if let Some(NodesCommand::Forget { name }) = &args.command {
        context.client.forget_node(name).await?;
        return match context.out.json {
            true => context
                .out
                .object(&serde_json::json!({ "forgotten": name })),
            false => context.out.text(&format!("node {name} is forgotten\n")),
        };
    }
    let nodes = context.client.nodes().await?;
    match context.out.json {
        true => context.out.object(&nodes),
        false => context.out.text(&nodes_details(&nodes, context.out.colour)),
    }
}
