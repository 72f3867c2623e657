//! Traces: what it costs requests that some of them are traced, and that all are.
//!
//! Three meshes differ in nothing but that, one load on each, in turns.

use std::net::SocketAddr;

use dynomesh_proto::v1::Policy;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    beside::{compare, measured},
    changes,
    conf::Front,
    directory,
    nginx::Nginx,
    shot::shoot,
    sidecar::{Sidecar, router_socket},
};
use crate::collector::Collector;

const HEADING: &str = "Traces: one in a hundred, and all, beside none, one worker";

const CONNECTIONS: usize = 64;
const WAYS: [&str; 3] = ["none", "one in a hundred", "all"];
/// Share, and requests a second at most.
const SHARES: [Option<(&str, &str)>; 3] = [None, Some(("0.01", "500")), Some(("1", "100000"))];

struct Side {
    sidecar: Sidecar,
    nginx: Nginx,
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
    let host = changes::host(&name);
    let fire = async |at: usize| {
        let Side { sidecar, nginx } = &sides[at];
        let load = shoot(nginx.addresses[0], &host, CONNECTIONS, plan.shot);
        measured(nginx.worker, Some(sidecar.pid()), load).await
    };
    compare(HEADING, &WAYS, fire, plan, report).await?;
    if collector.spans().is_empty() {
        return Err("the collector was told nothing".into());
    }
    Ok(())
}
