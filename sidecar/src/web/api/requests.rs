//! One app's requests as they end, for as long as somebody looks: server-sent events.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::time::sleep;

use super::Api;
use crate::{
    convert::{Form, TapFilter, tap_event_to_bytes},
    driver::{TapError, TapNews, TapWatch},
};

/// Nobody reads faster.
const PER_SECOND: u32 = 10;
/// With nothing to tell, that is told, so that it is noticed when nobody is there.
const SILENCE: Duration = Duration::from_secs(10);

/// Which of them.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Only those that went wrong.
    #[serde(default)]
    failed: bool,
}

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let mut filter = TapFilter::all_of(&name, PER_SECOND);
    if wanted.failed {
        filter = filter.of_class(5);
    }
    let watch = match api.driver.tap(filter) {
        Ok(watch) => watch,
        Err(error) => return refused(error),
    };
    let events = stream::unfold((api, watch), |(api, mut watch)| async {
        let text = tokio::select! {
            text = next(&mut watch) => text?,
            () = api.driver.stopped() => return None,
        };
        Some((Ok::<_, std::convert::Infallible>(text), (api, watch)))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(events)).into_response()
}

async fn next(watch: &mut TapWatch) -> Option<Bytes> {
    let news: TapNews = tokio::select! {
        news = watch.next() => news?,
        () = sleep(SILENCE) => return Some(Bytes::from_static(b":\n\n")),
    };
    // JSON on one line.
    let json = tap_event_to_bytes(news, Form::Json).ok()?;
    Some([b"data: ", &*json, b"\n\n"].concat().into())
}

fn refused(error: TapError) -> Response {
    let status = match error {
        TapError::NoApp => StatusCode::NOT_FOUND,
        TapError::TooMany => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, format!("{error}\n")).into_response()
}
