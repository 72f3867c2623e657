//! A panic in the module costs one request at the most, and is told in one line.

use std::{fs, path::PathBuf};

use e2e::{
    App, Mesh,
    client::Response,
    harness::{paths, run, wait},
};

/// Has the faulty module panic at the place that `fault` in the mesh's directory names.
const ENV: &str = "env DYNOMESH_FAULT=DIR/fault;";

/// What the client sees of a panic.
enum Seen {
    Nothing,
    /// Whatever went wrong, it is the platform's fault.
    H99,
    /// Nginx's own page.
    Error,
    /// The connection is closed.
    Break,
}

const PLACES: [(&str, Seen); 10] = [
    ("get", Seen::H99),
    ("deliver", Seen::H99),
    ("resume", Seen::H99),
    ("process header", Seen::Error),
    ("header filter", Seen::Break),
    ("body filter", Seen::Break),
    ("free", Seen::Nothing),
    ("variable", Seen::Nothing),
    // The link is made anew, and who waits asks again.
    ("link", Seen::Nothing),
    ("transmit", Seen::Nothing),
];

fn fault(mesh: &Mesh) -> PathBuf {
    mesh.dir().join("fault")
}

async fn panic_at(mesh: &Mesh, app: &App, place: &str) -> std::io::Result<Response> {
    fs::write(fault(mesh), place).unwrap();
    let answer = mesh.request("GET", &app.host(), "/").try_send().await;
    wait::until("it has panicked", async || !fault(mesh).exists()).await;
    answer
}

#[test]
fn a_panic_is_contained_wherever_it_is() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder().faulty().main(ENV).with_dyno().await;
        let workers = mesh.nginx.workers();
        for (place, seen) in PLACES {
            let answer = panic_at(&mesh, &app, place).await;
            match seen {
                Seen::Break => assert!(!answer.is_ok_and(|a| a.complete), "{place}"),
                Seen::Nothing => assert_eq!(answer.unwrap().status(), 200, "{place}"),
                Seen::Error => assert_eq!(answer.unwrap().status(), 500, "{place}"),
                Seen::H99 => {
                    let answer = answer.unwrap();
                    assert_eq!(answer.status(), 503, "{place}");
                    assert_eq!(answer.header("x-mesh-error"), Some("H99"), "{place}");
                }
            }
            let log = mesh.error_log();
            let words = format!(", please report it: on purpose: {place}");
            let said: Vec<_> = log.lines().filter(|line| line.ends_with(&words)).collect();
            assert_eq!(said.len(), 1, "{place}: {log}");
            assert!(said[0].contains("[alert]"), "{said:?}");
            // Nothing is left of it: not in the sidecar, not in the worker.
            mesh.control().until_idle().await;
            for _ in 0..3 {
                let answer = mesh.get(&app.host(), "/").await;
                assert_eq!(answer.status(), 200, "after {place}");
            }
        }
        let log = mesh.error_log();
        assert_eq!(log.matches("panic").count(), PLACES.len(), "{log}");
        assert_eq!(mesh.nginx.workers(), workers);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish_with_alerts(&["on purpose"]).await;
    });
}

#[test]
fn the_module_that_is_shipped_does_not_panic_on_demand() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder().main(ENV).with_dyno().await;
        for (place, _) in PLACES {
            fs::write(fault(&mesh), place).unwrap();
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
            assert!(fault(&mesh).exists(), "{place}");
        }
        mesh.finish().await;
    });
    let knows = |module: PathBuf| {
        let bytes = fs::read(module).unwrap();
        memchr::memmem::find(&bytes, b"on purpose").is_some()
    };
    assert!(knows(paths::faulty_module()));
    assert!(!knows(paths::module()));
}
