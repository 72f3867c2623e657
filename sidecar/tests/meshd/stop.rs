//! A stop in good order.

use std::{error::Error as _, time::Duration};

use tonic::Code;

use crate::harness::{Meshd, Worker, app, change, state};

#[tokio::test]
async fn a_stop_is_quick_and_nobody_loses_anything() {
    for signal in ["TERM", "INT"] {
        let meshd = Meshd::start(&["--recovery-ms", "60000"]).await;
        let socket = meshd.path("router.sock");
        meshd
            .control()
            .await
            .apply(app("shop", &[5001]))
            .await
            .expect("applied");
        let mut holder = Worker::hello(&socket, 1).await;
        let mut waiting = Worker::hello(&socket, 2).await;
        let held = holder.route(1, "shop.test").await.expect("a dyno");
        waiting.ask(1, "shop.test");
        waiting.waits(2).await;

        meshd.signal(signal);
        for worker in [&mut holder, &mut waiting] {
            let status = worker.end().await.expect("a status");
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(status.message().contains("come again"), "{status}");
        }
        let (status, took, log, dir, options) = meshd.end().await;
        assert!(status.success(), "{status}: {log}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(!dir.path().join("router.sock").exists());
        assert!(!dir.path().join("control.sock").exists());

        // The next one waits for both, and the lease is still one.
        let meshd = Meshd::start_in(dir, options).await;
        let mut waiting = Worker::hello(&socket, 2).await;
        waiting.ask(1, "shop.test");
        waiting.waits(2).await;
        let holder = Worker::hello_with(&socket, 1, &[(1, &held)]).await;
        waiting.waits(3).await;
        assert_eq!(meshd.status().await.expect("status").leases, 1);
        holder.done(1);
        assert!(waiting.reply(1).await.is_ok());
    }
}

#[tokio::test]
async fn a_stop_amid_changes_keeps_what_was_acknowledged() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let endless = tokio_stream::iter(std::iter::repeat_with(|| {
        change("shop", [state("web.1", dynomesh_proto::v1::DynoState::Up)])
    }));
    let mut results = control
        .apply_many(endless)
        .await
        .expect("accepted")
        .into_inner();
    let mut version = 0;
    while version < 500 {
        version = results
            .message()
            .await
            .expect("goes on")
            .expect("a result")
            .version;
    }
    meshd.signal("TERM");
    let refused = loop {
        match results.message().await {
            Ok(Some(result)) if result.error.is_none() => version = result.version,
            Ok(Some(result)) => break Code::from(result.error.expect("an error").code),
            Ok(None) => panic!("a proper end would mean that all was done"),
            // Who goes on sending may find the connection closed before it has
            // read the status. That is the same to a caller: come again.
            Err(status) if status.source().is_some() => break Code::Unavailable,
            Err(status) => break status.code(),
        }
    };
    assert_eq!(refused, Code::Unavailable);
    let (status, took, log, dir, options) = meshd.end().await;
    assert!(
        status.success() && took < Duration::from_secs(2),
        "{status} after {took:?}: {log}"
    );
    let meshd = Meshd::start_in(dir, options).await;
    let request = dynomesh_proto::v1::GetAppRequest { app: "shop".into() };
    let found = meshd
        .control()
        .await
        .get_app(request)
        .await
        .expect("found")
        .into_inner();
    assert!(found.app.expect("app").version >= version);
}
