//! Figures are what clients and the access log say.

use std::{collections::BTreeMap, time::Duration};

use dynomesh_proto::v1::{Policy, Settings, operation::Kind};
use e2e::{
    App, Mesh,
    harness::{Metrics, Signal, closed_port, run, run_within, wait},
    load::{self, Options},
};

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

/// What the access log says, in the words of the metrics.
fn logged(mesh: &Mesh) -> BTreeMap<[String; 3], u64> {
    let mut all = BTreeMap::new();
    for entry in mesh.access_log() {
        let app = match &*entry.app {
            "" | "-" => "_none",
            app => app,
        };
        let error = entry.error.trim_start_matches('-');
        let key = [app, &entry.status, error].map(str::to_owned);
        *all.entry(key).or_default() += 1;
    }
    all
}

/// So many requests for `/`.
async fn load(mesh: &Mesh, app: &App, connections: usize, requests: u64) -> load::Report {
    load::run(Options {
        connections,
        requests: Some(requests),
        ..Options::new(mesh.nginx.address, &app.host())
    })
    .await
}

#[test]
fn every_request_is_counted_as_it_is_logged() {
    run(async {
        let mesh = Mesh::builder()
            .web()
            .workers(2)
            // Of the silent ones alone: what is held below may take its time.
            .server("location /hang { PASS proxy_read_timeout 300ms; }")
            .start()
            .await;
        let shop = mesh.app_with("shop", open()).await;
        let dyno = shop.dyno("web.1").await;
        let empty = mesh.app("empty").await;
        let gone = mesh.app("gone").await;
        gone.register("web.1", &closed_port().address).await;
        let shut = mesh.app("shut").await;
        shut.apply(vec![Kind::SetMaintenance(true)]).await;

        let report = load(&mesh, &shop, 16, 4_000).await;
        assert_eq!(report.failures(), 0, "{report:?}");
        for target in [
            "/status/404",
            "/status/500",
            "/hang",
            "/close",
            "/bad-header",
            "/sleep/120",
        ] {
            mesh.get(&shop.host(), target).await;
        }
        // It breaks off after its beginning.
        let _ = mesh
            .request("GET", &shop.host(), "/close-mid-body")
            .try_send()
            .await;
        for (app, status) in [(&empty, 503), (&gone, 503), (&shut, 503)] {
            assert_eq!(mesh.get(&app.host(), "/").await.status(), status);
        }
        assert_eq!(mesh.get("nobody.test", "/").await.status(), 404);
        // The client leaves.
        let request = mesh.request("GET", &shop.host(), "/hold").id("left");
        let leaves = request.start().await.unwrap();
        wait::until("it is there", async || dyno.times_seen("left").await == 1).await;
        leaves.abort();
        mesh.logged("left").await;
        dyno.release().await;

        let sum = logged(&mesh).values().sum::<u64>();
        let metrics = mesh
            .until_metrics("all requests are counted", |metrics| {
                metrics.requests().values().sum::<u64>() == sum
            })
            .await;
        assert_eq!(metrics.requests(), logged(&mesh));
        let seen: Vec<_> = metrics
            .requests()
            .into_keys()
            .map(|[.., error]| error)
            .collect();
        for code in [
            "H12", "H13", "H17", "H18", "H21", "H27", "H80", "H81", "no-app",
        ] {
            assert!(seen.iter().any(|error| error == code), "{code}: {seen:?}");
        }
        spreads(&metrics, 4_000);
        mesh.finish().await;
    });
}

/// Times and sizes are plausible, and of as many requests.
fn spreads(metrics: &Metrics, least: u64) {
    let shop = [("app", "shop")];
    for name in ["dynomesh_queue_wait_seconds", "dynomesh_service_seconds"] {
        let count = metrics.sum(&format!("{name}_count"), &shop);
        let all = [("app", "shop"), ("le", "+Inf")];
        let bucket = format!("{name}_bucket");
        assert!(count >= least as f64, "{name}: {count}");
        assert_eq!(metrics.sum(&bucket, &all), count, "{name}");
        let mut before = 0.0;
        for (_, value) in metrics.all(&bucket, &shop) {
            assert!(value >= before, "{name} is not cumulative");
            before = value;
        }
    }
    // One slept, one hung.
    let slow = metrics.sum("dynomesh_service_seconds_sum", &shop);
    assert!(slow >= 0.42, "{slow}");
    let sent = metrics.sum("dynomesh_sent_bytes_total", &shop);
    let received = metrics.sum("dynomesh_received_bytes_total", &shop);
    assert!(
        sent > received && received > 4_000.0 * 30.0,
        "{sent} {received}"
    );
}

#[test]
fn nothing_is_lost_when_nginx_is_reloaded() {
    run_within(Duration::from_secs(60), async {
        let mut mesh = Mesh::builder().web().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(2).await;
        let options = Options {
            connections: 8,
            ..Options::new(mesh.nginx.address, &app.host())
        };
        let load = load::Load::start(options);
        for _ in 0..3 {
            let so_far = mesh.metrics().await.requests_of("shop");
            mesh.until_metrics("requests go on", |metrics| {
                metrics.requests_of("shop") > so_far
            })
            .await;
            mesh.nginx.reload().await;
        }
        load.stop().await;
        let logged = logged(&mesh).values().sum::<u64>();
        mesh.until_metrics("all requests are counted", |metrics| {
            metrics.requests_of("shop") == logged
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn a_sidecar_that_is_back_counts_no_request_again() {
    run_within(Duration::from_secs(60), async {
        let mut mesh = Mesh::builder().web().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(2).await;
        load(&mesh, &app, 4, 500).await;
        let counted = |requests| {
            move |metrics: &Metrics| {
                assert!(
                    metrics.requests_of("shop") <= requests,
                    "some are counted twice"
                );
                metrics.requests_of("shop") == requests
            }
        };
        mesh.until_metrics("the first are counted", counted(500))
            .await;

        // It hangs until its workers have given it up: they tell it again.
        load(&mesh, &app, 4, 200).await;
        mesh.signal_meshd(Signal::STOP);
        wait::until("the workers have given it up", async || {
            mesh.error_log().matches("is out of reach").count() == 2
        })
        .await;
        mesh.signal_meshd(Signal::CONT);
        mesh.until_metrics("the next are counted", counted(700))
            .await;

        // Figures begin anew with the process; what it was not told is not lost.
        mesh.kill_meshd().await;
        let late = tokio::spawn({
            let request = mesh.request("GET", &app.host(), "/");
            async move { request.send().await.status() }
        });
        mesh.start_meshd().await;
        assert_eq!(late.await.unwrap(), 200);
        load(&mesh, &app, 4, 99).await;
        mesh.until_metrics("the last are counted", counted(100))
            .await;
        mesh.finish().await;
    });
}

#[test]
fn apps_without_a_seat_are_added_up() {
    run(async {
        let mesh = Mesh::builder()
            .web()
            .sidecar(&["--metrics-apps", "1"])
            .start()
            .await;
        let mut apps = Vec::new();
        for name in ["a", "b", "c"] {
            let app = mesh.app(name).await;
            apps.push((app.dyno("web.1").await, app));
        }
        for (_, app) in &apps {
            load(&mesh, app, 1, 10).await;
        }
        let metrics = mesh
            .until_metrics("all requests are counted", |metrics| {
                metrics.requests().values().sum::<u64>() == 30
            })
            .await;
        let own: Vec<_> = metrics
            .all("dynomesh_app_in_flight", &[])
            .map(|(labels, _)| labels["app"].clone())
            .collect();
        assert_eq!(own.len(), 2, "{own:?}");
        assert_eq!(metrics.requests_of("_other"), 20);
        let up = |app| metrics.sum("dynomesh_app_dynos", &[("app", app), ("state", "up")]);
        assert_eq!((up(&own[0]), up("_other")), (1.0, 2.0));
        mesh.finish().await;
    });
}

#[test]
fn what_goes_on_is_seen() {
    run(async {
        let mesh = Mesh::builder().web().workers(2).start().await;
        let app = mesh.app("shop").await;
        let dyno = app.dyno("web.1").await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waits = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        let metrics = mesh.metrics().await;
        let shop = |name: &str| metrics.sum(name, &[("app", "shop")]);
        assert_eq!(shop("dynomesh_app_in_flight"), 1.0);
        assert_eq!(shop("dynomesh_app_waiting"), 1.0);
        assert_eq!(shop("dynomesh_app_capacity"), 1.0);
        assert!(shop("dynomesh_app_oldest_wait_seconds") > 0.0);
        for (name, value) in [
            ("dynomesh_ready", 1.0),
            ("dynomesh_apps", 1.0),
            ("dynomesh_dynos", 1.0),
            ("dynomesh_workers", 2.0),
            ("dynomesh_leases", 1.0),
            ("dynomesh_waiting", 1.0),
            ("dynomesh_build_info", 1.0),
        ] {
            assert_eq!(metrics.sum(name, &[]), value, "{name}");
        }
        assert!(metrics.sum("dynomesh_store_commits_total", &[("result", "made")]) >= 2.0);
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(waits.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}
