//! `meshctl tap`: requests as they end, until it is interrupted.

use dynomesh_proto::v1::{TapFilter, TapRequest, tap_event::Kind};

use super::Context;
use crate::{args::Tap, failure::Failure, output::tap_line};

/// What a sample is a part of.
const WHOLE: f64 = 1_000_000.0;

pub(super) async fn run(args: &Tap, context: &Context) -> Result<(), Failure> {
    let mut events = context.client.tap(request(args)).await?;
    loop {
        let event = events
            .message()
            .await
            .map_err(|status| Failure::from_status(&status))?;
        let Some(event) = event else {
            return Err(Failure::Unreachable(
                "the sidecar ended the tap; it may be stopping, try again".into(),
            ));
        };
        if context.out.json {
            context.out.json_line(&event)?;
            continue;
        }
        match event.kind {
            // What goes on does not go into a file of requests.
            Some(Kind::Routers(0)) => eprintln!("no worker of Nginx is connected"),
            Some(Kind::Routers(_)) | None => {}
            Some(Kind::Lost(n)) => eprintln!("{n} requests were left out: there are too many"),
            Some(Kind::Request(request)) => context.out.text(&tap_line(&request))?,
        }
    }
}

fn request(args: &Tap) -> TapRequest {
    let sample = (args.sample * WHOLE).round().max(1.0) as u32;
    TapRequest {
        filter: Some(TapFilter {
            app: args.app.clone(),
            sample,
            status: args.status.unwrap_or(0),
            error: args.code.clone().unwrap_or_default(),
            dyno: args.dyno.clone().unwrap_or_default(),
            path: args.path.clone().unwrap_or_default(),
            per_second: args.rate,
            slow_ms: args.slow.map_or(0, |slow| {
                u32::try_from(slow.as_millis()).unwrap_or(u32::MAX)
            }),
        }),
    }
}
