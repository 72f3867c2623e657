//! `meshctl app page`.

use std::fs;

use dynomesh_proto::v1::Page;

use crate::support::Sidecar;

const TEXT: &str = "<h1>Back soon</h1>\n{{code}}";

#[test]
fn pages_are_set_listed_shown_and_cleared() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("page.html");
    fs::write(&file, TEXT).expect("a file");
    let out = sidecar.ok(&format!(
        "app page shop --code H80 --file {}",
        file.display()
    ));
    assert_eq!(out, "app shop has a text/html page for H80 (version 2)\n");
    let json = format!(
        "app page shop --code error --type application/json --file {}",
        file.display()
    );
    sidecar.ok(&json);
    let shop = sidecar.mesh.app("shop").expect("the app");
    let codes: Vec<_> = shop.pages.iter().map(|page| &*page.code).collect();
    assert_eq!(codes, ["H80", "error"]);
    let list = sidecar.ok("app page shop");
    assert!(
        list.contains("H80") && list.contains("application/json"),
        "{list}"
    );
    assert!(!list.contains("Back soon"), "{list}");
    assert_eq!(sidecar.ok("app page shop --code H80"), TEXT);
    let page = sidecar.ok("app page shop --code H80 --json");
    let page: Page = serde_json::from_str(&page).expect("JSON");
    assert_eq!(page.body, TEXT);
    assert!(sidecar.ok("app show shop").contains("H80, error"));
    assert!(sidecar.ok("export").contains("Back soon"));
    let out = sidecar.ok("app page shop --code H80 --clear");
    assert_eq!(out, "app shop has no text/html page for H80 (version 4)\n");
    let ran = sidecar.run("app page shop --code H80");
    ran.fails(1, "has no text/html page for H80");
}

#[test]
fn what_can_be_no_page_is_said_before_anything_is_sent() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("page.html");
    let put = format!("app page shop --code H80 --file {}", file.display());
    sidecar.run(&put).fails(2, "cannot read");
    fs::write(&file, "").expect("a file");
    sidecar
        .run(&put)
        .fails(2, "is empty, --clear removes a page");
    fs::write(&file, [0xff]).expect("a file");
    sidecar.run(&put).fails(2, "is not UTF-8");
    let ran = sidecar.run("app page shop --file x");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(sidecar.mesh.app("shop").expect("the app").pages.is_empty());
}
