//! `meshctl maintenance on|off`

use dynomesh_proto::v1::operation::Kind;

use super::Context;
use crate::{
    args::{Maintenance, OnOff},
    change::change,
    failure::Failure,
};

pub(super) async fn run(args: &Maintenance, context: &Context) -> Result<(), Failure> {
    let app = &args.app;
    let on = args.mode == OnOff::On;
    let applied = context
        .client
        .apply(change(app, [Kind::SetMaintenance(on)]))
        .await?;
    let word = if on { "on" } else { "off" };
    context
        .out
        .applied(&applied, &format!("maintenance of app {app} is {word}"))
}
