//! So many are traced, and no more.

use std::time::Instant;

use dynomesh_proto::otlp::SpanKind;
use e2e::{
    collector::Collector,
    harness::run,
    load::{self, Options},
};

use super::{traced, until_traced};

#[test]
fn there_is_a_limit_and_nobody_feels_it() {
    run(async {
        const REQUESTS: u64 = 2_000;
        const RATE: u64 = 40;
        let collector = Collector::start().await;
        let mesh = traced(&collector, "1")
            .sidecar(&["--otlp-rate", "40"])
            .web()
            .workers(2);
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        mesh.until_sessions(2).await;
        until_traced(&mesh, &app).await;
        let began = Instant::now();
        let report = load::run(Options {
            connections: 8,
            requests: Some(REQUESTS),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.failures(), 0, "{report:?}");
        let of = "dynomesh_traced_requests_total";
        let served = || {
            let spans = collector.spans();
            let served = spans.iter().filter(|span| span.kind() == SpanKind::Server);
            served.count() as f64
        };
        // A worker may have served some before it knew.
        let metrics = mesh
            .until_metrics("all are told, and the collector has them", |metrics| {
                let told = metrics.sum(of, &[("result", "told")]);
                metrics.sum(of, &[]) >= REQUESTS as f64 / 2.0 && told == served()
            })
            .await;
        assert_eq!(metrics.sum(of, &[("result", "lost")]), 0.0);
        // A second's worth at once, of each worker; and what there was before.
        let most = RATE * 3 + began.elapsed().as_millis() as u64 * RATE / 1_000;
        let told = metrics.sum(of, &[("result", "told")]);
        assert!((1.0..=most as f64).contains(&told), "{told} of {most}");
        let log = std::fs::read_to_string(mesh.dir().join("meshd.log")).unwrap();
        assert_eq!(log.matches("than otlp-rate lets").count(), 1, "{log}");
        mesh.finish().await;
    });
}

#[test]
fn chance_decides_about_a_share() {
    run(async {
        const REQUESTS: u64 = 4_000;
        let collector = Collector::start().await;
        let mesh = traced(&collector, "0.1")
            .sidecar(&["--otlp-rate", "100000"])
            .web();
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        until_traced(&mesh, &app).await;
        let report = load::run(Options {
            connections: 4,
            requests: Some(REQUESTS),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.failures(), 0, "{report:?}");
        // All have ended, and the last are told of within a moment.
        let of = "dynomesh_traced_requests_total";
        let metrics = mesh
            .until_metrics("about a tenth", |metrics| metrics.sum(of, &[]) > 300.0)
            .await;
        // 400, give or take five times what is usual.
        assert!(metrics.sum(of, &[]) < 500.0, "{}", metrics.text);
        mesh.finish().await;
    });
}
