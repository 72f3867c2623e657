//! `meshctl watch`: until it is interrupted.

use std::time::SystemTime;

use super::Context;
use crate::{args::Watch, failure::Failure, output::event_line};

pub(super) async fn run(args: &Watch, context: &Context) -> Result<(), Failure> {
    let mut events = context.client.watch(&args.app).await?;
    loop {
        let event = events
            .message()
            .await
            .map_err(|status| Failure::from_status(&status))?;
        let Some(event) = event else {
            return Err(Failure::Unreachable(
                "the sidecar ended the watch; it may be stopping, try again".into(),
            ));
        };
        if context.out.json {
            context.out.json_line(&event)?;
        } else {
            let now = humantime::format_rfc3339_millis(SystemTime::now());
            context.out.text(&format!("{now} {}", event_line(&event)))?;
        }
    }
}
