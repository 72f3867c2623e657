//! Routers: hello, ask, route, checkin.

use dynomesh_proto::v1::{
    Ask, DynoState, Outcome, Policy, Refusal, Settings, answer::Result as Result_,
    operation::Kind as Op, router_message::Kind,
};

use crate::harness::{Meshd, Worker, app, change, create, dyno, eventually, put, state};

#[tokio::test]
async fn hello_is_welcomed() {
    let meshd = Meshd::start(&["--node", "host-1"]).await;
    let worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let status = meshd.status().await.expect("status");
    assert_eq!(worker.welcome.node, "host-1");
    assert_eq!(status.node, "host-1");
    assert_eq!(worker.welcome.epoch, status.epoch);
    assert_eq!(status.sessions, 1);
    assert!(status.ready);
}

#[tokio::test]
async fn a_request_gets_a_dyno_and_gives_it_back() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;

    worker.ask(1, "shop.test");
    let answer = worker.answer().await;
    assert_eq!((answer.ask, answer.dynos_in_use), (1, 1));
    let Some(Result_::Route(route)) = answer.result else {
        panic!("{answer:?}")
    };
    let dyno = worker.dyno(&route);
    assert_eq!((&*dyno.app, &*dyno.name), ("shop", "web.1"));
    assert_eq!(dyno.instance, "web.1-5001");
    assert_eq!(dyno.address, "127.0.0.1:5001");
    assert!(route.limited);
    assert_eq!(meshd.status().await.expect("status").leases, 1);

    worker.done(1);
    assert_eq!(worker.route(2, "shop.test").await, Ok("web.1-5001".into()));
    worker.done(2);
    worker.waits(3).await;
    let counters = meshd
        .status()
        .await
        .expect("status")
        .counters
        .expect("counters");
    assert_eq!(
        (counters.routed, counters.queued, counters.refused),
        (2, 0, 1)
    );
}

#[tokio::test]
async fn whoever_waits_is_served_across_sessions_in_order() {
    let meshd = Meshd::start(&[]).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001]))
        .await
        .expect("applied");
    let socket = meshd.path("router.sock");
    let mut first = Worker::hello(&socket, 1).await;
    let mut second = Worker::hello(&socket, 2).await;

    assert!(first.route(1, "shop.test").await.is_ok());
    second.ask(1, "shop.test");
    second.waits(2).await;
    first.ask(2, "shop.test");
    first.waits(3).await;
    assert_eq!(meshd.status().await.expect("status").waiting, 2);

    first.done(1);
    assert!(second.reply(1).await.is_ok(), "it waited longest");
    second.done(1);
    assert!(first.reply(2).await.is_ok());
}

#[tokio::test]
async fn a_new_dyno_serves_those_who_wait() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    let settings = Settings {
        wake: true,
        ..Settings::default()
    };
    let asleep = change(
        "shop",
        [create(settings), Op::AddDomain("shop.test".into())],
    );
    control.apply(asleep).await.expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    worker.ask(1, "shop.test");
    worker.waits(2).await;
    control
        .apply(change("shop", [put(dyno("web.1", 5001))]))
        .await
        .expect("applied");
    assert_eq!(worker.reply(1).await, Ok("web.1-5001".into()));
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_dyno_or_its_place() {
    let meshd = Meshd::start(&[]).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(worker.route(1, "shop.test").await.is_ok());
    worker.ask(2, "shop.test");
    worker.ask(3, "shop.test");
    worker.cancel(2);
    worker.cancel(1);
    assert!(worker.reply(3).await.is_ok(), "2 has left, 3 is next");
    worker.cancel(3);
    // Too late, or never there: no harm.
    worker.cancel(3);
    worker.done(3);
    worker.cancel(99);
    worker.waits(4).await;
    let status = meshd.status().await.expect("status");
    assert_eq!((status.leases, status.waiting), (0, 0));
}

#[tokio::test]
async fn a_long_wait_ends_by_itself() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let settings = Settings {
        queue_timeout_ms: 50,
        ..Settings::default()
    };
    control
        .apply(change("shop", [Op::PutSettings(settings)]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(worker.route(1, "shop.test").await.is_ok());
    worker.ask(2, "shop.test");
    let answer = worker.answer().await;
    assert_eq!(answer.ask, 2);
    assert_eq!(
        answer.result,
        Some(Result_::Refusal(Refusal::QueueTimeout.into()))
    );
    assert!(
        (50..5_000).contains(&answer.queue_wait_ms),
        "{}",
        answer.queue_wait_ms
    );
    // A later timer does not hide an earlier one.
    let long = Settings {
        queue_timeout_ms: 60_000,
        ..Settings::default()
    };
    control
        .apply(change("shop", [Op::PutSettings(long)]))
        .await
        .expect("applied");
    worker.ask(3, "shop.test");
    worker.waits(4).await;
    control
        .apply(change("shop", [Op::PutSettings(settings)]))
        .await
        .expect("applied");
    assert_eq!(
        worker.route(5, "shop.test").await,
        Err(Refusal::QueueTimeout)
    );
}

#[tokio::test]
async fn every_refusal_says_why() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    let bare = |name: &str| {
        let domain = Op::AddDomain(format!("{name}.test"));
        change(name, [create(Settings::default()), domain])
    };
    for name in ["never", "crashed", "down"] {
        control.apply(bare(name)).await.expect("applied");
    }
    for (app, port, end) in [
        ("crashed", 5001, DynoState::Crashed),
        ("down", 5002, DynoState::Down),
    ] {
        control
            .apply(change(app, [put(dyno("web.1", port))]))
            .await
            .expect("applied");
        control
            .apply(change(app, [state("web.1", end)]))
            .await
            .expect("applied");
    }
    control
        .apply(app("closed", &[5003]))
        .await
        .expect("applied");
    control
        .apply(change("closed", [Op::SetMaintenance(true)]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    for (ask, name, reason) in [
        (1, "unknown.test", Refusal::UnknownName),
        (2, "never.test", Refusal::NeverReleased),
        (3, "crashed.test", Refusal::Crashed),
        (4, "down.test", Refusal::NoDynos),
        (5, "closed.test", Refusal::Maintenance),
    ] {
        assert_eq!(worker.route(ask, name).await, Err(reason), "{name}");
    }
}

#[tokio::test]
async fn a_dyno_that_refuses_is_left_alone_and_others_are_tried() {
    let meshd = Meshd::start(&[
        "--quarantine-first-ms",
        "60000",
        "--quarantine-longest-ms",
        "60000",
    ])
    .await;
    let mut control = meshd.control().await;
    control
        .apply(app("shop", &[5001, 5002]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let first = worker.route(1, "shop.test").await.expect("a dyno");
    worker.checkin(1, Outcome::Refused);
    let again = Ask {
        ask: 2,
        name: "shop.test".into(),
        tried: vec![first.clone()],
        waited_ms: 5,
        ..Ask::default()
    };
    worker.say(Kind::Ask(again));
    let second = worker.reply(2).await.expect("the other dyno");
    assert_ne!(first, second);
    worker.checkin(2, Outcome::ConnectTimeout);
    assert_eq!(
        worker.route(3, "shop.test").await,
        Err(Refusal::Quarantined)
    );
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_all_answered() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control
        .apply(app("shop", &[5001, 5002, 5003]))
        .await
        .expect("applied");
    let many = Settings {
        queue_depth: 10_000,
        policy: Policy::IdleOnly.into(),
        ..Settings::default()
    };
    control
        .apply(change("shop", [Op::PutSettings(many)]))
        .await
        .expect("applied");
    let socket = meshd.path("router.sock");
    let mut workers = [
        Worker::hello(&socket, 1).await,
        Worker::hello(&socket, 2).await,
    ];
    for worker in &workers {
        (1..=1_000).for_each(|ask| worker.ask(ask, "shop.test"));
    }
    let serve = async |worker: &mut Worker| {
        for _ in 1..=1_000 {
            let answer = worker.answer().await;
            assert!(
                matches!(answer.result, Some(Result_::Route(_))),
                "{answer:?}"
            );
            worker.done(answer.ask);
        }
    };
    let [first, second] = &mut workers;
    tokio::join!(serve(first), serve(second));
    eventually("all are given back", async || {
        let status = meshd.status().await?;
        (status.leases == 0 && status.waiting == 0).then_some(())
    })
    .await;
}
