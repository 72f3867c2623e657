//! Pages of an app's own, for those whom it refuses.

use std::time::Duration;

use dynomesh_proto::v1::{Policy, Settings, operation::Kind};
use e2e::{
    App, Mesh,
    client::{Response, h2},
    harness::{run, wait},
    load::{Load, Options},
};
use rustix::process::Signal;

const HTML: &str = "text/html";
const JSON: &str = "application/json";

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

async fn maintenance(app: &App, on: bool) {
    app.apply(vec![Kind::SetMaintenance(on)]).await;
}

async fn get(mesh: &Mesh, app: &App, target: &str, accept: &str) -> Response {
    let request = mesh.request("GET", &app.host(), target);
    request.header("Accept", accept).send().await
}

#[track_caller]
fn is(answer: &Response, code: &str, body: &str) {
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(answer.header("x-mesh-error"), Some(code), "{answer:?}");
    assert_eq!(answer.text(), body, "{answer:?}");
    assert!(answer.complete, "{answer:?}");
}

fn times(answer: &Response, name: &str) -> usize {
    let names = answer.head.headers.iter().map(|(name, _)| name);
    names
        .filter(|other| other.eq_ignore_ascii_case(name))
        .count()
}

#[test]
fn a_page_for_a_code_and_one_for_the_rest() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        app.page("H80", HTML, "<h1>{{app}} is back soon ({{code}})</h1>")
            .await;
        app.page("H80", JSON, "{\"status\": {{status}}}").await;
        app.page("error", HTML, "sorry: {{code}}").await;
        for _ in 0..2 {
            let answer = get(&mesh, &app, "/", HTML).await;
            is(&answer, "H81", "sorry: H81");
            assert_eq!(
                answer.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            // There is none for programs.
            let answer = get(&mesh, &app, "/", JSON).await;
            assert_eq!(answer.json::<serde_json::Value>()["error"], "H81");
        }
        maintenance(&app, true).await;
        let answer = get(&mesh, &app, "/", HTML).await;
        is(&answer, "H80", "<h1>shop is back soon (H80)</h1>");
        let answer = get(&mesh, &app, "/", JSON).await;
        is(&answer, "H80", "{\"status\": 503}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        app.page("H80", HTML, "").await;
        is(&get(&mesh, &app, "/", HTML).await, "H80", "sorry: H80");
        app.page("error", HTML, "").await;
        let answer = get(&mesh, &app, "/", HTML).await;
        assert!(
            answer.text().contains("The app is in maintenance"),
            "{answer:?}"
        );
        // Others never see it.
        let other = mesh.app("other").await;
        app.page("error", HTML, "sorry").await;
        let answer = get(&mesh, &other, "/", HTML).await;
        assert!(answer.text().contains("503 &middot; H81"), "{answer:?}");
        mesh.finish().await;
    });
}

/// The response had begun to go out when its page was asked for.
#[test]
fn whatever_went_wrong_and_however_it_was_asked() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        let client = h2::Client::open(mesh.nginx.http2_address).await.unwrap();
        for round in 0..8 {
            // Nobody knows it.
            let text = format!("round {round}: {{{{code}}}}");
            app.page("error", HTML, &text).await;
            let closed = format!("round {round}: H13");
            let host = app.host();
            match round % 4 {
                0 => is(&get(&mesh, &app, "/close", HTML).await, "H13", &closed),
                1 => {
                    let post = mesh.request("POST", &host, "/reset").body("some body");
                    is(&post.send().await, "H13", &closed);
                }
                2 => {
                    let answer = client.get(&host, "/close").await.unwrap();
                    assert_eq!(answer.status(), 503);
                    assert_eq!(answer.body(), closed.as_bytes());
                }
                _ => {
                    let answer = mesh.request("HEAD", &host, "/close").send().await;
                    assert_eq!(answer.status(), 503);
                    assert_eq!(answer.header("x-mesh-error"), Some("H13"));
                    let length = closed.len().to_string();
                    assert_eq!(answer.header("content-length"), Some(&*length));
                }
            }
            let answer = get(&mesh, &app, "/garbage", HTML).await;
            is(&answer, "H17", &format!("round {round}: H17"));
        }
        // The same connection goes on.
        assert_eq!(client.get(&app.host(), "/").await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn a_connection_outlasts_a_page_that_was_waited_for() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        app.page("error", HTML, "sorry").await;
        let request = mesh.request("GET", &app.host(), "/close");
        let mut conn = request.start().await.unwrap();
        is(&conn.response().await.unwrap(), "H13", "sorry");
        let head = mesh.request("GET", &app.host(), "/").head();
        conn.send(head.as_bytes().to_vec()).await.unwrap();
        assert_eq!(conn.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn what_is_filled_in_tells_requests_apart() {
    run(async {
        let mesh = Mesh::builder()
            .http("add_header X-Id $request_id always;")
            .start()
            .await;
        let app = mesh.app("shop").await;
        app.page("error", HTML, "<p>{{request_id}}</p>{{nothing}}")
            .await;
        for _ in 0..3 {
            let answer = get(&mesh, &app, "/", HTML).await;
            let id = answer.header("x-id").unwrap();
            assert_eq!(id.len(), 32);
            is(&answer, "H81", &format!("<p>{id}</p>{{{{nothing}}}}"));
        }
        mesh.finish().await;
    });
}

#[test]
fn rules_and_the_operator_have_their_say() {
    run(async {
        let mesh = Mesh::builder()
            .server("location /own { PASS error_page 503 = /operator; } location = /operator { internal; return 503 operator; }")
            .start()
            .await;
        let app = mesh.app("shop").await;
        app.page("error", HTML, "sorry").await;
        app.rules(&["always add response header X-Rule once"]).await;
        let answer = get(&mesh, &app, "/", HTML).await;
        is(&answer, "H81", "sorry");
        assert_eq!(times(&answer, "x-rule"), 1);
        assert_eq!(times(&answer, "x-mesh-error"), 1);
        let answer = get(&mesh, &app, "/own", HTML).await;
        is(&answer, "H81", "operator");
        mesh.finish().await;
    });
}

#[test]
fn a_change_is_in_effect_when_it_returns() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let (app, busy) = (mesh.app("shop").await, mesh.app_with("busy", open()).await);
        let _dynos = busy.dynos(2).await;
        maintenance(&app, true).await;
        let load = Load::start(Options {
            connections: 4,
            ..Options::new(mesh.nginx.address, &busy.host())
        });
        load.more(200).await;
        for round in 0..40 {
            let text = format!("round {round}");
            app.page("H80", HTML, &text).await;
            for _ in 0..6 {
                is(&get(&mesh, &app, "/", HTML).await, "H80", &text);
            }
        }
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn they_outlast_the_sidecar_and_nobody_waits_for_it() {
    run(async {
        let mut mesh = Mesh::builder().outage_timeout("300ms").start().await;
        let app = mesh.app_with("shop", open()).await;
        let dyno = app.dyno("web.1").await;
        app.page("H13", HTML, "sorry").await;
        is(&get(&mesh, &app, "/close", HTML).await, "H13", "sorry");
        mesh.crash_meshd().await;
        is(&get(&mesh, &app, "/close", HTML).await, "H13", "sorry");
        // It has a dyno and waits for its page when the sidecar stands still.
        mesh.crash_meshd().await;
        // What is no GET is not tried again.
        let request = mesh.request("POST", &app.host(), "/hold").id("held");
        let mut held = request.start().await.unwrap();
        dyno.until_now(1).await;
        mesh.signal_meshd(Signal::STOP);
        drop(dyno);
        let answer = held.response().await.unwrap();
        mesh.signal_meshd(Signal::CONT);
        assert_eq!(answer.header("x-mesh-error"), Some("H13"), "{answer:?}");
        assert!(answer.text().contains("H13"), "{answer:?}");
        mesh.finish().await;
    });
}

#[test]
fn who_leaves_while_a_page_is_asked_for() {
    run(async {
        let mut mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let dyno = app.dyno("web.1").await;
        app.page("H13", HTML, "sorry").await;
        let mut waiting = Vec::new();
        for n in 0..10 {
            let request = mesh.request("POST", &app.host(), "/hold");
            let request = request.id(&format!("left-{n}"));
            waiting.push(request.start().await.unwrap());
        }
        dyno.until_now(10).await;
        mesh.signal_meshd(Signal::STOP);
        drop(dyno);
        wait::until("Nginx has noticed", async || {
            mesh.error_log()
                .matches("while reading response header")
                .count()
                == 10
        })
        .await;
        waiting.into_iter().for_each(e2e::client::Conn::abort);
        for n in 0..10 {
            mesh.logged(&format!("left-{n}")).await;
        }
        mesh.signal_meshd(Signal::CONT);
        let _dyno = app.dyno("web.2").await;
        wait::until("it goes on", async || {
            mesh.get(&app.host(), "/").await.status() == 200
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn with_meshctl() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        let path = mesh.dir().join("page.html");
        std::fs::write(&path, "<h1>{{code}}</h1>").unwrap();
        let put = |code: &str| format!("app page shop --code {code} --file {}", path.display());
        assert_eq!(mesh.ctl(&put("error")).await.code, 0);
        is(&get(&mesh, &app, "/", HTML).await, "H81", "<h1>H81</h1>");
        let ran = mesh.ctl("export").await;
        assert!(ran.stdout.contains("<h1>{{code}}</h1>"), "{ran:?}");
        let ran = mesh.ctl("app list --json").await;
        assert!(!ran.stdout.contains("<h1>"), "{ran:?}");
        let ran = mesh.ctl(&put("H8O")).await;
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr.contains("\"H8O\" is none of error, H10"),
            "{ran:?}"
        );
        std::fs::write(&path, "x".repeat(65_537)).unwrap();
        let ran = mesh.ctl(&put("H80")).await;
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr.contains("at most 16 pages, of 65536 bytes"),
            "{ran:?}"
        );
        let ran = mesh.ctl("app page shop --code error --clear").await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let answer = get(&mesh, &app, "/", HTML).await;
        assert!(answer.text().contains("503 &middot; H81"), "{answer:?}");
        tokio::time::timeout(Duration::from_secs(60), mesh.finish())
            .await
            .unwrap();
    });
}
