//! A collector that is not as it should be.

use std::time::Duration;

use dynomesh_proto::otlp::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use e2e::{
    Mesh,
    collector::Collector,
    harness::{run, run_within, wait},
};
use tonic::{
    Status,
    transport::{Identity, ServerTlsConfig},
};

use super::{seen, traced, until_traced};
use crate::{echo::Echo, log::secure::Authority};

fn log(mesh: &Mesh) -> String {
    std::fs::read_to_string(mesh.dir().join("meshd.log")).unwrap()
}

#[test]
fn it_comes_back() {
    run_within(Duration::from_secs(90), async {
        let collector = Collector::start().await;
        let (mesh, app, _dyno) = traced(&collector, "1").web().with_dyno().await;
        until_traced(&mesh, &app).await;
        let address = collector.address;
        let (name, _) = seen(&Echo::of(&mesh.get(&app.host(), "/echo").await));
        collector.trace(&name).await;
        collector.stop().await;
        let mut names = Vec::new();
        for _ in 0..20 {
            let answer = mesh.get(&app.host(), "/echo").await;
            names.push(seen(&Echo::of(&answer)).0);
        }
        wait::until("it is missed", async || {
            log(&mesh).contains("does not take spans")
        })
        .await;
        let (late, _) = seen(&Echo::of(&mesh.get(&app.host(), "/echo").await));
        let collector = Collector::at(address).await;
        // What was told meanwhile as well: it is not away for long.
        for name in names.iter().chain([&late]) {
            collector.trace(name).await;
        }
        wait::until("that is said", async || {
            log(&mesh).contains("takes spans again")
        })
        .await;
        assert_eq!(log(&mesh).matches("does not take spans").count(), 1);
        let lost = mesh.metrics().await;
        assert_eq!(lost.sum("dynomesh_spans_total", &[("result", "lost")]), 0.0);
        mesh.finish().await;
    });
}

#[test]
fn it_refuses() {
    run(async {
        let place = "127.0.0.1:0".parse().unwrap();
        let collector = Collector::with(place, None, |_| {
            Err(Status::permission_denied("no such\r\nteam"))
        })
        .await;
        let (mesh, app, _dyno) = traced(&collector, "1").web().with_dyno().await;
        until_traced(&mesh, &app).await;
        for _ in 0..5 {
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        }
        let refused = [("result", "refused")];
        mesh.until_metrics("they are counted", |metrics| {
            metrics.sum("dynomesh_spans_total", &refused) >= 10.0
        })
        .await;
        let said = log(&mesh);
        assert!(said.contains("PermissionDenied: no suchteam"), "{said}");
        assert_eq!(said.matches("refuses spans").count(), 1);
        mesh.finish().await;
    });
}

#[test]
fn it_takes_a_part() {
    run(async {
        let place = "127.0.0.1:0".parse().unwrap();
        let collector = Collector::with(place, None, |_| {
            Ok(ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: 1,
                    error_message: "too many".into(),
                }),
            })
        })
        .await;
        let (mesh, app, _dyno) = traced(&collector, "1").web().with_dyno().await;
        until_traced(&mesh, &app).await;
        let (name, _) = seen(&Echo::of(&mesh.get(&app.host(), "/echo").await));
        collector.trace(&name).await;
        let of = "dynomesh_spans_total";
        let metrics = mesh
            .until_metrics("all are counted", |metrics| {
                metrics.sum(of, &[]) >= collector.spans().len() as f64
            })
            .await;
        let refused = metrics.sum(of, &[("result", "refused")]);
        assert!(refused >= 1.0 && refused <= collector.batches() as f64);
        mesh.finish().await;
    });
}

#[test]
fn it_is_far_away_and_wants_to_know_who_comes() {
    run(async {
        let authority = Authority::new("one");
        let (chain, key) = authority.issue();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key));
        let place = "127.0.0.1:0".parse().unwrap();
        let collector = Collector::with(place, Some(tls), |_| {
            Ok(ExportTraceServiceResponse::default())
        })
        .await;
        let url = format!("https://localhost:{}", collector.address.port());
        let more = ["--otlp-endpoint", &url, "--otlp-sample", "1"];
        let headers = "# ours\nX-Team: s3cret\n\nauthorization: Bearer s3cret\n";
        let (mesh, app, _dyno) = Mesh::builder()
            .sidecar(&more)
            .sidecar(&["--log-level", "trace"])
            .file("--otlp-tls-ca", "ca.pem", authority.pem())
            .file("--otlp-headers-file", "headers", headers.to_owned())
            .with_dyno()
            .await;
        until_traced(&mesh, &app).await;
        let (name, _) = seen(&Echo::of(&mesh.get(&app.host(), "/echo").await));
        collector.trace(&name).await;
        assert_eq!(collector.header("x-team").as_deref(), Some("s3cret"));
        assert_eq!(
            collector.header("authorization").as_deref(),
            Some("Bearer s3cret")
        );
        assert!(!log(&mesh).contains("s3cret"));
        mesh.finish().await;
    });
}
