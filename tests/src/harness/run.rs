//! A test's runtime and the limit on its time.

use std::{pin::pin, time::Duration};

use tokio::{runtime::Builder, time::timeout};

/// Runs a test, for a minute at most.
pub fn run(test: impl Future<Output = ()>) {
    run_within(Duration::from_secs(60), test);
}

/// Runs a test with another limit.
pub fn run_within(limit: Duration, test: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs only threads and a poll descriptor");
    runtime.block_on(async {
        let mut test = pin!(test);
        if timeout(limit, &mut test).await.is_err() {
            // The test is still alive here, so its meshes are dropped by this
            // panic and print their logs.
            panic!("the test took longer than {limit:?}");
        }
    });
}
