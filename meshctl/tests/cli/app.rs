//! `meshctl app`, `domain` and `maintenance`.

use dynomesh_proto::v1::{App, DynoState, Policy, Settings};

use crate::support::{Sidecar, meshctl};

fn app(sidecar: &Sidecar, name: &str) -> App {
    sidecar
        .mesh
        .app(name)
        .unwrap_or_else(|| panic!("no app {name}"))
}

#[test]
fn an_app_is_created_with_all_that_is_given() {
    let sidecar = Sidecar::start();
    let out = sidecar.ok(
        "app create shop --domain a.example --domain *.b.example --dyno 127.0.0.1:5001 \
         --dyno unix:/run/s.sock --policy least-load --queue-timeout 1m15s --wake",
    );
    assert_eq!(
        out,
        "app shop created with 2 domains and 2 dynos (version 1)\n"
    );
    let shop = app(&sidecar, "shop");
    assert_eq!(shop.domains, ["a.example", "*.b.example"]);
    let dynos: Vec<_> = shop
        .dynos
        .iter()
        .map(|d| (&*d.name, &*d.address, d.state()))
        .collect();
    assert_eq!(
        dynos,
        [
            ("web.1", "127.0.0.1:5001", DynoState::Up),
            ("web.2", "unix:/run/s.sock", DynoState::Up)
        ]
    );
    let want = Settings {
        policy: Policy::LeastLoad.into(),
        queue_timeout_ms: 75_000,
        wake: true,
        ..Default::default()
    };
    assert_eq!(shop.settings, Some(want));
}

#[test]
fn a_refused_creation_creates_nothing_and_says_so() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno 127.0.0.1:5001");
    let ran = sidecar.run("app create blog --dyno 127.0.0.1:5001");
    ran.fails(
        1,
        "already exists: address 127.0.0.1:5001; nothing was created",
    );
    assert!(ran.err.contains("--takeover"), "{ran:?}");
    assert!(sidecar.mesh.app("blog").is_none());
}

#[test]
fn lists_are_tables_or_one_array() {
    let sidecar = Sidecar::start();
    assert_eq!(sidecar.run("app list --json").json(), serde_json::json!([]));
    for name in ["shop", "shop-eu", "blog"] {
        sidecar.ok(&format!("app create {name} --dyno unix:/run/{name}"));
    }
    sidecar.mesh.load("shop-eu", "web.1", 3, 0);
    let out = sidecar.ok("app list --prefix shop");
    let names: Vec<_> = out
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["NAME", "shop", "shop-eu"]);
    assert!(!out.contains('\u{1b}'), "{out:?}");

    let busy = sidecar.run("app list --busy --json").json();
    assert_eq!(busy.as_array().map(Vec::len), Some(1));
    assert_eq!(busy[0]["app"]["name"], "shop-eu");
    assert_eq!(busy[0]["inFlight"], 3);
}

#[test]
fn every_page_is_listed_and_pages_that_are_too_large_are_halved() {
    let sidecar = Sidecar::start();
    for n in 0..250 {
        sidecar
            .mesh
            .apply(&create(&format!("app-{n:03}")))
            .expect("an app");
    }
    let all = || {
        sidecar
            .run("app list --json")
            .json()
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(all(), Some(250));
    sidecar.mesh.faults.lock().largest_page = Some(7);
    assert_eq!(all(), Some(250));
    assert_eq!(sidecar.ok("app list").lines().count(), 251);
}

fn create(name: &str) -> dynomesh_proto::v1::Change {
    let json = serde_json::json!({ "app": name, "operations": [{ "createApp": {} }] });
    serde_json::from_value(json).expect("a change")
}

#[test]
fn an_app_is_shown() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --domain a.example --dyno 127.0.0.1:5001");
    sidecar.mesh.load("shop", "web.1", 3, 17);
    let out = sidecar.ok("app show shop");
    assert!(
        out.contains("routed          17 (0 had to wait)\n"),
        "{out}"
    );
    let dyno = out
        .lines()
        .find(|line| line.starts_with("web.1"))
        .unwrap_or_default();
    let dyno: Vec<_> = dyno.split_whitespace().collect();
    assert_eq!(
        dyno,
        [
            "web.1",
            "up",
            "3",
            "0",
            "4",
            "-",
            "127.0.0.1:5001",
            "instance-1"
        ]
    );
    assert_eq!(
        sidecar.run("--json app show shop").json()["app"]["domains"][0],
        "a.example"
    );
    sidecar
        .run("app show nix")
        .fails(1, "not found: app nix; `meshctl app list`");
}

#[test]
fn set_changes_only_what_is_given() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --queue-depth 7 --wake --queue-headers");
    assert_eq!(
        sidecar.ok("app set shop --no-wake --max-requests 9 --idle-timeout 30m --scale-wait 1s --tap-rate 5"),
        "app shop set (version 2)\n"
    );
    let want = Settings {
        queue_depth: 7,
        max_requests: 9,
        queue_headers: true,
        idle_timeout_ms: 1_800_000,
        scale_wait_ms: 1_000,
        tap_rate: 5,
        ..Default::default()
    };
    assert_eq!(app(&sidecar, "shop").settings, Some(want));
    let out = sidecar.ok("app set shop --max-requests 9");
    assert_eq!(out, "app shop has these settings already (version 2)\n");
    sidecar.run("app set shop").fails(2, "nothing to set");
}

#[test]
fn set_keeps_what_someone_else_set_meanwhile() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    sidecar.mesh.faults.lock().races = 1;
    sidecar.ok("app set shop --queue-depth 5");
    let settings = app(&sidecar, "shop").settings.unwrap_or_default();
    assert_eq!((settings.queue_depth, settings.max_requests), (5, 1));

    sidecar.mesh.faults.lock().races = 2;
    sidecar
        .run("app set shop --queue-depth 6")
        .fails(1, "changed by someone else meanwhile");
    assert_eq!(
        app(&sidecar, "shop")
            .settings
            .unwrap_or_default()
            .queue_depth,
        5
    );
}

#[test]
fn nothing_is_deleted_unasked() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    sidecar
        .run_with("app delete shop", "y\n")
        .fails(2, "app delete shop --yes");
    assert!(sidecar.mesh.app("shop").is_some());
    assert_eq!(sidecar.ok("app delete shop --yes"), "app shop deleted\n");
    assert!(sidecar.mesh.app("shop").is_none());
    sidecar
        .run("app delete shop --yes")
        .fails(1, "not found: app shop");
}

#[test]
fn domains_come_and_go_together() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --domain taken.example");
    sidecar.ok("app create blog");
    sidecar
        .run("domain add blog a.example taken.example")
        .fails(1, "already exists: domain taken.example of app shop");
    assert!(app(&sidecar, "blog").domains.is_empty());
    sidecar.ok("domain add blog a.example b.example");
    let out = sidecar.ok("domain remove blog a.example");
    assert_eq!(out, "1 domain removed from app blog (version 3)\n");
    assert_eq!(app(&sidecar, "blog").domains, ["b.example"]);
    sidecar
        .run("domain remove blog a.example")
        .fails(1, "`meshctl app show blog`");
}

#[test]
fn maintenance_is_turned_on_and_off() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    assert_eq!(
        sidecar.ok("maintenance on shop"),
        "maintenance of app shop is on (version 2)\n"
    );
    assert!(app(&sidecar, "shop").maintenance);
    let off = sidecar.run("--json maintenance off shop").json();
    assert_eq!(off, serde_json::json!({ "app": "shop", "version": "3" }));
    assert!(!app(&sidecar, "shop").maintenance);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    use std::{io::Read as _, process::Stdio};
    let sidecar = Sidecar::start();
    // More than a pipe holds.
    for n in 0..2_000 {
        sidecar
            .mesh
            .apply(&create(&format!("a-long-name-for-an-app-{n:05}")))
            .expect("an app");
    }
    for line in ["app list", "app list --json", "export"] {
        let mut command = meshctl(&sidecar.socket());
        command
            .args(line.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command");
        let mut out = child.stdout.take().expect("a pipe");
        out.read_exact(&mut [0; 1]).expect("a byte");
        drop(out);
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}
