//! Watchers.

use dynomesh_proto::v1::{
    Change, Dyno, DynoState, Event, GetAppRequest, Outcome, PutDyno, Settings, WatchRequest,
    event::Kind, operation::Kind as Op,
};
use tonic::{Code, Streaming};

use crate::harness::{Meshd, Worker, app, change, create, dyno, put, state, within};

async fn watch(meshd: &Meshd, app: &str) -> Streaming<Event> {
    let request = WatchRequest { app: app.into() };
    meshd
        .control()
        .await
        .watch(request)
        .await
        .expect("watching")
        .into_inner()
}

async fn next(events: &mut Streaming<Event>) -> Kind {
    let event = within("an event", events.message()).await.expect("goes on");
    event.expect("an event").kind.expect("a kind")
}

#[tokio::test]
async fn a_watcher_sees_changes_as_they_were_made_and_what_the_mesh_says() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    let mut all = watch(&meshd, "").await;
    let mut blog = watch(&meshd, "blog").await;

    let created = change(
        "shop",
        [
            create(Settings {
                wake: true,
                ..Settings::default()
            }),
            Op::AddDomain("shop.test".into()),
        ],
    );
    control.apply(created.clone()).await.expect("applied");
    control
        .apply(change("nope", [Op::SetMaintenance(true)]))
        .await
        .expect_err("refused");
    match next(&mut all).await {
        Kind::Changed(Change {
            app,
            operations,
            base_version: 0,
        }) => {
            assert_eq!(app, "shop");
            assert_eq!(operations[1], created.operations[1]);
        }
        other => panic!("{other:?}"),
    }

    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    worker.ask(1, "shop.test");
    worker.ask(2, "shop.test");
    match next(&mut all).await {
        Kind::NeedDyno(need) => assert_eq!((need.app.as_str(), need.waiting), ("shop", 1)),
        other => panic!("{other:?}"),
    }
    // A manager that comes only now is told, too.
    let mut late = watch(&meshd, "").await;
    match next(&mut late).await {
        Kind::NeedDyno(need) => assert_eq!((need.app.as_str(), need.waiting), ("shop", 2)),
        other => panic!("{other:?}"),
    }
    control
        .apply(change("shop", [put(dyno("web.1", 5001))]))
        .await
        .expect("applied");
    assert!(worker.reply(1).await.is_ok());
    assert!(matches!(next(&mut all).await, Kind::Changed(_)));
    worker.cancel(2);
    worker.checkin(1, Outcome::Refused);
    match next(&mut all).await {
        Kind::Quarantined(found) => {
            assert_eq!(
                (found.app.as_str(), found.dyno.as_str(), found.for_ms),
                ("shop", "web.1", 500)
            );
        }
        other => panic!("{other:?}"),
    }
    let draining = state("web.1", dynomesh_proto::v1::DynoState::Draining);
    control
        .apply(change("shop", [draining]))
        .await
        .expect("applied");
    // The core speaks at once, the change is told when it is on disk.
    match next(&mut all).await {
        Kind::Drained(found) => assert_eq!(found.instance, "web.1-5001"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut all).await, Kind::Changed(_)));

    control.apply(app("blog", &[])).await.expect("applied");
    match next(&mut blog).await {
        Kind::Changed(change) => assert_eq!(change.app, "blog", "and nothing of shop's"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn watchers_of_an_app_that_loses_a_dyno_are_told() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[])).await.expect("applied");
    control.apply(app("blog", &[])).await.expect("applied");
    let dynos = [put(dyno("web.1", 5001)), put(dyno("web.2", 5002))];
    control.apply(change("shop", dynos)).await.expect("applied");

    let mut all = watch(&meshd, "").await;
    let mut shop = watch(&meshd, "shop").await;
    let taken = PutDyno {
        dyno: Some(Dyno {
            state: DynoState::Up.into(),
            ..dyno("mine.1", 5001)
        }),
        takeover: true,
    };
    let takeover = change("blog", [Op::PutDyno(taken)]);
    control.apply(takeover.clone()).await.expect("applied");

    let loss = Change {
        base_version: 2,
        ..change("shop", [Op::RemoveDyno("web.1".into())])
    };
    assert_eq!(next(&mut shop).await, Kind::Changed(loss.clone()));
    assert_eq!(next(&mut all).await, Kind::Changed(loss));
    assert_eq!(next(&mut all).await, Kind::Changed(takeover));
    let status = control
        .get_app(GetAppRequest { app: "shop".into() })
        .await
        .expect("there")
        .into_inner();
    assert_eq!(status.app.expect("an app").version, 3);
}

#[tokio::test]
async fn a_slow_watcher_is_told_how_much_it_missed() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[])).await.expect("applied");
    // It does not read: what fits into the windows is on its way, the rest stays.
    let mut slow = watch(&meshd, "").await;
    let rounds = 15_000;
    let padding: Vec<_> = (0..200).map(|_| Op::SetMaintenance(false)).collect();
    let changes = (0..rounds).map(move |_| change("shop", padding.clone()));
    let mut results = control
        .apply_many(tokio_stream::iter(changes))
        .await
        .expect("ok")
        .into_inner();
    let mut made = 0;
    while let Some(result) = results.message().await.expect("goes on") {
        assert_eq!(result.error, None);
        made += 1;
    }
    assert_eq!(made, rounds);
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < rounds {
        match next(&mut slow).await {
            Kind::Changed(_) => seen += 1,
            Kind::Missed(n) => missed += n,
            other => panic!("{other:?}"),
        }
    }
    assert!(missed > 0 && seen + missed == rounds, "{seen} + {missed}");
    control.apply(app("blog", &[])).await.expect("applied");
    assert!(
        matches!(next(&mut slow).await, Kind::Changed(_)),
        "and it goes on"
    );
}

#[tokio::test]
async fn watches_end_with_the_process() {
    let meshd = Meshd::start(&[]).await;
    let mut events = watch(&meshd, "").await;
    meshd.signal("TERM");
    let status = within("an end", events.message())
        .await
        .expect_err("a status");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    meshd.end().await;
}

#[tokio::test]
async fn managers_are_told_how_many_dynos_are_wanted_and_when_none_is() {
    let meshd = Meshd::start(&[]).await;
    let mut control = meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    let settings = Settings {
        idle_timeout_ms: 1_000,
        scale_wait_ms: 50,
        ..Settings::default()
    };
    control
        .apply(change("shop", [Op::PutSettings(settings)]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let mut events = watch(&meshd, "").await;
    worker.ask(1, "shop.test");
    worker.ask(2, "shop.test");
    assert!(worker.reply(1).await.is_ok());
    match next(&mut events).await {
        Kind::Scale(hint) => {
            let figures = (hint.waiting, hint.in_flight, hint.dynos, hint.wanted);
            assert_eq!((hint.app.as_str(), figures), ("shop", (1, 1, 1, 2)));
            assert!(hint.oldest_wait_ms >= 50, "{hint:?}");
        }
        other => panic!("{other:?}"),
    }
    worker.cancel(2);
    worker.checkin(1, Outcome::Done);
    match next(&mut events).await {
        Kind::Idle(idle) => assert_eq!(idle.app, "shop"),
        other => panic!("{other:?}"),
    }
    // It still holds for a manager that comes only now.
    let mut late = watch(&meshd, "").await;
    assert!(matches!(next(&mut late).await, Kind::Idle(_)));
    worker.ask(3, "shop.test");
    assert!(worker.reply(3).await.is_ok());
    let mut later = watch(&meshd, "").await;
    control.apply(app("blog", &[])).await.expect("applied");
    assert!(matches!(next(&mut later).await, Kind::Changed(_)));
}
