//! A meshd in a directory of its own, and what to say to it.
mod changes;
mod client;
mod process;
mod worker;

pub(crate) use changes::{app, change, create, dyno, put, state};
pub(crate) use client::{channel, control};
pub(crate) use process::{Meshd, Options};
pub(crate) use worker::Worker;

use std::{future::Future, time::Duration};

/// Whatever is waited for here comes within moments, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` gives, in time.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: waited in vain"),
    }
}

/// Waits until `found` gives something.
pub(crate) async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = found().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}
