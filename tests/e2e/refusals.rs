//! What the mesh refuses by itself, and how it says so.

use std::time::Duration;

use dynomesh_proto::v1::{DynoState, Settings, event, operation::Kind};
use e2e::{
    App, Mesh,
    client::{Request, Response},
    harness::{closed_port, run},
};

/// Sends a request that must be refused with this code, in all the places where
/// a code is to be seen.
pub(crate) async fn refused(mesh: &Mesh, request: Request, code: &str) -> Response {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let id = format!("{code}-{number}");
    let answer = request.id(&id).send().await;
    assert_eq!(answer.status(), 503, "{code}: {answer:?}");
    assert_eq!(answer.header("x-mesh-error"), Some(code), "{answer:?}");
    assert!(answer.complete, "{code}: {answer:?}");
    assert!(answer.text().contains(code), "no {code} in {answer:?}");
    let entry = mesh.logged(&id).await;
    assert_eq!((&*entry.status, &*entry.error), ("503", code), "{entry:?}");
    answer
}

async fn refuses(mesh: &Mesh, app: &App, code: &str) {
    refused(mesh, mesh.request("GET", &app.host(), "/"), code).await;
    let post = mesh.request("POST", &app.host(), "/upload");
    refused(mesh, post.body("some body"), code).await;
}

#[test]
fn an_app_that_was_never_released() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("new").await;
        refuses(&mesh, &app, "H81").await;
        mesh.finish().await;
    });
}

#[test]
fn an_app_without_dynos() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("scaled-to-zero").await;
        app.register("web.1", &closed_port().address).await;
        app.remove("web.1").await;
        refuses(&mesh, &app, "H14").await;
        mesh.finish().await;
    });
}

#[test]
fn an_app_in_maintenance() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        app.apply(vec![Kind::SetMaintenance(true)]).await;
        refuses(&mesh, &app, "H80").await;
        assert_eq!(dyno.figures().await.total, 0);
        app.apply(vec![Kind::SetMaintenance(false)]).await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn an_app_whose_dynos_crashed() {
    run(async {
        let (mesh, app, _dynos) = Mesh::with_dynos(2).await;
        app.set_state("web.1", DynoState::Crashed).await;
        assert_eq!(mesh.get(&app.host(), "/").await.dyno(), "web.2");
        app.set_state("web.2", DynoState::Crashed).await;
        refuses(&mesh, &app, "H10").await;
        mesh.finish().await;
    });
}

#[test]
fn a_queue_at_its_limit() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let settings = Settings {
            dyno_limit: 1,
            queue_depth: 3,
            policy: dynomesh_proto::v1::Policy::IdleOnly.into(),
            ..Settings::default()
        };
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        let host = app.host();
        let mut conns = vec![mesh.request("GET", &host, "/hold").start().await.unwrap()];
        app.until_load(1, 0).await;
        for waiting in 1..=3 {
            conns.push(mesh.request("GET", &host, "/").start().await.unwrap());
            app.until_load(1, waiting).await;
        }
        // One more than may wait, again and again.
        refuses(&mesh, &app, "H11").await;
        app.until_load(1, 3).await;
        dyno.until_now(1).await;
        dyno.release().await;
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        assert_eq!(mesh.get(&host, "/").await.status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_wait_that_is_too_long() {
    run(async {
        let mesh = Mesh::start().await;
        let settings = Settings {
            policy: dynomesh_proto::v1::Policy::IdleOnly.into(),
            queue_timeout_ms: 300,
            ..Settings::default()
        };
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let answer = mesh.get(&app.host(), "/").await;
        assert_eq!(answer.status(), 503);
        assert!(answer.header("x-mesh-error").is_some(), "{answer:?}");
        app.until_load(1, 0).await;
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn an_app_at_its_limit_of_requests() {
    run(async {
        let mesh = Mesh::start().await;
        let settings = Settings {
            policy: dynomesh_proto::v1::Policy::IdleOnly.into(),
            max_requests: 2,
            ..Settings::default()
        };
        let app = mesh.app_with("shop", settings).await;
        let dyno = app.dyno("web.1").await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waiting = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        refuses(&mesh, &app, "H22").await;
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(waiting.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

fn sleeper(boot_timeout_ms: u32) -> Settings {
    Settings {
        wake: true,
        boot_timeout_ms,
        ..Settings::default()
    }
}

#[test]
fn an_app_that_does_not_wake_in_time() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("asleep", sleeper(400)).await;
        app.register("web.1", &closed_port().address).await;
        app.set_state("web.1", DynoState::Down).await;
        let answer = mesh.request("GET", &app.host(), "/");
        refused(&mesh, answer, "H20").await;
        mesh.finish().await;
    });
}

#[test]
fn an_app_that_wakes() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("asleep", sleeper(20_000)).await;
        app.register("web.1", &closed_port().address).await;
        app.remove("web.1").await;
        let mut events = mesh.control().watch(&app.name).await;
        let mut conns = Vec::new();
        for waiting in 1..=3 {
            conns.push(mesh.request("GET", &app.host(), "/").start().await.unwrap());
            app.until_load(0, waiting).await;
        }
        let needed = events
            .next(|kind| match kind {
                event::Kind::NeedDyno(need) => Some(need),
                _ => None,
            })
            .await;
        assert_eq!(needed.app, app.name);
        let _dyno = app.dyno("web.1").await;
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_boots_is_waited_for() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        app.set_state("web.1", DynoState::Starting).await;
        let mut conn = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(0, 1).await;
        assert_eq!(dyno.figures().await.total, 0);
        app.set_state("web.1", DynoState::Up).await;
        assert_eq!(conn.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn the_body_is_what_the_client_accepts() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("new").await;
        let ask = |accept: &str| {
            mesh.request("GET", &app.host(), "/")
                .header("Accept", accept)
        };
        for accept in ["application/json", "application/json, text/html;q=0.5"] {
            let answer = refused(&mesh, ask(accept), "H81").await;
            let kind = answer.header("content-type").unwrap();
            assert!(kind.starts_with("application/json"), "{accept}: {kind}");
            let _: serde_json::Value = answer.json();
        }
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for accept in ["text/html", browser] {
            let answer = refused(&mesh, ask(accept), "H81").await;
            let kind = answer.header("content-type").unwrap();
            assert!(kind.starts_with("text/html"), "{accept}: {kind}");
            assert!(answer.text().to_lowercase().contains("<html"), "{answer:?}");
        }
        let answer = mesh.request("HEAD", &app.host(), "/").send().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.header("x-mesh-error"), Some("H81"));
        mesh.finish().await;
    });
}

#[test]
fn a_refusal_is_quick_and_counted() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("new").await;
        let start = std::time::Instant::now();
        for _ in 0..50 {
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 503);
        }
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        let counters = app.status().await.counters.unwrap();
        assert_eq!((counters.refused, counters.routed), (50, 0));
        mesh.finish().await;
    });
}
