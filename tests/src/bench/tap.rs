//! Taps: what it costs an app's requests that somebody looks at them.
//!
//! One app, one load: nobody looks, `meshctl tap` does, and it does for every single
//! request, in turns.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

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
use crate::harness::{Process, Signal, paths};

const HEADING: &str = "Taps: one app that is looked at, beside the same that is not, one worker";

const CONNECTIONS: usize = 64;
/// How it is looked at: not at all, as usual, and at everything.
const LOOKS: [Option<&str>; 3] = [None, Some("0"), Some("100000")];

/// One load.
struct Figures {
    shot: Shot,
    /// CPU of the worker per request, in µs.
    worker: f64,
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let backend = Backend::start(&dir.path().join("dynos"), 1).await?;
    let sidecar = Sidecar::start(dir.path()).await?;
    let name = changes::filler(0);
    let settings = changes::policy(Policy::LeastLoad, 0);
    let app = changes::app(&name, settings, backend.dynos(0));
    sidecar.load(vec![app]).await?;
    let (front, socket) = (dir.path().join("front"), router_socket(dir.path()));
    let conf = |listen: &[SocketAddr]| Front::Mesh(&socket).text(&front, listen[0], None);
    let nginx = Nginx::start(&front, 1, conf).await?;
    sidecar.until_sessions(1).await?;
    progress(&format!("taps: {} turns", plan.turns));
    let (mut turns, mut failed) = (Vec::new(), 0);
    for turn in 0..=plan.turns {
        let mut figures = [const { None }; LOOKS.len()];
        for step in 0..LOOKS.len() {
            let at = (turn + step) % LOOKS.len();
            // It ends with the load.
            let _tap = match LOOKS[at] {
                Some(rate) => Some(tap(dir.path(), &name, rate)?),
                None => None,
            };
            let before = cpu::spent(nginx.worker)?;
            let host = changes::host(&name);
            let shot = shoot(nginx.addresses[0], &host, CONNECTIONS, plan.shot).await?;
            let spent = (cpu::spent(nginx.worker)? - before).as_secs_f64() * 1e6;
            failed += shot.failures();
            if shot.failures() > 0 {
                report.note(format!("taps: {}", shot.words()));
            }
            let worker = spent / shot.ended as f64;
            figures[at] = Some(Figures { shot, worker });
        }
        // The first turn opens the connections to the dynos.
        if let ([Some(none), Some(usual), Some(all)], 1..) = (figures, turn) {
            turns.push([none, usual, all]);
        }
    }
    rows(&turns, failed, report);
    Ok(())
}

/// Somebody looks; what comes is thrown away.
fn tap(dir: &Path, app: &str, rate: &str) -> Result<Process, Failure> {
    let mut command = Command::new(paths::meshctl());
    command
        .arg("--socket")
        .arg(dir.join("control.sock"))
        .args(["tap", app, "--rate", rate])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(Process::start(command, Signal::KILL)?)
}

fn rows(turns: &[[Figures; LOOKS.len()]], failed: u64, report: &mut Report) {
    let row = |what: &str, unit, figure: &dyn Fn(&[Figures; LOOKS.len()]) -> f64| {
        Row::new(HEADING, what, unit, turns.iter().map(figure).collect())
    };
    report.add(row("nobody looks: rps", Unit::PerSecond, &|[none, ..]| {
        none.shot.rps
    }));
    let usual = row("meshctl tap: rps", Unit::Times, &|[none, usual, _]| {
        usual.shot.rps / none.shot.rps
    });
    // It is 0.99; a machine that is not quiet does not show it.
    report.add(usual.at_least(0.99));
    report.add(row("meshctl tap: worker CPU", Unit::Times, &|[
        none,
        usual,
        _,
    ]| {
        usual.worker / none.worker
    }));
    report.add(row("every request told: rps", Unit::Times, &|[
        none,
        _,
        all,
    ]| {
        all.shot.rps / none.shot.rps
    }));
    report.add(row("every request told: worker CPU", Unit::Times, &|[
        none,
        _,
        all,
    ]| {
        all.worker / none.worker
    }));
    report.add(Row::new(HEADING, "failed requests", Unit::Count, vec![failed as f64]).at_most(0.0));
}
