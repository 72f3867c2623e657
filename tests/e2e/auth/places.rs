//! Where in a request's way it is looked at, and beside what.

use e2e::{
    Mesh,
    client::h2::{self, Client},
    harness::run,
};
use hyper::{Request, body::Bytes};

use super::{basic, get, user, why};
use crate::echo::Echo;

#[test]
fn rules_come_first_and_whoever_serves_decides() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, next) = (mesh.app("shop").await, mesh.app("next").await);
        let _dynos = (shop.dyno("web.1").await, next.dyno("web.1").await);
        let host = shop.host();
        shop.rules(&[
            "when path = /plain then redirect 301 https://$host$path",
            "when path = /gone then deny 410",
            "when header x-next present then app next",
            "always set response header X-Rules on, set request header X-User rule",
        ])
        .await;
        shop.auth(&["basic", &user("ann"), "claim sub to X-User"])
            .await;
        assert_eq!(mesh.get(&host, "/plain").await.status(), 301);
        assert_eq!(mesh.get(&host, "/gone").await.status(), 410);
        let answer = mesh.get(&host, "/").await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        assert_eq!(answer.header("x-rules"), Some("on"));
        let ann = basic("ann", "secret");
        let seen = Echo::of(&get(&mesh, &host, "/echo", &ann).await);
        assert_eq!(
            seen.header("x-user"),
            Some("ann"),
            "claims have the last word"
        );
        // Another app serves it, which lets everybody in: whose name it is decides.
        let to_next = async |credential: &str| {
            let request = mesh.request("GET", &host, "/echo").header("X-Next", "1");
            request.header("Authorization", credential).send().await
        };
        let no = basic("eve", "secret");
        assert_eq!(to_next(&no).await.status(), 401);
        assert_eq!(Echo::of(&to_next(&ann).await).app, "next");
        // It does not any more.
        next.auth(&["basic", &user("bob")]).await;
        assert_eq!(to_next(&ann).await.status(), 401);
        assert_eq!(to_next(&basic("bob", "secret")).await.status(), 200);
        next.auth(&[]).await;
        assert_eq!(to_next(&ann).await.status(), 200);
        // No rule of somebody else's is a way around it.
        shop.auth(&[]).await;
        next.auth(&["basic", &user("bob")]).await;
        let answer = mesh
            .request("GET", &host, "/")
            .header("X-Next", "1")
            .send()
            .await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        mesh.finish().await;
    });
}

#[test]
fn an_error_page_of_the_mesh_is_no_way_in() {
    run(async {
        let mesh = Mesh::builder()
            .server(
                "error_page 401 /login; error_page 410 /login;
                 location /sub { auth_request /auth; root /nowhere; }
                 location = /auth { internal; PASS }
                 location /cached { proxy_cache zone; proxy_cache_valid 10m; PASS }",
            )
            .http("proxy_cache_path DIR/cache keys_zone=zone:1m;");
        let (mesh, app, dyno) = mesh.with_dyno().await;
        let host = app.host();
        app.rules(&["when path = /gone then deny 410"]).await;
        app.auth(&["basic", &user("ann")]).await;
        for target in ["/", "/gone", "/sub"] {
            let answer = mesh.get(&host, target).await;
            assert!(
                [401, 410].contains(&answer.status()),
                "{target}: {answer:?}"
            );
        }
        assert_eq!(dyno.figures().await.total, 0);
        // What is in a cache is not for everybody.
        let ann = basic("ann", "secret");
        assert_eq!(get(&mesh, &host, "/cached", &ann).await.status(), 200);
        assert_eq!(mesh.get(&host, "/cached").await.status(), 401);
        mesh.finish().await;
    });
}

#[test]
fn http2_clients_websockets_and_grpc() {
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
        let plain = mesh.app("shop").await;
        let _dyno = plain.dyno("web.1").await;
        let lines = ["basic", &user("ann"), "claim sub to X-Test-Id"];
        plain.auth(&lines).await;
        let ann = basic("ann", "secret");
        let client = Client::open(mesh.nginx.http2_address).await.unwrap();
        let send = async |credential: Option<&str>| {
            let mut request = Request::post(format!("http://{}/echo", plain.host()));
            if let Some(credential) = credential {
                request = request.header("authorization", credential);
            }
            let body = Bytes::from(vec![b'x'; 100_000]);
            client.send(request.body(body).unwrap()).await.unwrap()
        };
        let answer = send(None).await;
        assert_eq!(answer.status(), 401);
        assert!(answer.headers().contains_key("www-authenticate"));
        assert_eq!(send(Some(&ann)).await.status(), 200);
        let upgrade = |credential: &str| {
            mesh.request("GET", &plain.host(), "/ws")
                .header("Connection", "Upgrade")
                .header("Upgrade", "echo")
                .header("Authorization", credential)
        };
        let refused = upgrade(&basic("ann", "wrong")).send().await;
        assert_eq!(why(&refused), (401, Some("auth-wrong")));
        let mut conn = upgrade(&ann).start().await.unwrap();
        assert_eq!(conn.head().await.unwrap().status(), 101);
        conn.send("hello").await.unwrap();
        assert_eq!(conn.exactly(5).await.unwrap(), "hello");
        drop(conn);
        app.auth(&lines).await;
        let call = h2::grpc_echo(mesh.nginx.http2_address, &app.host(), "hello").await;
        assert!(call.is_err(), "{call:?}");
        assert_eq!(dyno.figures().await.total, 0);
        let open = "except path ^= /sample.Echo/";
        app.auth(&[lines[0], lines[1], open]).await;
        let call = h2::grpc_echo(mesh.nginx.http2_address, &app.host(), "hello").await;
        assert_eq!(call.unwrap().text, "hello");
        mesh.finish().await;
    });
}
