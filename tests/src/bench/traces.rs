//! Traces: what it costs requests that some of them are traced, and that all are.
//!
//! Three meshes differ in nothing but that, one load on each, in turns.

use std::net::SocketAddr;

use dynomesh_proto::v1::Policy;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    changes,
    conf::Front,
    cpu, directory,
    nginx::Nginx,
    progress,
    report::Row,
    shot::{Shot, shoot},
    sidecar::{Sidecar, router_socket},
    unit::Unit,
};
use crate::collector::Collector;

const HEADING: &str = "Traces: one in a hundred, and all, beside none, one worker";

const CONNECTIONS: usize = 64;
/// Share, and requests a second at most.
const SHARES: [Option<(&str, &str)>; 3] = [None, Some(("0.01", "500")), Some(("1", "100000"))];

struct Side {
    sidecar: Sidecar,
    nginx: Nginx,
}

/// One load.
struct Figures {
    shot: Shot,
    /// CPU of the worker and of the sidecar per request, in µs.
    worker: f64,
    sidecar: f64,
}

impl Side {
    async fn measure(&self, host: &str, plan: &Plan) -> Result<Figures, Failure> {
        let spent = || -> Result<[f64; 2], Failure> {
            let both = [
                cpu::spent(self.nginx.worker)?,
                cpu::spent(self.sidecar.pid())?,
            ];
            Ok(both.map(|time| time.as_secs_f64() * 1e6))
        };
        let before = spent()?;
        let shot = shoot(self.nginx.addresses[0], host, CONNECTIONS, plan.shot).await?;
        let after = spent()?;
        let each = |at: usize| (after[at] - before[at]) / shot.ended as f64;
        Ok(Figures {
            worker: each(0),
            sidecar: each(1),
            shot,
        })
    }
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let backend = Backend::start(&dir.path().join("dynos"), 1).await?;
    let collector = Collector::start().await;
    let name = changes::filler(0);
    let mut sides = Vec::new();
    for (at, share) in SHARES.into_iter().enumerate() {
        let dir = dir.path().join(at.to_string());
        let more = share.map(|(share, rate)| {
            let url = collector.url();
            let more = [
                "--otlp-endpoint",
                &url,
                "--otlp-sample",
                share,
                "--otlp-rate",
                rate,
            ];
            more.map(str::to_owned).to_vec()
        });
        let sidecar = Sidecar::start_with(&dir, more.unwrap_or_default()).await?;
        let settings = changes::policy(Policy::LeastLoad, 0);
        let app = changes::app(&name, settings, backend.dynos(0));
        sidecar.load(vec![app]).await?;
        let (front, socket) = (dir.join("front"), router_socket(&dir));
        let conf = |listen: &[SocketAddr]| Front::Mesh(&socket).text(&front, listen[0], None);
        let nginx = Nginx::start(&front, 1, conf).await?;
        sidecar.until_sessions(1).await?;
        sides.push(Side { sidecar, nginx });
    }
    progress(&format!("traces: {} turns", plan.turns));
    let host = changes::host(&name);
    let (mut turns, mut failed) = (Vec::new(), 0);
    for turn in 0..=plan.turns {
        let mut figures = [const { None }; SHARES.len()];
        for step in 0..SHARES.len() {
            let at = (turn + step) % SHARES.len();
            let measured = sides[at].measure(&host, plan).await?;
            failed += measured.shot.failures();
            if measured.shot.failures() > 0 {
                report.note(format!("traces: {}", measured.shot.words()));
            }
            figures[at] = Some(measured);
        }
        // The first turn opens the connections to the dynos.
        if let ([Some(none), Some(some), Some(all)], 1..) = (figures, turn) {
            turns.push([none, some, all]);
        }
    }
    rows(&turns, failed, report);
    if collector.spans().is_empty() {
        return Err("the collector was told nothing".into());
    }
    Ok(())
}

fn rows(turns: &[[Figures; SHARES.len()]], failed: u64, report: &mut Report) {
    let row = |what: String, unit, figure: &dyn Fn(&[Figures; SHARES.len()]) -> f64| {
        Row::new(HEADING, what, unit, turns.iter().map(figure).collect())
    };
    report.add(row("none: rps".to_owned(), Unit::PerSecond, &|[
        none,
        ..,
    ]| {
        none.shot.rps
    }));
    for (at, what) in [(1, "one in a hundred"), (2, "all")] {
        report.add(row(format!("{what}: rps"), Unit::Times, &|turn| {
            turn[at].shot.rps / turn[0].shot.rps
        }));
        report.add(row(format!("{what}: worker CPU"), Unit::Times, &|turn| {
            turn[at].worker / turn[0].worker
        }));
        report.add(row(
            format!("{what}: sidecar CPU added"),
            Unit::Micros,
            &|turn| turn[at].sidecar - turn[0].sidecar,
        ));
    }
    report.add(Row::new(HEADING, "failed requests", Unit::Count, vec![failed as f64]).at_most(0.0));
}
