//! Several ways to do the same, one load on each in turns: what the others cost beside the
//! first.

use super::{Failure, Plan, Report, cpu, progress, report::Row, shot::Shot, unit::Unit};

/// One load, and the processor time of each request of it, in µs.
pub(super) struct Load {
    pub(super) shot: Shot,
    /// Of the router's worker.
    pub(super) worker: f64,
    /// Of the sidecar; 0 without one.
    pub(super) sidecar: f64,
}

/// What a load comes to. The processes of the worker and of the sidecar, if there is one.
pub(super) async fn measured(
    worker: u32,
    sidecar: Option<u32>,
    load: impl Future<Output = Result<Shot, Failure>>,
) -> Result<Load, Failure> {
    let spent = || -> Result<[f64; 2], Failure> {
        let sidecar = sidecar.map(cpu::spent).transpose()?;
        let both = [cpu::spent(worker)?, sidecar.unwrap_or_default()];
        Ok(both.map(|time| time.as_secs_f64() * 1e6))
    };
    let before = spent()?;
    let shot = load.await?;
    let after = spent()?;
    let each = |at: usize| (after[at] - before[at]) / shot.ended as f64;
    Ok(Load {
        worker: each(0),
        sidecar: each(1),
        shot,
    })
}

/// Measures these ways; `fire` puts one load on the one of this number.
pub(super) async fn compare(
    heading: &'static str,
    ways: &[&str],
    fire: impl AsyncFn(usize) -> Result<Load, Failure>,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    progress(&format!("{}: {} turns", ways[1..].join(", "), plan.turns));
    let (mut turns, mut failed) = (Vec::new(), 0);
    for turn in 0..=plan.turns {
        // Nobody is always first.
        let mut loads = Vec::new();
        for step in 0..ways.len() {
            let at = (turn + step) % ways.len();
            let load = fire(at).await?;
            if load.shot.failures() > 0 {
                failed += load.shot.failures();
                report.note(format!("{}: {}", ways[at], load.shot.words()));
            }
            loads.push((at, load));
        }
        loads.sort_by_key(|(at, _)| *at);
        // The first turn opens the connections to the dynos, and makes all known.
        if turn > 0 {
            turns.push(loads.into_iter().map(|(_, load)| load).collect::<Vec<_>>());
        }
    }
    rows(heading, ways, &turns, report);
    report.add(Row::new(heading, "failed requests", Unit::Count, vec![failed as f64]).at_most(0.0));
    Ok(())
}

fn rows(heading: &'static str, ways: &[&str], turns: &[Vec<Load>], report: &mut Report) {
    let row = |what: String, unit, figure: &dyn Fn(&[Load]) -> f64| {
        let values = turns.iter().map(|turn| figure(turn)).collect();
        Row::new(heading, what, unit, values)
    };
    let what = format!("{}: rps", ways[0]);
    report.add(row(what, Unit::PerSecond, &|turn| turn[0].shot.rps));
    for (at, way) in ways.iter().enumerate().skip(1) {
        report.add(row(format!("{way}: rps"), Unit::Times, &|turn| {
            turn[at].shot.rps / turn[0].shot.rps
        }));
        report.add(row(format!("{way}: worker CPU"), Unit::Times, &|turn| {
            turn[at].worker / turn[0].worker
        }));
        let added: &dyn Fn(&[Load]) -> f64 = &|turn| turn[at].worker - turn[0].worker;
        let what = format!("{way}: worker CPU added");
        report.add(row(what, Unit::Micros, added));
        let added: &dyn Fn(&[Load]) -> f64 = &|turn| turn[at].sidecar - turn[0].sidecar;
        let what = format!("{way}: sidecar CPU added");
        report.add(row(what, Unit::Micros, added));
    }
}
