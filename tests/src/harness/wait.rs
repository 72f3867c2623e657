//! Waiting for something to be so, never for a time to pass.

use std::time::{Duration, Instant};

/// What everything is given that has no limit of its own. Generous, as the host
/// may be busy: a good run never gets near it.
pub const LIMIT: Duration = Duration::from_secs(15);

const STEP: Duration = Duration::from_millis(5);

/// Waits until `check` says yes, for at most [`LIMIT`].
pub async fn until(what: &str, check: impl AsyncFnMut() -> bool) {
    within(LIMIT, what, check).await;
}

/// Waits until `check` says yes; panics when it has not after `limit`.
pub async fn within(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    some(limit, what, async || check().await.then_some(())).await;
}

/// Waits until `check` has something; panics when it has not after `limit`.
pub async fn some<T>(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < limit, "not so after {limit:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}
