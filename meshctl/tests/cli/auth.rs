//! `meshctl app auth`.

use std::fs;

use dynomesh_proto::v1::Auth;

use crate::support::Sidecar;

const LINES: [&str; 2] = ["basic realm Shop", "user ann $2b$04$x"];

#[test]
fn who_may_use_an_app_is_set_shown_and_cleared() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("shop.auth");
    fs::write(&file, LINES.join("\n")).expect("a file");
    let out = sidecar.ok(&format!("app auth shop --file {}", file.display()));
    assert_eq!(out, "app shop has 2 lines of auth (version 2)\n");
    let shop = sidecar.mesh.app("shop").expect("the app");
    assert_eq!(shop.auth, LINES);
    assert_eq!(sidecar.ok("app auth shop"), LINES.join("\n") + "\n");
    let json = sidecar.ok("app auth shop --json");
    let auth: Auth = serde_json::from_str(&json).expect("JSON");
    assert_eq!(auth.lines, LINES);
    // As much as a backup needs, and nowhere else.
    assert!(sidecar.ok("export").contains("putAuth"));
    for command in ["app list", "app show shop", "top --once"] {
        assert!(!sidecar.run(command).out.contains("$2b$"), "{command}");
    }
    let out = sidecar.ok("app auth shop --clear");
    assert_eq!(out, "anybody may use app shop (version 3)\n");
    assert_eq!(sidecar.ok("app auth shop"), "");
}

#[test]
fn keys_are_replaced_alone() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let (file, keys) = (dir.path().join("shop.auth"), dir.path().join("jwks.json"));
    fs::write(&file, "jwt issuer a audience b").expect("a file");
    fs::write(&keys, "{\n  \"keys\": [1]\n}\n").expect("a file");
    let (file, keys) = (file.display(), keys.display());
    let rotate = format!("app auth shop --keys {keys}");
    sidecar.run(&rotate).fails(2, "--file");
    sidecar.ok(&format!("app auth shop --file {file} --keys {keys}"));
    let lines = ["jwt issuer a audience b", "keys {\"keys\":[1]}"];
    assert_eq!(sidecar.mesh.app("shop").expect("the app").auth, lines);
    fs::write(dir.path().join("jwks.json"), "{\"keys\":[2]}").expect("a file");
    sidecar.ok(&rotate);
    let lines = ["jwt issuer a audience b", "keys {\"keys\":[2]}"];
    assert_eq!(sidecar.mesh.app("shop").expect("the app").auth, lines);
    fs::write(dir.path().join("jwks.json"), "{").expect("a file");
    sidecar.run(&rotate).fails(2, "is no JSON");
}
