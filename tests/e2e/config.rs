//! What Nginx refuses to start with, and that it names the directive.

use e2e::{
    Mesh,
    harness::{run, test_config},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
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

/// Right, or right with something behind.
fn value(random: &mut SmallRng) -> String {
    const STARTS: [&str; 8] = [
        "unix:/run/mesh.sock",
        "unix:/",
        "unix:",
        "",
        "5s",
        "1m30s",
        "500ms",
        "7",
    ];
    const PIECES: [&str; 16] = [
        "/",
        "..",
        "0",
        "60",
        "4294967296",
        "18446744073709551616",
        "ms",
        "m",
        "d",
        "-",
        " ",
        "\"",
        "\\",
        "$host",
        "{;}#",
        "\u{1}\tä\u{202e}",
    ];
    let mut text = STARTS[random.random_range(0..STARTS.len())].to_owned();
    for _ in 0..random.random_range(0..4) {
        text += &PIECES[random.random_range(0..PIECES.len())].repeat(random.random_range(1..9));
    }
    text
}

#[test]
fn any_value_is_taken_or_refused_by_name() {
    let mut random = SmallRng::seed_from_u64(1);
    let dir = tempdir().unwrap();
    let mut taken = 0;
    for _ in 0..90 {
        let names = ["mesh_sidecar", "mesh_outage_timeout", "mesh_linger_timeout"];
        let name = names[random.random_range(0..names.len())];
        let value = value(&mut random);
        // What Nginx itself has to say about words is not the point.
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!("{name} \"{quoted}\";");
        let (good, words) = test_config(dir.path(), &line);
        taken += u32::from(good);
        let refused = words.contains("[emerg]") && words.contains(&format!("\"{name}\" directive"));
        assert!(good != refused, "{line}: {words}");
        assert!(!words.contains("panicked"), "{line}: {words}");
    }
    // Both kinds, or this has tested nothing.
    assert!((5..70).contains(&taken), "{taken}");
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
