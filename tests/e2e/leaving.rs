//! Clients that go away.

use std::time::Duration;

use dynomesh_proto::v1::{Policy, Settings};
use e2e::{
    Mesh,
    client::Conn,
    harness::{run, run_within, wait},
    load::{self, Options},
};

#[test]
fn while_it_waits() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let request = mesh.request("GET", &app.host(), "/").id("left");
        let leaves = request.start().await.unwrap();
        app.until_load(1, 1).await;
        let mut stays = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 2).await;
        leaves.abort();
        wait::within(Duration::from_secs(2), "it left the queue", async || {
            app.status().await.waiting == 1
        })
        .await;
        let entry = mesh.logged("left").await;
        assert_eq!((&*entry.status, &*entry.error), ("499", "H27"));
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(stays.response().await.unwrap().status(), 200);
        assert_eq!(dyno.times_seen("left").await, 0);
        mesh.finish().await;
    });
}

#[test]
fn while_it_is_served_the_dyno_stays_taken() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder().workers(2).with_dyno().await;
        let request = mesh.request("GET", &app.host(), "/hold");
        let leaves = request.start().await.unwrap();
        dyno.until_now(1).await;
        leaves.abort();
        let mut next = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        // An app beside it is served meanwhile: there is time to do it wrong.
        let other = mesh.app("other").await;
        let _other_dyno = other.dyno("web.1").await;
        for _ in 0..50 {
            assert_eq!(mesh.get(&other.host(), "/").await.status(), 200);
        }
        app.until_load(1, 1).await;
        assert_eq!(dyno.figures().await.total, 1);
        dyno.release().await;
        assert_eq!(next.response().await.unwrap().status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn again_and_again_while_served() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        for _ in 0..20 {
            let total = dyno.figures().await.total;
            let request = mesh.request("GET", &app.host(), "/sleep/60");
            let leaves = request.start().await.unwrap();
            wait::until("it is served", async || dyno.figures().await.total > total).await;
            leaves.abort();
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        }
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_never_finishes_is_given_up() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder().linger_timeout("1s").with_dyno().await;
        let leaves = mesh
            .request("GET", &app.host(), "/hang")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        leaves.abort();
        app.until_load(1, 0).await;
        wait::within(
            Duration::from_secs(4),
            "given up after a second",
            async || app.status().await.in_flight == 0,
        )
        .await;
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_without_a_limit_is_not_waited_for() {
    run(async {
        let mesh = Mesh::start().await;
        let settings = Settings {
            policy: Policy::LeastLoad.into(),
            ..Settings::default()
        };
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        let leaves = mesh
            .request("GET", &app.host(), "/hang")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        leaves.abort();
        app.until_load(0, 0).await;
        mesh.finish().await;
    });
}

async fn half_an_upload(mesh: &Mesh, host: &str) -> Conn {
    let request = mesh.request("POST", host, "/upload");
    let request = request.body(vec![b'x'; 4 << 20]);
    let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
    conn.send(request.head()).await.unwrap();
    conn.send(&request.payload()[..2 << 20]).await.unwrap();
    conn
}

#[test]
fn in_the_middle_of_an_upload() {
    run(async {
        for location in ["", "proxy_request_buffering off;"] {
            let (mesh, app, dyno) = Mesh::builder().location(location).with_dyno().await;
            for _ in 0..5 {
                let conn = half_an_upload(&mesh, &app.host()).await;
                if !location.is_empty() {
                    dyno.until_now(1).await;
                }
                conn.abort();
                mesh.control().until_idle().await;
                dyno.until_now(0).await;
            }
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
            assert_eq!(dyno.figures().await.double_bookings, 0);
            mesh.finish().await;
        }
    });
}

#[test]
fn in_the_middle_of_a_download() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        // One comes slowly; of the other, more than fits into any buffer.
        for target in ["/chunked/20000/500/10", "/body/50000000"] {
            for _ in 0..3 {
                let request = mesh.request("GET", &app.host(), target);
                let mut conn = request.start().await.unwrap();
                assert_eq!(conn.head().await.unwrap().status(), 200);
                conn.abort();
                let answer = mesh.get(&app.host(), "/").await;
                assert_eq!(answer.status(), 200, "{target}");
            }
            assert_eq!(dyno.figures().await.double_bookings, 0, "{target}");
        }
        mesh.finish().await;
    });
}

#[test]
fn thousands_at_random() {
    run_within(Duration::from_secs(120), async {
        let (mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(8).await;
        let report = load::run(Options {
            connections: 48,
            requests: Some(6_000),
            abort_within: Some(Duration::from_millis(25)),
            targets: [
                "/",
                "/sleep/3",
                "/chunked/200/20/1",
                "/body/100000",
                "/close",
            ]
            .map(str::to_owned)
            .to_vec(),
            seed: 2_009,
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert!(report.aborted > 1_000, "{report:?}");
        assert!(report.requests > 100, "{report:?}");
        mesh.control().until_idle().await;
        let status = app.status().await;
        assert_eq!((status.in_flight, status.waiting), (0, 0), "{status:?}");
        assert!(status.dynos.iter().all(|dyno| dyno.load == 0), "{status:?}");
        for dyno in &dynos {
            dyno.until_now(0).await;
            let figures = dyno.figures().await;
            assert_eq!(figures.double_bookings, 0, "{}: {figures:?}", dyno.name);
        }
        // And every dyno still gets its share.
        let report = load::run(Options {
            connections: 16,
            requests: Some(1_000),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.failures(), 0, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_nobody_wants_more_of_keeps_its_dyno() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder()
            .server(
                "location = /auth { internal; rewrite ^ /slow-body/200/300 break;
                    proxy_pass_request_body off; proxy_set_header Content-Length ''; PASS }
                location /private { auth_request /auth; PASS }
                location /intercepted { rewrite ^ /slow-body/500/300 break;
                    proxy_intercept_errors on; error_page 500 /sorry; PASS }
                location /next { rewrite ^ /slow-body/500/300 break;
                    proxy_next_upstream http_500; PASS }
                location = /sorry { internal; return 500 'a page of ours'; }",
            )
            .with_dyno()
            .await;
        for (target, status) in [("/private/x", 200), ("/intercepted", 500), ("/next", 500)] {
            for _ in 0..3 {
                assert_eq!(mesh.get(&app.host(), target).await.status(), status);
                assert_eq!(mesh.get(&app.host(), "/").await.status(), 200, "{target}");
            }
            assert_eq!(dyno.figures().await.double_bookings, 0, "{target}");
        }
        mesh.finish().await;
    });
}

#[test]
fn the_end_of_an_answer_may_have_more_to_it() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        for head_first in [false, true] {
            let request = mesh.request("GET", &app.host(), "/trailers/300");
            let mut leaves = request.start().await.unwrap();
            match head_first {
                true => assert_eq!(leaves.head().await.unwrap().status(), 200),
                false => dyno.until_now(1).await,
            }
            leaves.abort();
            // The dyno keeps its connection, and has finished.
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
            assert_eq!(dyno.figures().await.double_bookings, 0);
        }
        mesh.finish().await;
    });
}

#[test]
fn a_worker_that_has_to_stop_waits_no_longer() {
    run(async {
        let (mut mesh, app, dyno) = Mesh::builder()
            .main("worker_shutdown_timeout 1s;")
            .with_dyno()
            .await;
        let request = mesh.request("GET", &app.host(), "/hang");
        let leaves = request.start().await.unwrap();
        dyno.until_now(1).await;
        leaves.abort();
        mesh.nginx.reload().await;
        app.until_load(0, 0).await;
        mesh.finish().await;
    });
}
