//! Where in a configuration rules are looked at.

use e2e::{Mesh, harness::run};

use crate::echo::Echo;

const SERVER: &str = "
    location /files/ { root /nowhere; }
    location /fixed { return 200 'fixed'; }
    location /off/ { mesh_rules off; PASS }
    set $where dynos;
    location /unsaid/ { proxy_pass http://$where; proxy_http_version 1.1;
        proxy_set_header Connection ''; }
    location /said/ { mesh_rules on; proxy_pass http://$where; proxy_http_version 1.1;
        proxy_set_header Connection ''; }
    location /again/ { rewrite ^ /status/404 break; error_page 404 = @again; proxy_intercept_errors on; PASS }
    location @again { rewrite ^ /fallback break; PASS }
    location /sub/ { auth_request /auth; PASS }
    location = /auth { internal; rewrite ^ /status/204 break; proxy_pass_request_body off;
        proxy_set_header Content-Length ''; PASS }
    error_page 410 /gone-page;
    location = /gone-page { internal; return 410 'a page of ours'; }
";

#[test]
fn only_on_the_way_to_the_mesh() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder().server(SERVER).with_dyno().await;
        let host = app.host();
        for target in ["/off/", "/unsaid/", "/said/", "/fixed"] {
            assert_eq!(mesh.get(&host, target).await.status(), 200, "{target}");
        }
        app.rules(&["always deny"]).await;
        for (target, status) in [
            ("/", 403),
            ("/said/", 403),
            ("/off/", 200),
            ("/fixed", 200),
            ("/files/none", 404),
        ] {
            assert_eq!(mesh.get(&host, target).await.status(), status, "{target}");
        }
        // It is not known before where it leads, so nothing was looked at.
        let answer = mesh.get(&host, "/unsaid/").await;
        assert_eq!(
            (answer.status(), answer.header("x-mesh-error")),
            (503, Some("H99"))
        );
        assert!(mesh.error_log().contains("say \"mesh_rules on\" there"));
        mesh.finish().await;
    });
}

#[test]
fn once_for_each_request() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder().server(SERVER).with_dyno().await;
        let host = app.host();
        app.rules(&[
            "always add request header X-Once 1, add response header X-Once 1",
            "when path = /gone then deny 410",
            "when path = /fallback then deny",
        ])
        .await;
        let once = |seen: &Echo| {
            let found = seen.headers.iter();
            found
                .filter(|(name, _)| name.eq_ignore_ascii_case("x-once"))
                .count()
        };
        // An internal redirect is the same request.
        let answer = mesh.get(&host, "/again/").await;
        assert_eq!(once(&Echo::of(&answer)), 1);
        let answer = mesh.get(&host, "/sub/x").await;
        let seen = Echo::of(&answer);
        assert_eq!((once(&seen), &*seen.target), (1, "/sub/x"));
        let named = answer.head.headers.iter();
        let named = named.filter(|(name, _)| name.eq_ignore_ascii_case("x-once"));
        assert_eq!(named.count(), 1);
        let answer = mesh.get(&host, "/gone").await;
        assert_eq!((answer.status(), &*answer.text()), (410, "a page of ours"));
        mesh.finish().await;
    });
}

#[test]
fn a_request_that_fails_has_its_headers_too() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        app.rules(&["always set response header X-Rules on"]).await;
        let answer = mesh.get(&app.host(), "/").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H81"));
        assert_eq!(answer.header("x-rules"), Some("on"));
        mesh.finish().await;
    });
}
