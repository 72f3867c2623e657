//! Bodies: large, in chunks, unbuffered, not wanted; and where one request ends.

use e2e::{
    Mesh,
    client::Conn,
    dyno::{behave::pattern, exchange::hex},
    harness::run,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::echo::Echo;

/// 50 MB.
const LARGE: usize = 50_000_000;

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Upload {
    length: u64,
    sha256: String,
}

#[test]
fn large_uploads() {
    run(async {
        let body = pattern(LARGE as u64);
        let expected = Upload {
            length: LARGE as u64,
            sha256: hex(&Sha256::digest(&body)),
        };
        for location in ["", "proxy_request_buffering off;"] {
            let (mesh, app, _dyno) = Mesh::builder().location(location).with_dyno().await;
            let request = mesh.request("POST", &app.host(), "/upload");
            let request = request.body(body.to_vec());
            for request in [request.clone(), request.chunked()] {
                let answer = request.send().await;
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.json::<Upload>(), expected, "{location}");
            }
            mesh.finish().await;
        }
    });
}

#[test]
fn large_downloads() {
    run(async {
        for location in ["", "proxy_buffering off;"] {
            let (mesh, app, _dyno) = Mesh::builder().location(location).with_dyno().await;
            for target in [
                format!("/body/{LARGE}"),
                format!("/chunked/{LARGE}/99991/0"),
            ] {
                let answer = mesh.get(&app.host(), &target).await;
                assert!(answer.complete, "{target}");
                assert!(answer.body == pattern(LARGE as u64), "{target}");
            }
            mesh.finish().await;
        }
    });
}

#[test]
fn an_answer_before_the_body_was_read() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder()
            .location("proxy_request_buffering off;")
            .with_dyno()
            .await;
        let request = mesh
            .request("POST", &app.host(), "/early")
            .body(vec![b'x'; 1 << 20]);
        let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
        conn.send(request.head()).await.unwrap();
        conn.send(&request.payload()[..1_000]).await.unwrap();
        let answer = conn.response().await.unwrap();
        assert_eq!((answer.status(), &*answer.text()), (413, "early\n"));
        drop(conn);
        dyno.until_now(0).await;
        mesh.finish().await;
    });
}

#[test]
fn pieces_arrive_as_they_are_sent() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder()
            .location("proxy_buffering off;")
            .with_dyno()
            .await;
        let request = mesh.request("GET", &app.host(), "/chunked/30/10/300");
        let mut conn = request.start().await.unwrap();
        let mut body = conn.head().await.unwrap().response_body(false);
        assert_eq!(conn.piece(&mut body).await.unwrap().unwrap().len(), 10);
        // The first is here and the last not even sent.
        assert_eq!(dyno.figures().await.now, 1);
        while conn.piece(&mut body).await.unwrap().is_some() {}
        mesh.finish().await;
    });
}

#[test]
fn the_body_of_a_refused_post_is_never_read_as_a_request() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, _new) = (mesh.app("shop").await, mesh.app("new").await);
        let dyno = shop.dyno("web.1").await;
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.test\r\nX-Test-Id: smuggled\r\n\r\n";
        for chunked in [false, true] {
            // Never released, not known, not understood.
            for host in ["new.test", "other.test", "shop.test:junk"] {
                let mut request = mesh.request("POST", host, "/").body(smuggled);
                if chunked {
                    request = request.chunked();
                }
                let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
                conn.send(request.head()).await.unwrap();
                conn.send(request.payload()).await.unwrap();
                let answer = conn.response().await.unwrap();
                assert!([400, 404, 503].contains(&answer.status()), "{answer:?}");
                // Nginx may close after it; then there is nothing to be misread.
                let next = "GET /honest HTTP/1.1\r\nHost: shop.test\r\n\r\n";
                if answer.head.keeps_connection() && conn.send(next).await.is_ok() {
                    let seen = Echo::of(&conn.response().await.unwrap());
                    assert_eq!(seen.target, "/honest", "{host}");
                }
            }
        }
        assert_eq!(dyno.times_seen("smuggled").await, 0);
        mesh.finish().await;
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, blog) = (mesh.app("shop").await, mesh.app("blog").await);
        let _dynos = (shop.dynos(2).await, blog.dyno("web.1").await);
        let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
        let mut requests = String::new();
        for number in 0..10 {
            let app = if number % 3 == 0 { "blog" } else { "shop" };
            requests.push_str(&format!(
                "POST /nr/{number} HTTP/1.1\r\nHost: {app}.test\r\nContent-Length: 3\r\n\r\nGET"
            ));
        }
        conn.send(requests).await.unwrap();
        for number in 0..10 {
            let seen = Echo::of(&conn.response().await.unwrap());
            assert_eq!(seen.target, format!("/nr/{number}"));
            assert_eq!(seen.app, if number % 3 == 0 { "blog" } else { "shop" });
            assert_eq!((&*seen.method, &*seen.body), ("POST", "GET"));
        }
        mesh.finish().await;
    });
}
