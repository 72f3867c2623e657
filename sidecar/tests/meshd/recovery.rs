//! A restart must not put two requests on one dyno, nor lose anybody.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::{Ask, router_message::Kind};

use crate::harness::{Meshd, Worker, app, eventually};

/// Longer than any test: whoever waits for it to pass waits in vain.
const PATIENT: [&str; 2] = ["--recovery-ms", "60000"];

async fn shop(more: &[&str]) -> Meshd {
    let meshd = Meshd::start(more).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001]))
        .await
        .expect("applied");
    meshd
}

#[tokio::test]
async fn nobody_is_served_before_the_known_workers_have_reported() {
    let meshd = shop(&PATIENT).await;
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;
    let held = first.route(7, "shop.test").await.expect("a dyno");
    let epoch = first.welcome.epoch;

    let meshd = meshd.restart().await;
    let status = meshd.status().await.expect("status");
    assert!(!status.ready, "two workers are waited for");
    assert_ne!(status.epoch, epoch);
    assert!(first.end().await.is_some());
    assert!(second.end().await.is_some());

    // The one that holds nothing comes first, and has to wait for the other.
    let mut second = Worker::hello(&socket, 2).await;
    second.ask(1, "shop.test");
    second.waits(2).await;
    let first = Worker::hello_with(&socket, 1, &[(7, &held)]).await;
    assert!(meshd.status().await.expect("status").ready);
    second.waits(3).await;
    first.done(7);
    assert_eq!(second.reply(1).await, Ok(held));
}

/// As long as it says it has waited: longer than the new process is up.
#[tokio::test]
async fn whoever_asks_again_keeps_its_place() {
    let meshd = shop(&PATIENT).await;
    let socket = meshd.path("router.sock");
    let mut holder = Worker::hello(&socket, 1).await;
    let held = holder.route(1, "shop.test").await.expect("a dyno");
    let meshd = meshd.restart().await;
    let holder = Worker::hello_with(&socket, 1, &[(1, &held)]).await;
    let mut others = [
        Worker::hello(&socket, 2).await,
        Worker::hello(&socket, 3).await,
    ];
    for (other, waited_ms) in others.iter_mut().zip([20_000, 25_000]) {
        let name = "shop.test".into();
        other.say(Kind::Ask(Ask {
            ask: 1,
            name,
            waited_ms,
            ..Ask::default()
        }));
        other.waits(2).await;
    }
    assert_eq!(meshd.status().await.expect("status").waiting, 2);
    holder.done(1);
    let answer = others[1].answer().await;
    assert!(
        (25_000..60_000).contains(&answer.queue_wait_ms),
        "{answer:?}"
    );
    others[1].done(1);
    assert!(others[0].reply(1).await.is_ok());
}

#[tokio::test]
async fn a_dead_worker_is_not_waited_for() {
    let meshd = shop(&PATIENT).await;
    let socket = meshd.path("router.sock");
    // A worker is the process that connects: here, another one.
    let mut relay = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .expect("sleep");
    let mut own = Worker::hello(&socket, 1).await;
    assert!(own.route(1, "shop.test").await.is_ok());
    let (dir, options) = meshd.kill();
    meshd_store(dir.path(), relay.id());
    let meshd = Meshd::start_in(dir, options).await;
    let mut own = Worker::hello(&socket_of(&meshd), 1).await;
    own.ask(2, "shop.test");
    own.waits(3).await;
    assert!(
        !meshd.status().await.expect("status").ready,
        "the other process lives"
    );
    relay.kill().expect("kill");
    relay.wait().expect("wait");
    assert!(own.reply(2).await.is_ok());
    assert!(meshd.status().await.expect("status").ready);

    // It is forgotten for good.
    let meshd = meshd.restart().await;
    let _own = Worker::hello(&socket_of(&meshd), 1).await;
    eventually("ready", async || meshd.status().await?.ready.then_some(())).await;
}

fn socket_of(meshd: &Meshd) -> std::path::PathBuf {
    meshd.path("router.sock")
}

/// Writes into the store that worker 99 is that process.
fn meshd_store(dir: &std::path::Path, pid: u32) {
    use meshd::store::{Store, WorkerProcess, Write};
    let mut store = Store::open(&dir.join("data")).expect("the store");
    let write = Write::Worker(mesh::WorkerId(99), Some(WorkerProcess::of(pid)));
    store.commit(&[write]).expect("written");
}

#[tokio::test]
async fn a_worker_that_stays_away_is_waited_for_only_so_long() {
    let meshd = shop(&["--recovery-ms", "300"]).await;
    let socket = meshd.path("router.sock");
    let worker = Worker::hello(&socket, 1).await;
    let began = Instant::now();
    let meshd = meshd.restart().await;
    worker.break_off();
    let mut other = Worker::hello(&socket, 2).await;
    assert!(other.route(1, "shop.test").await.is_ok());
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(meshd.status().await.expect("status").ready);
}

#[tokio::test]
async fn a_worker_that_said_goodbye_is_not_waited_for() {
    for more in [&["--recovery-ms", "60000"], &["--session-grace-ms", "10"]] {
        let meshd = shop(more).await;
        let socket = meshd.path("router.sock");
        let mut worker = Worker::hello(&socket, 1).await;
        if more[0] == "--recovery-ms" {
            worker.close();
            assert!(worker.end().await.is_none());
        } else {
            worker.break_off();
        }
        eventually("no session", async || {
            (meshd.status().await?.sessions == 0).then_some(())
        })
        .await;
        // A change behind it: when that is on disk, so is the goodbye.
        meshd
            .control()
            .await
            .apply(app("other", &[]))
            .await
            .expect("applied");
        let meshd = meshd.restart().await;
        assert!(meshd.status().await.expect("status").ready);
    }
}
