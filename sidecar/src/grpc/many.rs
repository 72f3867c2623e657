//! Many changes over one stream.

use std::sync::Arc;

use dynomesh_proto::v1::{self, Change};
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use tokio::sync::mpsc::{self, Sender};
use tonic::{Status, Streaming};

use super::{
    control::{Replies, wanted},
    status::{apply_error, malformed, stopping},
};
use crate::driver::{Driver, Pending};

/// Changes of one stream under way. A caller has to read its results in time.
const UNDER_WAY: usize = 1_024;

/// What becomes of changes that can't be made now.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// They are refused.
    Apply,
    /// They are queued.
    Queue,
}

enum Next {
    /// It is with the writer.
    Pending(String, Pending),
    /// It never got there.
    Refused(String, Status),
    /// The stream broke.
    Broken(Status),
}

pub(super) fn apply_many(
    driver: Arc<Driver>,
    incoming: Streaming<Change>,
    mode: Mode,
) -> Replies<v1::Applied> {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    tokio::spawn(submit_all(driver, incoming, sender, mode));
    // Results are in the order of the changes, as the writer's are.
    let results = stream::unfold(receiver, |mut receiver| async move {
        let next = receiver.recv().await?;
        Some((result(next).await, receiver))
    });
    Box::pin(results)
}

/// Ends with the stream, or when nobody waits for results any more.
async fn submit_all(
    driver: Arc<Driver>,
    mut incoming: Streaming<Change>,
    to: Sender<Next>,
    mode: Mode,
) {
    let mut stopped = std::pin::pin!(driver.stopped());
    loop {
        let message = tokio::select! {
            message = incoming.next() => message,
            () = &mut stopped => Some(Err(stopping())),
        };
        let (next, last) = match message {
            None => return,
            Some(Ok(change)) => (submit(&driver, change, mode).await, false),
            Some(Err(status)) => (Next::Broken(status), true),
        };
        if to.send(next).await.is_err() || last {
            return;
        }
    }
}

async fn submit(driver: &Driver, change: Change, mode: Mode) -> Next {
    let (app, size) = (change.app.clone(), change.encoded_len());
    let change = match wanted(change) {
        Ok(change) => change,
        Err(error) => return Next::Refused(app, malformed(&error)),
    };
    let submitted = match mode {
        Mode::Apply => driver.changes().submit(change).await,
        // Now its caller can be told.
        Mode::Queue => match driver.admit(&change) {
            Ok(()) => driver.changes().submit_or_queue(change, size).await,
            Err(error) => Err(error.into()),
        },
    };
    match submitted {
        Ok(pending) => Next::Pending(app, pending),
        Err(error) => Next::Refused(app, apply_error(&error)),
    }
}

async fn result(next: Next) -> Result<v1::Applied, Status> {
    let (app, status) = match next {
        Next::Pending(app, pending) => match pending.outcome().await {
            Ok(applied) => {
                return Ok(v1::Applied {
                    app,
                    version: applied.version,
                    error: None,
                    queued: applied.queued.unwrap_or_default().into(),
                });
            }
            Err(error) => (app, apply_error(&error)),
        },
        Next::Refused(app, status) => (app, status),
        Next::Broken(status) => return Err(status),
    };
    let error = v1::ChangeError {
        code: status.code().into(),
        message: status.message().into(),
    };
    Ok(v1::Applied {
        app,
        version: 0,
        error: Some(error),
        queued: String::new(),
    })
}
