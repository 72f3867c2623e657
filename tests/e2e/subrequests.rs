//! Requests that Nginx makes of a request: each has a lease of its own, for as
//! long as it needs the dyno and no longer.

use e2e::{Mesh, harness::run};

use crate::echo::Echo;

const SERVER: &str = "
    location = /auth-yes { internal; rewrite ^ /status/204 break; proxy_pass_request_body off;
        proxy_set_header Content-Length ''; PASS }
    location = /auth-no { internal; rewrite ^ /status/403 break; proxy_pass_request_body off;
        proxy_set_header Content-Length ''; PASS }
    location /private { auth_request /auth-yes; PASS }
    location /forbidden { auth_request /auth-no; PASS }

    location /rewritten { rewrite ^/rewritten/(.*)$ /new/$1 last; }
    location /tried { try_files /no-such-file @mesh; }
    location @mesh { PASS }

    location /intercepted { rewrite ^/intercepted/(.*)$ /status/$1 break;
        proxy_intercept_errors on; error_page 500 = @fallback; error_page 404 /not-found; PASS }
    location @fallback { rewrite ^ /fallback break; PASS }
    location = /not-found { internal; return 404 'a page of ours'; }
    location /own-page { error_page 503 /sorry; PASS }
    location = /sorry { internal; return 503 'a page of ours'; }
";

#[test]
fn authentication_by_subrequest() {
    run(async {
        let mesh = Mesh::builder().server(SERVER).start().await;
        let app = mesh.app("shop").await;
        // A single dyno: the main request needs the one that its subrequest had.
        let dyno = app.dyno("web.1").await;
        for _ in 0..20 {
            let seen = Echo::of(&mesh.get(&app.host(), "/private/x").await);
            assert_eq!(seen.target, "/private/x");
        }
        let post = mesh.request("POST", &app.host(), "/private/y");
        let seen = Echo::of(&post.body("with a body").send().await);
        assert_eq!(seen.body, "with a body");
        assert_eq!(mesh.get(&app.host(), "/forbidden").await.status(), 403);
        let figures = dyno.figures().await;
        assert_eq!((figures.total, figures.double_bookings), (43, 0));
        mesh.finish().await;
    });
}

#[test]
fn internal_redirects() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder().server(SERVER).with_dyno().await;
        for _ in 0..10 {
            let seen = Echo::of(&mesh.get(&app.host(), "/rewritten/x").await);
            assert_eq!(seen.target, "/new/x");
            let seen = Echo::of(&mesh.get(&app.host(), "/tried/x").await);
            assert_eq!(seen.target, "/tried/x");
        }
        mesh.finish().await;
    });
}

#[test]
fn error_pages() {
    run(async {
        let mesh = Mesh::builder().server(SERVER).start().await;
        let app = mesh.app("shop").await;
        // One dyno again: the first lease must be over before the second is asked for.
        let dyno = app.dyno("web.1").await;
        for _ in 0..10 {
            let seen = Echo::of(&mesh.get(&app.host(), "/intercepted/500").await);
            assert_eq!(seen.target, "/fallback");
            let answer = mesh.get(&app.host(), "/intercepted/404").await;
            assert_eq!((answer.status(), &*answer.text()), (404, "a page of ours"));
            let answer = mesh.get(&app.host(), "/intercepted/200").await;
            assert_eq!(answer.text(), "status 200\n");
        }
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn an_operators_page_for_a_refusal() {
    run(async {
        let mesh = Mesh::builder().server(SERVER).start().await;
        let app = mesh.app("new").await;
        let request = mesh.request("GET", &app.host(), "/own-page").id("own");
        let answer = request.send().await;
        assert_eq!((answer.status(), &*answer.text()), (503, "a page of ours"));
        assert_eq!(mesh.logged("own").await.error, "H81");
        mesh.finish().await;
    });
}
