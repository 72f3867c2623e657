//! One queue per app, whichever worker a request came to.

use std::time::Duration;

use dynomesh_proto::v1::{DynoState, event};
use e2e::{
    Mesh,
    harness::{run, wait},
    load::{self, Options},
};

#[test]
fn no_dyno_is_double_booked() {
    run(async {
        let (mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(4).await;
        let report = load::run(Options {
            connections: 100,
            requests: Some(4_000),
            targets: ["/sleep/2", "/", "/body/50000", "/chunked/100/10/0"]
                .map(str::to_owned)
                .to_vec(),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(
            (report.requests, report.failures()),
            (4_000, 0),
            "{report:?}"
        );
        let mut total = 0;
        for dyno in &dynos {
            let figures = dyno.figures().await;
            assert_eq!(
                (figures.max, figures.double_bookings),
                (1, 0),
                "{}",
                dyno.name
            );
            // All of them work: none is forgotten.
            assert!(figures.total > 400, "{}: {}", dyno.name, figures.total);
            total += figures.total;
        }
        assert_eq!(total, 4_000);
        let counters = app.status().await.counters.unwrap();
        assert_eq!((counters.routed, counters.refused), (4_000, 0));
        mesh.finish().await;
    });
}

#[test]
fn first_come_first_served() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder().workers(2).with_dyno().await;
        let mut conns = vec![
            mesh.request("GET", &app.host(), "/hold")
                .start()
                .await
                .unwrap(),
        ];
        dyno.until_now(1).await;
        let ids: Vec<String> = (1..=40).map(|number| format!("nr-{number}")).collect();
        for (waiting, id) in (1..).zip(&ids) {
            let request = mesh.request("GET", &app.host(), "/").id(id);
            conns.push(request.start().await.unwrap());
            app.until_load(1, waiting).await;
        }
        dyno.release().await;
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        let seen = dyno.figures().await.seen;
        let seen: Vec<&String> = seen.iter().map(|seen| &seen.id).collect();
        assert_eq!(seen, ids.iter().collect::<Vec<_>>());
        let entry = mesh.logged("nr-40").await;
        assert!(entry.queue_wait.parse::<f64>().unwrap() > 0.0, "{entry:?}");
        mesh.finish().await;
    });
}

#[test]
fn a_busy_app_does_not_delay_another() {
    run(async {
        let mesh = Mesh::start().await;
        let (busy, calm) = (mesh.app("busy").await, mesh.app("calm").await);
        let dyno = busy.dyno("web.1").await;
        let _calm_dyno = calm.dyno("web.1").await;
        let mut conns = Vec::new();
        for _ in 0..41 {
            let request = mesh.request("GET", &busy.host(), "/hold");
            conns.push(request.start().await.unwrap());
        }
        busy.until_load(1, 40).await;
        let report = load::run(Options {
            requests: Some(300),
            ..Options::new(mesh.nginx.address, &calm.host())
        })
        .await;
        assert_eq!(report.failures(), 0, "{report:?}");
        // None of them waited for the other app, which answers nobody meanwhile.
        assert!(report.p99 < 500_000, "{report:?}");
        busy.until_load(1, 40).await;
        assert_eq!(dyno.figures().await.total, 1);
        drop(conns);
        wait::until("the queue is empty", async || {
            busy.status().await.waiting == 0
        })
        .await;
        dyno.release().await;
        mesh.finish().await;
    });
}

#[test]
fn a_new_dyno_serves_those_who_wait() {
    run(async {
        let (mesh, app, first) = Mesh::with_dyno().await;
        let request = mesh.request("GET", &app.host(), "/hold");
        let mut held = request.start().await.unwrap();
        first.until_now(1).await;
        let mut conns = Vec::new();
        for _ in 0..5 {
            conns.push(mesh.request("GET", &app.host(), "/").start().await.unwrap());
        }
        app.until_load(1, 5).await;
        let second = app.dyno("web.2").await;
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().dyno(), "web.2");
        }
        assert_eq!(second.figures().await.double_bookings, 0);
        first.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn a_draining_dyno_finishes_and_gets_nothing_new() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut events = mesh.control().watch(&app.name).await;
        app.set_state("web.1", DynoState::Draining).await;
        let _other = app.dyno("web.2").await;
        for _ in 0..10 {
            assert_eq!(mesh.get(&app.host(), "/").await.dyno(), "web.2");
        }
        app.until_load(1, 0).await;
        dyno.until_now(1).await;
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        let drained = events
            .next(|kind| match kind {
                event::Kind::Drained(drained) => Some(drained.dyno),
                _ => None,
            })
            .await;
        assert_eq!(drained, "web.1");
        mesh.finish().await;
    });
}

#[test]
fn a_draining_dyno_gets_nothing_new_while_others_wait() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let load = tokio::spawn(load::run(Options {
            connections: 8,
            duration: Some(Duration::from_secs(60)),
            targets: vec!["/sleep/1".to_owned()],
            ..Options::new(mesh.nginx.address, &app.host())
        }));
        wait::within(wait::LIMIT, "it is busy", async || {
            dyno.figures().await.total > 200
        })
        .await;
        // When that is answered it is so everywhere.
        app.set_state("web.1", DynoState::Draining).await;
        let before = dyno.figures().await;
        let other = app.dyno("web.2").await;
        wait::within(wait::LIMIT, "the other one is busy", async || {
            other.figures().await.total > 200
        })
        .await;
        let after = dyno.figures().await;
        assert!(after.total <= before.total + 1, "{before:?} {after:?}");
        load.abort();
        let _ = load.await;
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_with_a_higher_limit_gets_as_many() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let settings = dynomesh_proto::v1::Settings {
            policy: dynomesh_proto::v1::Policy::IdleOnly.into(),
            dyno_limit: 3,
            ..Default::default()
        };
        let app = mesh.app_with("shop", settings).await;
        let dynos = app.dynos(2).await;
        let mut conns = Vec::new();
        for _ in 0..8 {
            let request = mesh.request("GET", &app.host(), "/hold");
            conns.push(request.start().await.unwrap());
        }
        app.until_load(6, 2).await;
        for dyno in &dynos {
            dyno.until_now(3).await;
        }
        wait::within(Duration::from_secs(10), "all are served", async || {
            for dyno in &dynos {
                dyno.release().await;
            }
            let status = app.status().await;
            status.in_flight == 0 && status.waiting == 0
        })
        .await;
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        for dyno in &dynos {
            let figures = dyno.figures().await;
            assert_eq!((figures.max, figures.double_bookings), (3, 0));
        }
        mesh.finish().await;
    });
}
