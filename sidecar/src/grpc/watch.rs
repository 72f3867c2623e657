//! Everything that happens, as it happens.

use std::sync::Arc;

use dynomesh_proto::v1::{Event, event::Kind};
use futures_util::stream;

use super::{control::Replies, status::stopping};
use crate::{
    convert,
    driver::{Driver, Watcher},
};

/// Events of `app`, or of every app if it is empty.
pub(super) fn watch(driver: Arc<Driver>, app: String) -> Replies<Event> {
    // From now on: the watcher is there before the caller hears of it.
    let watcher = driver.watch();
    let events = stream::unfold(Some((driver, watcher, app)), |watch| async {
        let (driver, mut watcher, app) = watch?;
        tokio::select! {
            event = next(&mut watcher, &app) => Some((Ok(event?), Some((driver, watcher, app)))),
            () = driver.stopped() => Some((Err(stopping()), None)),
        }
    });
    Box::pin(events)
}

async fn next(watcher: &mut Watcher, app: &str) -> Option<Event> {
    loop {
        match watcher.next().await? {
            Ok(notice) if app.is_empty() || notice.app() == app => {
                return Some(convert::event(&notice));
            }
            Ok(_) => {}
            Err(missed) => {
                return Some(Event {
                    kind: Some(Kind::Missed(missed)),
                });
            }
        }
    }
}
