//! A sidecar with many apps: how long it loads, how soon it is back, what it takes.

use super::{
    Failure, Plan, Report, changes, cpu, directory, progress,
    report::Row,
    sidecar::{Sidecar, disk},
    unit::Unit,
};
use crate::harness::Signal;

const HEADING: &str = "Scale: 50,000 apps, 100,000 dynos";

const APPS: usize = 50_000;

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    let mut sidecar = Sidecar::start(dir).await?;
    let empty = cpu::resident(sidecar.pid())?;
    progress("scale: loading");
    let applied = sidecar.load(changes::fillers(APPS)).await?;
    let loaded = cpu::resident(sidecar.pid())?;
    let seconds = applied.took.as_secs_f64();

    let (mut stopped, mut killed, mut restarted) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..plan.restarts {
        progress(&format!(
            "scale: restarts, turn {} of {}",
            turn + 1,
            plan.restarts
        ));
        for (how, times) in [(Signal::TERM, &mut stopped), (Signal::KILL, &mut killed)] {
            sidecar = sidecar.restart(how).await?;
            times.push(sidecar.took.as_secs_f64() * 1e3);
            restarted.push(cpu::resident(sidecar.pid())?);
            let status = sidecar.status().await?;
            if status.apps as usize != APPS {
                return Err(format!("{} apps of {APPS} after a restart", status.apps).into());
            }
        }
    }
    let row = |what: &str, unit, values| Row::new(HEADING, what, unit, values);
    report.add(row(
        "loading, one change for each app",
        Unit::Millis,
        vec![seconds * 1e3],
    ));
    report.add(row(
        "loading: apps",
        Unit::PerSecond,
        vec![APPS as f64 / seconds],
    ));
    let limit = 1_000.0;
    report.add(row("ready after a stop", Unit::Millis, stopped).at_most(limit));
    report.add(row("ready after a kill", Unit::Millis, killed).at_most(limit));
    let limit = 150.0;
    report.add(row("memory, empty", Unit::Mebibytes, vec![empty]));
    report.add(row("memory, loaded", Unit::Mebibytes, vec![loaded]).at_most(limit));
    report.add(row("memory after a restart", Unit::Mebibytes, restarted).at_most(limit));
    let size = disk(dir)? as f64 / f64::from(1 << 20);
    report.add(row("disk copy", Unit::Mebibytes, vec![size]));
    Ok(())
}
