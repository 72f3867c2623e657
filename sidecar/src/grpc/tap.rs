//! Requests as they end.

use std::sync::Arc;

use dynomesh_proto::v1::{TapEvent, TapRequest};
use futures_util::stream;
use tonic::{Code, Status};

use super::{
    control::Replies,
    status::{malformed, stopping},
};
use crate::{
    convert,
    driver::{Driver, TapError},
};

pub(super) fn tap(driver: Arc<Driver>, request: TapRequest) -> Result<Replies<TapEvent>, Status> {
    let filter = convert::tap_filter(request).map_err(|error| malformed(&error))?;
    let watch = driver.tap(filter).map_err(refused)?;
    let events = stream::unfold(Some((driver, watch)), |both| async {
        let (driver, mut watch) = both?;
        tokio::select! {
            news = watch.next() => Some((Ok(convert::tap_event(news?)), Some((driver, watch)))),
            () = driver.stopped() => Some((Err(stopping()), None)),
        }
    });
    Ok(Box::pin(events))
}

fn refused(error: TapError) -> Status {
    let code = match error {
        TapError::NoApp => Code::NotFound,
        TapError::TooMany => Code::ResourceExhausted,
    };
    Status::new(code, error.to_string())
}
