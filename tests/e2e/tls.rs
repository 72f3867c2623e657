//! Dynos that are spoken to over TLS.

use std::fs;

use e2e::{Mesh, harness::run};

/// A dyno that speaks TLS: this very Nginx, on a unix socket.
const DYNO: &str = "server {
        listen unix:DIR/tls.sock ssl;
        ssl_certificate DIR/dyno.crt; ssl_certificate_key DIR/dyno.key;
        keepalive_requests 2;
        location / { return 200 'over $ssl_protocol, kept $connection_requests'; }
        location /slow { limit_rate 10k; root DIR; }
    }";

#[test]
fn a_dyno_may_speak_tls() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let made = rcgen::generate_simple_self_signed(["dyno.test".to_owned()]).unwrap();
        fs::write(dir.path().join("dyno.crt"), made.cert.pem()).unwrap();
        fs::write(
            dir.path().join("dyno.key"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        fs::write(dir.path().join("slow"), vec![b'x'; 20_000]).unwrap();
        let mesh = Mesh::builder()
            .http(&DYNO.replace("DIR", &path))
            .server(
                "location /tls { rewrite ^/tls(.*)$ $1 break;
                    proxy_pass https://dynos; proxy_http_version 1.1;
                    proxy_set_header Host $mesh_host; proxy_set_header Connection ''; }",
            )
            .start()
            .await;
        let app = mesh.app("shop").await;
        app.register("web.1", &format!("unix:{path}/tls.sock"))
            .await;
        for _ in 0..10 {
            let answer = mesh.get(&app.host(), "/tls/").await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            assert!(answer.text().starts_with("over TLSv1"), "{answer:?}");
        }
        // The client leaves, the dyno goes on: its lease lasts as long.
        let request = mesh.request("GET", &app.host(), "/tls/slow");
        let mut leaves = request.start().await.unwrap();
        assert_eq!(leaves.head().await.unwrap().status(), 200);
        leaves.abort();
        assert_eq!(mesh.get(&app.host(), "/tls/").await.status(), 200);
        mesh.finish().await;
    });
}
