//! `meshctl status`, `meshctl nodes` and `meshctl completion`.

use std::{
    fs,
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::support::{Mesh, Sidecar, meshctl, run, runtime, serve, socket};

#[test]
fn ready_or_not() {
    let sidecar = Sidecar::start();
    assert!(
        sidecar
            .ok("status")
            .starts_with("ready           yes\nnode            node-1\n")
    );
    sidecar.mesh.faults.lock().not_ready = true;
    let ran = sidecar.run("status");
    ran.fails(3, "not ready");
    assert!(ran.out.starts_with("ready           no\n"), "{ran:?}");
    let ran = sidecar.run("status --json");
    assert_eq!((ran.code, ran.json()["node"].as_str()), (3, Some("node-1")));
}

#[test]
fn readiness_is_waited_for() {
    let sidecar = Sidecar::start();
    sidecar.mesh.faults.lock().not_ready = true;
    sidecar
        .run("status --wait 300ms")
        .fails(3, "was not ready within 300ms");
    let ran = thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run("status --wait 20s"));
        let faults = &sidecar.mesh.faults;
        let looks = faults.lock().status_looks;
        faults.until("two looks", |f| f.status_looks >= looks + 2);
        assert!(!run.is_finished());
        faults.lock().not_ready = false;
        run.join().expect("a run")
    });
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_sidecar_that_is_only_starting_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = socket(dir.path());
    let status = |wait: &str| {
        let mut command = meshctl(&socket);
        command.args(["status", "--wait", wait]);
        command
    };
    // There is no socket yet.
    let began = Instant::now();
    run(status("500ms"), "").fails(4, "is meshd running?");
    assert!(began.elapsed() > Duration::from_millis(300));
    // One is left of an earlier sidecar, which goes away while it is asked.
    let listener = UnixListener::bind(&socket).expect("a socket");
    let command = status("20s");
    let running = thread::spawn(move || run(command, ""));
    drop(listener.accept().expect("a look"));
    drop(listener);
    fs::remove_file(&socket).expect("the socket");
    let runtime = runtime();
    serve(&runtime, &socket, Arc::new(Mesh::default()));
    let ran = running.join().expect("a run");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn members_are_listed() {
    let sidecar = Sidecar::start();
    assert!(sidecar.ok("nodes").contains("\nnode-1 "));
    let nodes = sidecar.run("nodes --json").json();
    assert_eq!(nodes["members"][0]["name"].as_str(), Some("node-1"));
}

#[test]
fn completions_need_no_sidecar() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = meshctl("/nowhere".as_ref());
        command.args(["completion", shell]);
        let ran = run(command, "");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("takeover"), "{shell}");
    }
}

#[test]
fn a_dead_node_is_forgotten() {
    let sidecar = Sidecar::start();
    assert_eq!(sidecar.ok("nodes forget gone"), "node gone is forgotten\n");
    sidecar.run("nodes forget here").fails(1, "it is not gone");
}
