//! Responses that Nginx keeps: a cache passes them on without asking anybody.

use e2e::{
    Mesh,
    client::Response,
    harness::{Program, run, wait},
};

const CACHE: &str = "proxy_cache_path DIR/cache keys_zone=responses:1m;";

/// In `location /`.
const CACHED: &str = "proxy_cache responses; proxy_cache_valid 200 1s;
    add_header X-Cache $upstream_cache_status always;";

fn cached(answer: &Response) -> &str {
    answer.header("x-cache").unwrap_or("-")
}

#[test]
fn a_cached_response_takes_no_dyno() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder()
            .http(CACHE)
            .location(CACHED)
            .with_dyno()
            .await;
        let target = "/header?Cache-Control=max-age=60";
        assert_eq!(cached(&mesh.get(&app.host(), target).await), "MISS");
        for _ in 0..3 {
            assert_eq!(cached(&mesh.get(&app.host(), target).await), "HIT");
        }
        assert_eq!(dyno.figures().await.total, 1);
        // Of a HEAD, a cache makes a GET.
        let answer = mesh.request("HEAD", &app.host(), "/body/1000").send().await;
        assert_eq!(cached(&answer), "MISS");
        assert_eq!(answer.header("content-length"), Some("1000"));
        mesh.control().until_idle().await;
        let answer = mesh.get(&app.host(), "/body/1000").await;
        assert_eq!((cached(&answer), answer.body.len()), ("HIT", 1_000));
        mesh.finish().await;
    });
}

#[test]
fn a_cache_is_no_way_around_the_mesh() {
    run(async {
        let (mesh, app, dyno) = Mesh::builder()
            .http(CACHE)
            .location(CACHED)
            .server("location /internal { internal; return 200 secret; }")
            .with_dyno()
            .await;
        for header in ["X-Accel-Redirect=/internal/x", "X-Mesh-Error=H14"] {
            let target = format!("/header?Cache-Control=max-age=60&{header}");
            for _ in 0..3 {
                let answer = mesh.get(&app.host(), &target).await;
                assert_ne!(cached(&answer), "HIT", "{header}");
                assert_eq!(answer.text(), "headers\n", "{header}");
                assert_eq!(answer.header("x-mesh-error"), None);
            }
        }
        assert_eq!(dyno.figures().await.total, 6);
        mesh.finish().await;
    });
}

/// Nginx has another response sent, and forgets what modules know of the request.
#[test]
fn a_response_that_is_not_what_the_client_has_is_still_known_to_be_of_its_dyno() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder()
            .http(CACHE)
            .location(CACHED)
            .with_dyno()
            .await;
        let target = "/header?Cache-Control=max-age=60&ETag=new";
        let request = mesh.request("GET", &app.host(), target).id("other");
        let answer = request.header("If-Match", "old").send().await;
        assert_eq!(answer.status(), 412, "{answer:?}");
        wait::until("the log says whose it was", async || {
            let log = mesh.access_log();
            let entry = log.iter().find(|entry| &*entry.id == "other");
            entry.is_some_and(|entry| *entry.app == *app.name && !entry.dyno.is_empty())
        })
        .await;
        mesh.finish().await;
    });
}

/// Nobody took too long.
fn says_nothing_of_time(mesh: &Mesh) {
    let log = mesh.error_log();
    assert!(!log.contains("timed out"), "{log}");
}

#[test]
fn an_old_response_outlasts_the_sidecar() {
    run(async {
        let (mut mesh, app, _dyno) = Mesh::builder()
            .http(CACHE)
            .location(&format!("{CACHED} proxy_cache_use_stale error;"))
            .outage_timeout("500ms")
            .with_dyno()
            .await;
        assert_eq!(cached(&mesh.get(&app.host(), "/body/9").await), "MISS");
        mesh.kill_meshd().await;
        wait::until("it is too old", async || {
            let request = mesh.request("GET", &app.host(), "/body/9").id("old");
            let answer = request.send().await;
            assert_eq!((answer.status(), answer.body.len()), (200, 9), "{answer:?}");
            assert_eq!(answer.header("x-mesh-error"), None);
            cached(&answer) == "STALE"
        })
        .await;
        wait::until("the log says why", async || {
            let log = mesh.access_log();
            log.iter().any(|e| (&*e.id, &*e.error) == ("old", "H99"))
        })
        .await;
        says_nothing_of_time(&mesh);
        mesh.start_meshd().await;
        mesh.finish().await;
    });
}

#[test]
fn an_update_in_the_background_may_fail() {
    run(async {
        let update = "proxy_cache_use_stale error updating; proxy_cache_background_update on;";
        let (mesh, app, mut dyno) = Mesh::builder()
            .http(CACHE)
            .location(&format!("{CACHED} {update}"))
            .with_dyno()
            .await;
        assert_eq!(cached(&mesh.get(&app.host(), "/body/9").await), "MISS");
        dyno.process.kill().await;
        wait::until("it was to be updated", async || {
            let answer = mesh.get(&app.host(), "/body/9").await;
            assert_eq!((answer.status(), answer.body.len()), (200, 9), "{answer:?}");
            mesh.error_log().contains("connect() failed")
        })
        .await;
        mesh.control().until_idle().await;
        // The update that the last of those began may still be under way.
        wait::until("an update has failed, and is over", async || {
            let answer = mesh.get(&app.host(), "/body/9").await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            cached(&answer) == "STALE"
        })
        .await;
        says_nothing_of_time(&mesh);
        mesh.finish().await;
    });
}

/// A unix socket refuses on the spot, before Nginx has a connection at all.
#[test]
fn an_old_response_is_there_for_a_refusal_on_the_spot() {
    run(async {
        for tries in [0, 1] {
            let mesh = Mesh::builder()
                .http(CACHE)
                .location(&format!(
                    "{CACHED} proxy_cache_use_stale error; proxy_next_upstream_tries {tries};"
                ))
                .start()
                .await;
            let app = mesh.app("shop").await;
            let program = Program {
                listen: format!("unix:{}/dyno.sock", mesh.dir().display()),
                ..app.program("web.1")
            };
            let mut dyno = app.run(program).await;
            assert_eq!(cached(&mesh.get(&app.host(), "/body/9").await), "MISS");
            dyno.process.kill().await;
            wait::until("it is too old", async || {
                let answer = mesh.get(&app.host(), "/body/9").await;
                assert_eq!((answer.status(), answer.body.len()), (200, 9), "{answer:?}");
                cached(&answer) == "STALE"
            })
            .await;
            says_nothing_of_time(&mesh);
            mesh.finish().await;
        }
    });
}

#[test]
fn an_old_response_is_better_than_none() {
    run(async {
        for (tries, use_stale) in [(0, "error"), (1, "error timeout"), (0, "http_503")] {
            let (mesh, app, mut dyno) = Mesh::builder()
                .http(CACHE)
                .location(&format!(
                    "{CACHED} proxy_cache_use_stale {use_stale}; proxy_next_upstream_tries {tries};"
                ))
                .with_dyno()
                .await;
            assert_eq!(cached(&mesh.get(&app.host(), "/body/9").await), "MISS");
            dyno.process.kill().await;
            wait::until("it is too old", async || {
                let answer = mesh.get(&app.host(), "/body/9").await;
                assert_eq!(answer.status(), 200, "{answer:?}");
                assert_eq!(answer.body.len(), 9);
                assert_eq!(answer.header("x-mesh-error"), None);
                cached(&answer) == "STALE"
            })
            .await;
            // What there is no old response of is refused as ever.
            let answer = mesh.get(&app.host(), "/body/8").await;
            assert_eq!(answer.status(), 503);
            assert_eq!(cached(&answer), "MISS");
            // And maintenance is meant.
            assert_eq!(mesh.ctl("maintenance on shop").await.code, 0);
            let answer = mesh.get(&app.host(), "/body/9").await;
            assert_eq!(answer.header("x-mesh-error"), Some("H80"), "{answer:?}");
            says_nothing_of_time(&mesh);
            mesh.finish().await;
        }
    });
}
