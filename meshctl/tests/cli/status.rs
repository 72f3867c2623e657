//! `meshctl status` and `meshctl completion`.

use std::{sync::Arc, thread, time::Duration};

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
        thread::sleep(Duration::from_millis(300));
        sidecar.mesh.faults.lock().not_ready = false;
        run.join().expect("a run")
    });
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_sidecar_that_is_only_starting_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = socket(dir.path());
    let mut command = meshctl(&socket);
    command.args(["status", "--wait", "20s"]);
    let running = thread::spawn(move || run(command, ""));
    thread::sleep(Duration::from_millis(300));
    let runtime = runtime();
    serve(&runtime, &socket, Arc::new(Mesh::default()));
    let ran = running.join().expect("a run");
    assert_eq!(ran.code, 0, "{ran:?}");
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
