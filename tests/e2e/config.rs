//! What Nginx refuses to start with, and that it names the directive.

use e2e::{
    Mesh,
    harness::{run, test_config},
};
use tempfile::tempdir;

const GOOD: &str = "mesh_sidecar unix:/run/mesh.sock;
    mesh_outage_timeout 2s;
    mesh_linger_timeout 1m;
    upstream dynos { mesh; keepalive 8; }
    server { listen 127.0.0.1:1; location / { proxy_pass http://dynos; } }";

#[test]
fn a_good_configuration_passes() {
    let dir = tempdir().unwrap();
    let (good, words) = test_config(dir.path(), GOOD);
    assert!(good, "{words}");
}

#[track_caller]
fn refuses(http: &str, name: &str) {
    let dir = tempdir().unwrap();
    let (good, words) = test_config(dir.path(), http);
    assert!(!good, "passes: {http}");
    let emerg = words.lines().find(|line| line.contains("[emerg]"));
    let emerg = emerg.unwrap_or_else(|| panic!("no message for {http}: {words}"));
    // The path of the configuration must not be what matches.
    let message = emerg.split(" in /").next().unwrap_or_default();
    assert!(message.contains(name), "no {name} in {emerg:?}");
}

#[test]
fn a_bad_sidecar_address() {
    for value in [
        "",
        "127.0.0.1:80",
        "/run/mesh.sock",
        "unix:",
        "unix:/a unix:/b",
    ] {
        refuses(&format!("mesh_sidecar {value};"), "mesh_sidecar");
    }
    let long = "x".repeat(200);
    refuses(&format!("mesh_sidecar unix:/{long};"), "mesh_sidecar");
}

#[test]
fn a_directive_twice() {
    for line in [
        "mesh_sidecar unix:/run/mesh.sock;",
        "mesh_outage_timeout 1s;",
        "mesh_linger_timeout 1s;",
    ] {
        let name = line.split(' ').next().unwrap();
        refuses(&format!("{line}\n{line}"), name);
    }
    refuses(
        "mesh_sidecar unix:/run/mesh.sock; upstream a { mesh; mesh; }",
        "mesh",
    );
}

#[test]
fn a_bad_time() {
    for name in ["mesh_outage_timeout", "mesh_linger_timeout"] {
        for value in [
            "",
            "soon",
            "-1s",
            "5parsecs",
            "1s 2s",
            "99999999999999999999s",
        ] {
            refuses(&format!("{name} {value};"), name);
        }
    }
}

#[test]
fn a_directive_in_the_wrong_place() {
    refuses("mesh;", "\"mesh\" directive is not allowed");
    refuses("server { mesh; }", "\"mesh\" directive is not allowed");
    for name in ["mesh_sidecar unix:/a", "mesh_outage_timeout 1s"] {
        let directive = name.split(' ').next().unwrap();
        refuses(
            &format!("upstream a {{ {name}; server 127.0.0.1:1; }}"),
            directive,
        );
    }
}

#[test]
fn an_upstream_with_more_than_it_takes() {
    let names = |what: &str, name: &str| {
        refuses(
            &format!("mesh_sidecar unix:/a; upstream a {{ {what} }}"),
            name,
        );
    };
    names("mesh yes;", "mesh");
    names("mesh; server 127.0.0.1:1;", "server");
    names("server 127.0.0.1:1; mesh;", "server");
    names("mesh; zone dynos 64k;", "zone");
    names("zone dynos 64k; mesh;", "zone");
    names("least_conn; mesh;", "mesh");
    names("keepalive 8; mesh;", "keepalive");
}

#[test]
fn the_address_of_the_sidecar_has_a_default() {
    let dir = tempdir().unwrap();
    let (good, words) = test_config(dir.path(), "upstream a { mesh; }");
    assert!(good, "{words}");
}

#[test]
fn without_a_sidecar_nginx_starts_and_says_so() {
    run(async {
        let mesh = Mesh::builder()
            .without_sidecar()
            .outage_timeout("300ms")
            .start()
            .await;
        for id in ["first", "second"] {
            let answer = mesh.request("GET", "shop.test", "/").id(id).send().await;
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.header("x-mesh-error"), Some("H99"));
            assert_eq!(mesh.logged(id).await.error, "H99");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_sidecar_that_comes_late_is_found() {
    run(async {
        let mut mesh = Mesh::builder().without_sidecar().start().await;
        let request = mesh.request("GET", "shop.test", "/");
        let mut early = request.start().await.unwrap();
        mesh.start_meshd().await;
        // The request waited for it; there is no app yet.
        assert_eq!(early.response().await.unwrap().status(), 404);
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("web.1").await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}
