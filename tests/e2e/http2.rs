//! Clients that speak HTTP/2.

use std::time::Duration;

use e2e::{
    Mesh,
    client::h2::Client,
    harness::{run, wait},
};
use hyper::{Request, body::Bytes};
use tokio::task::JoinHandle;

/// How a client leaves that asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ResetStream,
    HangUp,
}

const WAYS: [Way; 2] = [Way::ResetStream, Way::HangUp];

/// A client that has asked, and waits.
struct Asking {
    client: Client,
    answer: JoinHandle<()>,
}

impl Asking {
    async fn start(mesh: &Mesh, host: &str, target: &str, id: &str) -> Self {
        let client = Client::open(mesh.nginx.http2_address).await.unwrap();
        let request = Request::get(format!("http://{host}{target}"))
            .header("x-test-id", id)
            .body(Bytes::new())
            .unwrap();
        let asks = client.clone();
        let answer = tokio::spawn(async move {
            let _ = asks.send(request).await;
        });
        Self { client, answer }
    }

    /// Leaves. Who only resets the stream asks something else, and is answered.
    async fn leave(self, way: Way) {
        self.answer.abort();
        match way {
            Way::ResetStream => {
                let other = self.client.get("nobody.test", "/").await.unwrap();
                assert_eq!(other.status(), 404);
            }
            Way::HangUp => self.client.hang_up(),
        }
    }
}

#[test]
fn who_leaves_while_waiting_leaves_the_queue() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let host = app.host();
        let mut held = mesh.request("GET", &host, "/hold").start().await.unwrap();
        dyno.until_now(1).await;
        for way in WAYS {
            let id = format!("{way:?}");
            let asking = Asking::start(&mesh, &host, "/", &id).await;
            app.until_load(1, 1).await;
            asking.leave(way).await;
            wait::within(Duration::from_secs(2), "it left the queue", async || {
                app.status().await.waiting == 0
            })
            .await;
            assert_eq!(mesh.logged(&id).await.error, "H27", "{way:?}");
        }
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(mesh.get(&host, "/").await.status(), 200);
        for way in WAYS {
            assert_eq!(dyno.times_seen(&format!("{way:?}")).await, 0);
        }
        mesh.finish().await;
    });
}

#[test]
fn who_leaves_while_served_leaves_the_dyno_taken() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let host = app.host();
        for way in WAYS {
            dyno.reset().await;
            let id = format!("{way:?}");
            let asking = Asking::start(&mesh, &host, "/hold", &id).await;
            dyno.until_now(1).await;
            asking.leave(way).await;
            assert_eq!(mesh.logged(&id).await.error, "H27", "{way:?}");
            let mut next = mesh.request("GET", &host, "/").start().await.unwrap();
            app.until_load(1, 1).await;
            assert_eq!(dyno.figures().await.total, 1, "{way:?}");
            dyno.release().await;
            assert_eq!(next.response().await.unwrap().status(), 200);
            assert_eq!(dyno.figures().await.double_bookings, 0, "{way:?}");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_malformed_authority_is_refused() {
    run(async {
        let (mesh, _app, dyno) = Mesh::with_dyno().await;
        let client = Client::open(mesh.nginx.http2_address).await.unwrap();
        for authority in ["somebody@shop.test", "shop.test:65536", "shop.test:000080"] {
            let answer = client.get(authority, "/").await.unwrap();
            assert_eq!(answer.status(), 400, "{authority}");
            assert_eq!(answer.headers()["x-mesh-error"], "H26", "{authority}");
        }
        assert_eq!(dyno.figures().await.total, 0);
        // The connection is as good as before.
        assert_eq!(client.get("SHOP.test:80", "/").await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let client = Client::open(mesh.nginx.http2_address).await.unwrap();
        for target in [
            "/close-after-header",
            "/close-mid-body",
            "/close-mid-chunked",
            "/bad-chunk",
        ] {
            let answer = client.get(&app.host(), target).await;
            assert!(answer.is_err(), "{target}: it looks whole: {answer:?}");
            // The stream was reset, the connection was not.
            assert_eq!(client.get(&app.host(), "/").await.unwrap().status(), 200);
        }
        mesh.finish().await;
    });
}

#[test]
fn an_upload() {
    run(async {
        for location in ["", "proxy_request_buffering off;"] {
            let (mesh, app, dyno) = Mesh::builder().location(location).with_dyno().await;
            let client = Client::open(mesh.nginx.http2_address).await.unwrap();
            let upload = |body: Vec<u8>| {
                let request = Request::post(format!("http://{}/upload", app.host()));
                client.send(request.body(body.into()).unwrap())
            };
            for length in [0, 1, 3_000_000] {
                let answer = upload(vec![b'u'; length]).await.unwrap();
                assert_eq!(answer.status(), 200, "{answer:?}");
                let seen: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(seen["length"], length, "{location}");
            }
            assert_eq!(dyno.figures().await.double_bookings, 0);
            mesh.finish().await;
        }
    });
}
