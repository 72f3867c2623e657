//! Heads of responses: what passes, and what must not.

use dynomesh_proto::v1::Settings;
use e2e::{Mesh, client::Conn, harness::run};

use crate::echo::Echo;

#[test]
fn responses_without_a_body() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        // On one connection: a wrong idea of where one ends would show in the next.
        let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
        for (method, target, status) in [
            ("HEAD", "/body/1000", 200),
            ("GET", "/status/204", 204),
            ("GET", "/status/304", 304),
            ("HEAD", "/status/404", 404),
            ("GET", "/status/404", 404),
            ("DELETE", "/status/204", 204),
        ] {
            let request = mesh.request(method, &app.host(), target);
            conn.send(request.head()).await.unwrap();
            let answer = conn.response_to(method).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {target}");
            assert_eq!(answer.dyno(), "web.1");
            if method == "HEAD" && status == 200 {
                assert_eq!(answer.header("content-length"), Some("1000"));
            }
        }
        mesh.finish().await;
    });
}

#[test]
fn headers_of_the_mesh_cannot_be_forged() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let forged = [
            "X-Mesh-Error",
            "x-mesh-queue-depth",
            "X-MESH-Dynos-In-Use",
            "X-Mesh-Else",
        ];
        // From a client.
        let mut request = mesh.request("GET", &app.host(), "/echo");
        for name in forged {
            request = request.header(name, "forged");
        }
        let seen = Echo::of(&request.send().await);
        let came = seen.headers.iter().find(|(_, value)| value == "forged");
        assert_eq!(came, None);
        // From an app.
        for name in forged {
            let target = format!("/header?{name}=forged&X-Mine=kept");
            let answer = mesh.get(&app.host(), &target).await;
            assert_eq!(answer.header("x-mine"), Some("kept"));
            assert_ne!(answer.header(name), Some("forged"), "{name}");
        }
        mesh.finish().await;
    });
}

#[test]
fn an_app_cannot_reach_an_internal_location() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder()
            .server("location /internal { internal; return 200 secret; }")
            .with_dyno()
            .await;
        assert_eq!(mesh.get(&app.host(), "/internal").await.status(), 404);
        let target = "/header?X-Accel-Redirect=/internal";
        let answer = mesh.get(&app.host(), target).await;
        assert!(!answer.text().contains("secret"), "{answer:?}");
        mesh.finish().await;
    });
}

#[test]
fn the_queue_is_told_of_if_the_app_wants_it() {
    run(async {
        let mesh = Mesh::start().await;
        let names = [
            "x-mesh-queue-depth",
            "x-mesh-queue-wait-time",
            "x-mesh-dynos-in-use",
        ];
        for (name, queue_headers) in [("open", true), ("silent", false)] {
            let settings = Settings {
                queue_headers,
                ..Settings::default()
            };
            let app = mesh.app_with(name, settings).await;
            let _dyno = app.dyno("web.1").await;
            let answer = mesh.get(&app.host(), "/").await;
            for header in names {
                let value = answer.header(header);
                assert_eq!(value.is_some(), queue_headers, "{name}: {header}");
                assert!(value.is_none_or(|value| value.parse::<u32>().is_ok()));
            }
            if queue_headers {
                assert_eq!(answer.header("x-mesh-dynos-in-use"), Some("1"));
                assert_eq!(answer.header("x-mesh-queue-depth"), Some("0"));
            }
        }
        mesh.finish().await;
    });
}

#[test]
fn a_slow_head_is_waited_for() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let answer = mesh.get(&app.host(), "/slow-header").await;
        assert_eq!((answer.status(), &*answer.text()), (200, "slow\n"));
        mesh.finish().await;
    });
}
