//! Rules, and what is not plain HTTP/1.

use e2e::{
    Mesh,
    client::h2::{self, Client},
    harness::run,
};
use hyper::{Request, body::Bytes};

#[test]
fn http2_clients() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        app.rules(&[
            "always set request header X-Set 1, remove request header X-Gone",
            "always set response header X-Rules on, remove response header Server",
            "when path = /old then redirect 308 /new?$args",
            "when path = /no then deny",
        ])
        .await;
        let client = Client::open(mesh.nginx.http2_address).await.unwrap();
        let request = Request::get(format!("http://{}/echo", app.host())).header("x-gone", "1");
        let answer = client.send(request.body(Bytes::new()).unwrap()).await;
        let answer = answer.unwrap();
        let seen: crate::echo::Echo = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(seen.header("x-set"), Some("1"));
        assert_eq!(seen.header("x-gone"), None);
        assert_eq!(answer.headers()["x-rules"], "on");
        assert!(answer.headers().get("server").is_none());
        let answer = client.get(&app.host(), "/old?a=b").await.unwrap();
        assert_eq!(answer.status(), 308);
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.ends_with("/new?a=b"), "{to}");
        let request = Request::post(format!("http://{}/no", app.host()));
        let body = Bytes::from(vec![b'x'; 100_000]);
        let answer = client.send(request.body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 403);
        mesh.finish().await;
    });
}

#[test]
fn an_upgraded_connection() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        app.rules(&["when path = /ws then set request header X-Test-Id by-a-rule"])
            .await;
        let request = mesh
            .request("GET", &app.host(), "/ws")
            .header("Connection", "Upgrade")
            .header("Upgrade", "echo");
        let mut conn = request.start().await.unwrap();
        assert_eq!(conn.head().await.unwrap().status(), 101);
        conn.send("hello").await.unwrap();
        assert_eq!(conn.exactly(5).await.unwrap(), "hello");
        assert_eq!(dyno.times_seen("by-a-rule").await, 1);
        drop(conn);
        mesh.finish().await;
    });
}

#[test]
fn grpc_calls() {
    run(async {
        let mesh = Mesh::builder()
            .server(
                "location /sample.Echo { grpc_pass grpc://dynos; grpc_set_header Host $mesh_host; }",
            )
            .start()
            .await;
        let app = mesh.app("calls").await;
        app.rules(&["when path ^= /sample.Echo/ then set request header X-Test-Id by-a-rule"])
            .await;
        let mut program = app.program("web.1");
        program.grpc = true;
        let dyno = app.run(program).await;
        for _ in 0..5 {
            let reply = h2::grpc_echo(mesh.nginx.http2_address, &app.host(), "hello").await;
            assert_eq!(reply.unwrap().text, "hello");
        }
        assert_eq!(dyno.times_seen("by-a-rule").await, 5);
        app.rules(&["always deny"]).await;
        let reply = h2::grpc_echo(mesh.nginx.http2_address, &app.host(), "hello").await;
        // A page is no gRPC, whatever its status.
        assert!(reply.is_err(), "{reply:?}");
        assert_eq!(dyno.figures().await.total, 5);
        mesh.finish().await;
    });
}
