//! How large requests of an app may be, and how long they may take.

use bytes::Bytes;
use dynomesh_proto::v1::{Policy, Settings, operation::Kind};
use e2e::{
    App, Mesh,
    client::{Conn, Request, Response, h2},
    harness::{run, wait},
    load::{Load, Options},
};

const MAX: usize = 100_000;

fn small() -> Settings {
    Settings {
        max_body_bytes: MAX as u64,
        ..Settings::default()
    }
}

/// Any dyno, and no limit on it.
fn quick(max_time_ms: u32) -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        max_time_ms,
        ..Settings::default()
    }
}

fn post(mesh: &Mesh, app: &App, length: usize) -> Request {
    let request = mesh.request("POST", &app.host(), "/upload");
    request.body(vec![b'x'; length])
}

#[track_caller]
fn too_large(answer: &Response) {
    assert_eq!(answer.status(), 413, "{answer:?}");
    assert_eq!(
        answer.header("x-mesh-error"),
        Some("too-large"),
        "{answer:?}"
    );
    assert!(answer.text().contains("too-large"), "{answer:?}");
}

#[track_caller]
fn taken(answer: &Response, length: usize) {
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.json::<serde_json::Value>()["length"], length);
}

#[test]
fn too_large_by_its_own_word_or_in_pieces() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", small()).await;
        let dyno = app.dyno("web.1").await;
        for _ in 0..4 {
            taken(&post(&mesh, &app, MAX).send().await, MAX);
            taken(&post(&mesh, &app, MAX).chunked().send().await, MAX);
        }
        let before = dyno.figures().await.total;
        for _ in 0..4 {
            too_large(&post(&mesh, &app, MAX + 1).id("large").send().await);
            too_large(&post(&mesh, &app, MAX + 1).chunked().send().await);
            too_large(&post(&mesh, &app, 30 * MAX).chunked().send().await);
        }
        let client = h2::Client::open(mesh.nginx.http2_address).await.unwrap();
        for (length, status) in [(MAX, 200), (MAX + 1, 413)] {
            let uri = format!("http://{}/upload", app.host());
            let request = hyper::Request::post(uri).body(Bytes::from(vec![b'x'; length]));
            let answer = client.send(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), status);
        }
        assert_eq!(dyno.figures().await.total, before + 1);
        let entry = mesh.logged("large").await;
        assert_eq!((&*entry.status, &*entry.error), ("413", "too-large"));
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

/// Nobody is asked to go on with what is refused, and it is refused at once.
#[test]
fn nobody_waits_for_what_is_too_large() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", small()).await;
        let _dyno = app.dyno("web.1").await;
        app.page("too-large", "text/html", "{{code}}: {{app}} takes less")
            .await;
        let request = post(&mesh, &app, MAX + 1).header("Expect", "100-continue");
        let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
        conn.send(request.head()).await.unwrap();
        let answer = conn.response().await.unwrap();
        too_large(&answer);
        assert_eq!(answer.text(), "too-large: shop takes less");
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_has_a_part_of_it_is_free_again() {
    run(async {
        let mesh = Mesh::builder()
            .location("proxy_request_buffering off;")
            .start()
            .await;
        let settings = Settings {
            policy: Policy::IdleOnly.into(),
            ..small()
        };
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        for _ in 0..3 {
            let request = post(&mesh, &app, MAX + 1).chunked();
            let (head, body) = (request.head(), request.payload());
            let (first, rest) = body.split_at(1_000);
            let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
            conn.send(head).await.unwrap();
            conn.send(first).await.unwrap();
            dyno.until_now(1).await;
            app.until_load(1, 0).await;
            conn.send(rest).await.unwrap();
            too_large(&conn.response().await.unwrap());
            taken(&post(&mesh, &app, MAX).chunked().send().await, MAX);
        }
        app.until_load(0, 0).await;
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_change_is_in_effect_when_it_returns() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let (app, busy) = (
            mesh.app_with("shop", quick(0)).await,
            mesh.app_with("busy", quick(0)).await,
        );
        let _dynos = (app.dyno("web.1").await, busy.dyno("web.1").await);
        let load = Load::start(Options {
            connections: 4,
            ..Options::new(mesh.nginx.address, &busy.host())
        });
        load.more(200).await;
        for round in 1..=20 {
            let most = round * 1_000;
            let settings = Settings {
                max_body_bytes: most as u64,
                ..quick(0)
            };
            app.apply(vec![Kind::PutSettings(settings)]).await;
            for _ in 0..3 {
                taken(&post(&mesh, &app, most).send().await, most);
                too_large(&post(&mesh, &app, most + 1).send().await);
                taken(&post(&mesh, &busy, most + 1).send().await, most + 1);
            }
        }
        app.apply(vec![Kind::PutSettings(quick(0))]).await;
        for _ in 0..6 {
            taken(&post(&mesh, &app, 10 * MAX).send().await, 10 * MAX);
        }
        assert_eq!(load.stop().await.failures(), 0);
        mesh.finish().await;
    });
}

#[test]
fn with_meshctl() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let ran = mesh
            .ctl("app set shop --max-body 10KiB --max-time 90s")
            .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        too_large(&post(&mesh, &app, 10_241).send().await);
        taken(&post(&mesh, &app, 10_240).send().await, 10_240);
        let ran = mesh.ctl("app show shop").await;
        let (body, time) = ("max body        10 KiB", "max time        1m 30s");
        assert!(
            ran.stdout.contains(body) && ran.stdout.contains(time),
            "{ran:?}"
        );
        let ran = mesh.ctl("app set shop --max-time 1ms").await;
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr.contains("max_time is 100 to 86400000 ms"),
            "{ran:?}"
        );
        mesh.finish().await;
    });
}

/// It is not tried again: the time is over.
#[test]
fn a_response_that_does_not_begin_in_time() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", quick(300)).await;
        let dynos = app.dynos(2).await;
        let client = h2::Client::open(mesh.nginx.http2_address).await.unwrap();
        for n in 0..3 {
            let request = mesh
                .request("GET", &app.host(), "/hold")
                .id(&format!("late-{n}"));
            let answer = request.send().await;
            assert_eq!(answer.status(), 503, "{answer:?}");
            assert_eq!(answer.header("x-mesh-error"), Some("H12"), "{answer:?}");
            let entry = mesh.logged(&format!("late-{n}")).await;
            assert!(!entry.upstream.contains(','), "{entry:?}");
            let answer = client.get(&app.host(), "/hold").await.unwrap();
            assert_eq!(answer.status(), 503);
        }
        let mut total = 0;
        for dyno in &dynos {
            total += dyno.figures().await.total;
        }
        assert_eq!(total, 6);
        assert_eq!(mesh.get(&app.host(), "/sleep/10").await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_under_a_limit_is_free_when_it_has_finished() {
    run(async {
        let settings = Settings {
            policy: Policy::IdleOnly.into(),
            ..quick(300)
        };
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        let answer = mesh.get(&app.host(), "/hold").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H12"), "{answer:?}");
        // Waiting is not limited by that.
        let mut next = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        let other = mesh.app_with("other", quick(0)).await;
        let _other = other.dyno("web.1").await;
        assert_eq!(mesh.get(&other.host(), "/sleep/600").await.status(), 200);
        app.until_load(1, 1).await;
        dyno.release().await;
        assert_eq!(next.response().await.unwrap().status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_response_that_goes_on_for_too_long() {
    run(async {
        for buffering in ["on", "off"] {
            let mesh = Mesh::builder()
                .location(&format!("proxy_buffering {buffering};"))
                .start()
                .await;
            let app = mesh.app_with("shop", quick(400)).await;
            let _dyno = app.dyno("web.1").await;
            // It never pauses for long.
            for target in ["/chunked/1000/1/20", "/slow-body/200/10000"] {
                let request = mesh.request("GET", &app.host(), target).id(target);
                let answer = request.send().await;
                assert_eq!(answer.status(), 200, "{target}");
                assert!(!answer.complete, "{target}");
                assert_eq!(mesh.logged(target).await.error, "H15", "{target}");
            }
            let answer = mesh.get(&app.host(), "/chunked/10/1/5").await;
            assert!(answer.complete, "{answer:?}");
            mesh.finish().await;
        }
    });
}

#[test]
fn an_upgraded_connection_and_a_slow_client_have_time() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", quick(200)).await;
        let _dyno = app.dyno("web.1").await;
        let request = mesh
            .request("GET", &app.host(), "/ws")
            .header("Connection", "Upgrade")
            .header("Upgrade", "echo");
        let mut conn = request.start().await.unwrap();
        assert_eq!(conn.head().await.unwrap().status(), 101);
        let late = mesh.get(&app.host(), "/hold").await;
        assert_eq!(late.header("x-mesh-error"), Some("H12"), "{late:?}");
        conn.send("still here").await.unwrap();
        assert_eq!(conn.exactly(10).await.unwrap(), "still here");
        drop(conn);
        wait::until("it is over", async || app.status().await.in_flight == 0).await;
        mesh.finish().await;
    });
}

#[test]
fn grpc_calls_have_both() {
    run(async {
        let mesh = Mesh::builder()
            .server(
                "location /sample.Echo { grpc_pass grpc://dynos; grpc_set_header Host $mesh_host; }",
            )
            .start()
            .await;
        let settings = Settings {
            max_body_bytes: 1_000,
            ..quick(20_000)
        };
        let app = mesh.app_with("calls", settings).await;
        let mut program = app.program("web.1");
        program.grpc = true;
        let _dyno = app.run(program).await;
        let call = async |length: usize| {
            let text = "x".repeat(length);
            h2::grpc_echo(mesh.nginx.http2_address, &app.host(), &text).await
        };
        // It does not say how long it is.
        assert_eq!(call(900).await.unwrap().text.len(), 900);
        assert!(call(2_000).await.is_err());
        assert_eq!(call(900).await.unwrap().text.len(), 900);
        mesh.finish().await;
    });
}
