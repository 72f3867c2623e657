//! `meshctl app rules`.

use std::fs;

use dynomesh_proto::v1::Rules;

use crate::support::Sidecar;

const LINES: [&str; 2] = ["# old pages", "when path ^= /old then redirect 301 /new"];

#[test]
fn rules_are_set_shown_and_cleared() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("shop.rules");
    fs::write(&file, LINES.join("\n")).expect("a file");
    let out = sidecar.ok(&format!("app rules shop --file {}", file.display()));
    assert_eq!(out, "app shop has 2 lines of rules (version 2)\n");
    let shop = sidecar.mesh.app("shop").expect("the app");
    assert_eq!(shop.rules, LINES);
    let shown = sidecar.ok("app rules shop");
    assert_eq!(shown, LINES.join("\n") + "\n");
    let json = sidecar.ok("app rules shop --json");
    let rules: Rules = serde_json::from_str(&json).expect("JSON");
    assert_eq!(rules.lines, LINES);
    assert!(sidecar.ok("export").contains("putRules"));
    let out = sidecar.ok("app rules shop --clear");
    assert_eq!(out, "app shop has no rules (version 3)\n");
    assert_eq!(sidecar.ok("app rules shop"), "");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("shop.rules");
    fs::write(&file, "\nwrong\n").expect("a file");
    let ran = sidecar.run(&format!("app rules shop --file {}", file.display()));
    ran.fails(1, "line 2, column 1");
    sidecar
        .run("app rules shop --file /nowhere")
        .fails(2, "cannot read /nowhere");
    let ran = sidecar.run("app rules shop --clear --file x");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("cannot be used with"), "{ran:?}");
}
