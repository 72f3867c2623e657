//! What goes wrong between Nginx and a dyno, and its code.

use dynomesh_proto::v1::{Policy, Settings};
use e2e::{
    Mesh,
    harness::{Entry, black_hole, closed_port, run},
};

use crate::refusals::refused;

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

#[test]
fn no_answer_in_time() {
    run(async {
        let mesh = Mesh::builder()
            .location("proxy_read_timeout 500ms;")
            .linger_timeout("1s")
            .start()
            .await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        for method in ["GET", "POST"] {
            refused(&mesh, mesh.request(method, &app.host(), "/hang"), "H12").await;
        }
        mesh.finish().await;
    });
}

#[test]
fn closed_without_an_answer() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        for method in ["GET", "POST"] {
            for target in ["/close", "/reset"] {
                let request = mesh.request(method, &app.host(), target);
                refused(&mesh, request, "H13").await;
            }
        }
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_is_no_http() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        for target in ["/bad-header", "/garbage", "/bad-status"] {
            let request = mesh.request("POST", &app.host(), target);
            refused(&mesh, request, "H17").await;
        }
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_breaks_off() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        for target in [
            "/close-after-header",
            "/close-mid-body",
            "/close-mid-chunked",
        ] {
            let request = mesh.request("GET", &app.host(), target).id(target);
            let answer = request.send().await;
            assert_eq!(answer.status(), 200, "{target}");
            assert!(
                !answer.complete,
                "{target}: the client must be able to tell"
            );
            assert_eq!(mesh.logged(target).await.error, "H18", "{target}");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_dies_while_it_answers() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let mut dyno = app.dyno("web.1").await;
        let answer = mesh
            .request("GET", &app.host(), "/exit")
            .id("exit")
            .send()
            .await;
        assert!(!answer.complete);
        assert_eq!(mesh.logged("exit").await.error, "H18");
        dyno.process.wait().await;
        refused(&mesh, mesh.request("GET", &app.host(), "/"), "H21").await;
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_stalls() {
    run(async {
        let mesh = Mesh::builder()
            .location("proxy_read_timeout 500ms;")
            .linger_timeout("1s")
            .start()
            .await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        let answer = mesh
            .request("GET", &app.host(), "/chunked/20/10/3000")
            .id("stall")
            .send()
            .await;
        assert_eq!(answer.status(), 200);
        assert!(!answer.complete);
        assert_eq!(mesh.logged("stall").await.error, "H15");
        mesh.finish().await;
    });
}

#[test]
fn nobody_accepts_the_connection() {
    run(async {
        let mesh = Mesh::builder()
            .location("proxy_connect_timeout 400ms;")
            .start()
            .await;
        let app = mesh.app_with("shop", open()).await;
        let hole = black_hole();
        app.register("web.1", &hole.address).await;
        refused(&mesh, mesh.request("POST", &app.host(), "/"), "H19").await;
        assert!(app.status().await.dynos[0].quarantine_ms > 0);
        mesh.finish().await;
    });
}

#[test]
fn everybody_refuses_the_connection() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let ports = [closed_port(), closed_port(), closed_port()];
        for (number, port) in ports.iter().enumerate() {
            app.register(&format!("web.{number}"), &port.address).await;
        }
        let post = mesh.request("POST", &app.host(), "/upload").body("body");
        refused(&mesh, post, "H21").await;
        // All are in quarantine now: nobody is asked again.
        refused(&mesh, mesh.request("GET", &app.host(), "/"), "H34").await;
        let status = app.status().await;
        assert!(
            status.dynos.iter().all(|dyno| dyno.quarantine_ms > 0),
            "{status:?}"
        );
        mesh.finish().await;
    });
}

#[test]
fn quarantine_ends() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let port = closed_port();
        let mut program = app.program("web.1");
        program.listen.clone_from(&port.address);
        app.register("web.1", &port.address).await;
        refused(&mesh, mesh.request("GET", &app.host(), "/"), "H21").await;
        drop(port);
        // The same dyno, which listens now.
        let _dyno = program.start().await;
        e2e::harness::wait::until("the dyno is tried again", async || {
            mesh.get(&app.host(), "/").await.status() == 200
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn a_good_answer_has_no_code() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        for (id, target) in [("ok", "/"), ("app-error", "/status/503")] {
            let answer = mesh.request("GET", &app.host(), target).id(id).send().await;
            assert_eq!(answer.header("x-mesh-error"), None, "{target}");
            let Entry {
                error,
                app,
                dyno,
                lease,
                queue_wait,
                dynos_in_use,
                ..
            } = mesh.logged(id).await;
            assert!(error.is_empty() || error == "-", "{error}");
            assert_eq!((&*app, &*dyno), ("shop", "web.1"));
            assert!(!lease.is_empty() && lease != "-", "{lease}");
            assert_eq!(&*dynos_in_use, "1");
            assert!(queue_wait.parse::<f64>().is_ok(), "{queue_wait}");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_body_that_is_no_http() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let request = mesh.request("GET", &app.host(), "/bad-chunk").id("bad");
        let complete = request.try_send().await.is_ok_and(|answer| answer.complete);
        assert!(!complete, "the client takes it for whole");
        assert_eq!(mesh.logged("bad").await.error, "H17");
        // The dyno did not close, and is free all the same.
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn an_operators_page_for_what_a_dyno_did() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder()
            .server(
                "error_page 502 503 504 /sorry; error_page 500 /broken;
                location = /sorry { internal; return 503 'a page of ours'; }
                location = /broken { internal; return 500 'ours is broken'; }",
            )
            .with_dyno()
            .await;
        let answer = mesh.get(&app.host(), "/close").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H13"));
        assert_eq!((answer.status(), &*answer.text()), (503, "a page of ours"));
        // Not a 500, so not that page.
        let answer = mesh.get("shop.test:80junk", "/").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H26"));
        assert_eq!(answer.status(), 400, "{answer:?}");
        mesh.finish().await;
    });
}
