//! Operators: every operation.

use dynomesh_proto::v1::{
    AppStatus, Dyno, DynoState, Exact, GetAppRequest, Policy, PutDyno, Rate, Settings,
    control_client::ControlClient, operation::Kind,
};
use tonic::{Code, transport::Channel};

use crate::control_errors::refused;

use crate::harness::{Meshd, Worker, app, change, create, dyno, put, state};

pub(crate) type Control = ControlClient<Channel>;

pub(crate) async fn get(control: &mut Control, app: &str) -> Option<AppStatus> {
    match control.get_app(GetAppRequest { app: app.into() }).await {
        Ok(status) => Some(status.into_inner()),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status}");
            assert!(status.message().contains(app), "{status}");
            None
        }
    }
}

#[tokio::test]
async fn an_app_from_its_creation_to_its_end() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    let settings = Settings {
        policy: Policy::LeastLoad.into(),
        dyno_limit: 3,
        queue_depth: 4,
        queue_timeout_ms: 5,
        boot_timeout_ms: 6,
        max_requests: 7,
        wake: true,
        queue_headers: true,
        idle_timeout_ms: 60_000,
        scale_wait_ms: 1_000,
        exact: Exact::Available.into(),
        tap_rate: 9,
        max_body_bytes: u64::MAX,
        max_time_ms: 100,
        max_rate: Some(Rate {
            requests: 1_000,
            per_s: 60,
            burst: 9,
        }),
        max_client_rate: Some(Rate {
            requests: 3,
            per_s: 1,
            burst: 0,
        }),
    };
    let applied = control
        .apply(change("shop", [create(settings)]))
        .await
        .expect("applied");
    assert_eq!(
        (applied.get_ref().app.as_str(), applied.get_ref().version),
        ("shop", 1)
    );
    assert_eq!(
        get(control, "shop")
            .await
            .expect("it is there")
            .app
            .expect("app")
            .settings,
        Some(settings)
    );

    let many = [
        Kind::PutSettings(Settings::default()),
        Kind::SetMaintenance(true),
        Kind::AddDomain("WWW.shop.test".into()),
        Kind::AddDomain("*.shop.test".into()),
        put(dyno("web.1", 5001)),
        put(Dyno {
            limit: 9,
            state: DynoState::Starting.into(),
            ..dyno("web.2", 5002)
        }),
    ];
    assert_eq!(
        control
            .apply(change("shop", many))
            .await
            .expect("applied")
            .get_ref()
            .version,
        2
    );
    let status = get(control, "shop").await.expect("it is there");
    let app = status.app.expect("app");
    assert_eq!(
        (app.version, app.maintenance, app.released),
        (2, true, true)
    );
    assert_eq!(app.domains, ["www.shop.test", "*.shop.test"]);
    assert_eq!(
        app.settings.expect("settings").policy(),
        Policy::IdleOnly,
        "the default, by name"
    );
    assert_eq!(
        app.dynos[0],
        Dyno {
            state: DynoState::Up.into(),
            ..dyno("web.1", 5001)
        }
    );
    assert_eq!((status.dynos[0].limit, status.dynos[1].limit), (1, 9));

    let less = [
        Kind::RemoveDomain("*.shop.test".into()),
        Kind::RemoveDyno("web.1".into()),
        state("web.2", DynoState::Up),
    ];
    control.apply(change("shop", less)).await.expect("applied");
    let app = get(control, "shop")
        .await
        .expect("it is there")
        .app
        .expect("app");
    assert_eq!(app.domains, ["www.shop.test"]);
    assert_eq!((app.dynos.len(), app.dynos[0].state()), (1, DynoState::Up));

    let deleted = control
        .apply(change("shop", [Kind::DeleteApp(Default::default())]))
        .await;
    assert_eq!(deleted.expect("applied").get_ref().version, 0);
    assert_eq!(get(control, "shop").await, None);
}

#[tokio::test]
async fn a_dyno_without_an_instance_gets_one() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    let bare = |port| Dyno {
        instance: String::new(),
        ..dyno("web.1", port)
    };
    let mut seen = Vec::new();
    control.apply(app("shop", &[])).await.expect("applied");
    for port in [5001, 5002] {
        control
            .apply(change("shop", [put(bare(port))]))
            .await
            .expect("applied");
        let app = get(control, "shop")
            .await
            .expect("it is there")
            .app
            .expect("app");
        assert_eq!(app.dynos.len(), 1);
        seen.push(app.dynos[0].instance.clone());
    }
    assert!(seen.iter().all(|instance| instance.len() == 32), "{seen:?}");
    assert_ne!(seen[0], seen[1], "another process, another instance");
}

#[tokio::test]
async fn a_dyno_that_is_down_gets_its_address_back_only_if_it_is_free() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    control.apply(app("shop", &[5001])).await.expect("applied");
    control
        .apply(change("shop", [state("web.1", DynoState::Down)]))
        .await
        .expect("applied");
    control.apply(app("blog", &[])).await.expect("applied");
    let taken = Dyno {
        instance: "other".into(),
        ..dyno("web.1", 5001)
    };
    control
        .apply(change("blog", [put(taken)]))
        .await
        .expect("the address is free");
    let (code, message) = refused(control, change("shop", [state("web.1", DynoState::Up)])).await;
    assert_eq!(code, Code::AlreadyExists, "{message}");

    // Whoever knows that the other process is gone takes the address over.
    let mine = Dyno {
        instance: "mine".into(),
        ..dyno("web.1", 5001)
    };
    let takeover = Kind::PutDyno(PutDyno {
        dyno: Some(mine),
        takeover: true,
    });
    control
        .apply(change("shop", [takeover]))
        .await
        .expect("applied");
    let blog = get(control, "blog")
        .await
        .expect("it is there")
        .app
        .expect("app");
    assert_eq!((blog.dynos.len(), blog.version), (0, 3));
    let meshd = meshd.restart().await;
    let control = &mut meshd.control().await;
    assert_eq!(
        get(control, "blog")
            .await
            .expect("it is there")
            .app
            .expect("app"),
        blog
    );
}

#[tokio::test]
async fn many_changes_get_their_results_in_order() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    let count = 3_000;
    let changes = (0..count).map(|n| match n % 3 {
        0 => app(&format!("app-{n}"), &[]),
        1 => change("nope", [Kind::SetMaintenance(true)]),
        _ => change("bad", [Kind::PutDyno(PutDyno::default())]),
    });
    let changes: Vec<_> = changes.collect();
    let mut results = control
        .apply_many(tokio_stream::iter(changes.clone()))
        .await
        .expect("accepted")
        .into_inner();
    for (n, change) in changes.iter().enumerate() {
        let result = results.message().await.expect("goes on").expect("a result");
        assert_eq!(result.app, change.app);
        let code = result.error.map(|error| Code::from(error.code));
        let wanted = [None, Some(Code::NotFound), Some(Code::InvalidArgument)];
        assert_eq!(
            (code, result.version),
            (wanted[n % 3], u64::from(n % 3 == 0))
        );
    }
    assert_eq!(results.message().await.expect("a proper end"), None);
    assert_eq!(meshd.status().await.expect("status").apps, count / 3);
}

#[tokio::test]
async fn the_status_of_an_app_shows_what_it_does() {
    let meshd = Meshd::start(&[
        "--quarantine-first-ms",
        "60000",
        "--quarantine-longest-ms",
        "60000",
    ])
    .await;
    let control = &mut meshd.control().await;
    control
        .apply(app("shop", &[5001, 5002]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let broken = worker.route(1, "shop.test").await.expect("a dyno");
    worker.checkin(1, dynomesh_proto::v1::Outcome::Refused);
    assert!(worker.route(2, "shop.test").await.is_ok());
    worker.ask(3, "shop.test");
    worker.waits(4).await;
    let status = get(control, "shop").await.expect("it is there");
    assert_eq!((status.in_flight, status.waiting), (1, 1));
    for load in &status.dynos {
        let quarantined = broken.starts_with(&load.name);
        assert_eq!(load.load, u32::from(!quarantined), "{load:?}");
        assert_eq!(load.quarantine_ms > 50_000, quarantined, "{load:?}");
    }
    let counters = status.counters.expect("counters");
    assert_eq!((counters.routed, counters.queued), (2, 0));
}
