//! What is not plain HTTP: upgraded connections and gRPC.

use e2e::{Mesh, client::h2, harness::run};

#[test]
fn an_upgraded_connection_passes_bytes_both_ways() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let request = mesh
            .request("GET", &app.host(), "/ws")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut conn = request.start().await.unwrap();
        let head = conn.head().await.unwrap();
        assert_eq!(head.status(), 101);
        assert_eq!(head.header("upgrade"), Some("websocket"));
        for length in [1, 125, 70_000, 3] {
            let message = vec![b'm'; length];
            conn.send(&message).await.unwrap();
            assert_eq!(conn.exactly(length).await.unwrap(), message);
        }
        // As long as it is open the dyno is taken.
        app.until_load(1, 0).await;
        let mut next = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        drop(conn);
        assert_eq!(next.response().await.unwrap().status(), 200);
        let figures = dyno.figures().await;
        assert_eq!((figures.total, figures.double_bookings), (2, 0));
        mesh.finish().await;
    });
}

#[test]
fn many_upgraded_connections_at_once() {
    run(async {
        let (mesh, app, _dynos) = Mesh::builder().workers(2).with_dynos(4).await;
        let tunnel = async || {
            let request = mesh
                .request("GET", &app.host(), "/ws")
                .header("Connection", "Upgrade")
                .header("Upgrade", "echo");
            let mut conn = request.start().await.unwrap();
            assert_eq!(conn.head().await.unwrap().status(), 101);
            conn.send("hello").await.unwrap();
            assert_eq!(conn.exactly(5).await.unwrap(), "hello");
        };
        futures_util::future::join_all((0..40).map(|_| tunnel())).await;
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
        let mut program = app.program("web.1");
        program.grpc = true;
        let dyno = app.run(program).await;
        for number in 0..20 {
            let text = format!("call {number}");
            let reply = h2::grpc_echo(mesh.nginx.http2_address, &app.host(), &text).await;
            assert_eq!(reply.unwrap().text, text);
        }
        let figures = dyno.figures().await;
        assert_eq!((figures.total, figures.double_bookings), (20, 0));
        mesh.finish().await;
    });
}
