//! The crate `mesh` alone: its own benchmark, run by Cargo.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    Failure, Plan, Report, progress, report::Row, shot::output, sidecar::AS_INSTALLED, unit::Unit,
};

const HEADING: &str = "Core: the crate mesh on one core, requests routed and finished";

/// It is built by `scripts/bench`; by hand it may have to be built first.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let mut rows: BTreeMap<usize, (String, Unit, Vec<f64>)> = BTreeMap::new();
    for run in 0..plan.core_runs {
        progress(&format!(
            "core: cargo bench -p mesh, run {} of {}",
            run + 1,
            plan.core_runs
        ));
        match output(cargo(), PATIENCE).await {
            Ok(text) => {
                for (at, (what, unit, value)) in text.lines().flat_map(figures).enumerate() {
                    let row = rows.entry(at).or_insert_with(|| (what, unit, Vec::new()));
                    row.2.push(value);
                }
            }
            Err(error) => {
                report.note(format!("the core was not measured: {error}"));
                return Ok(());
            }
        }
    }
    if rows.is_empty() {
        report.note("the core was not measured: its benchmark printed no figures");
    }
    for (what, unit, values) in rows.into_values() {
        let judged = unit == Unit::PerSecond && what.starts_with(LARGEST);
        let row = Row::new(HEADING, what, unit, values);
        report.add(match judged {
            true => row.at_least(1e6),
            false => row,
        });
    }
    Ok(())
}

/// The size that the target is about.
const LARGEST: &str = "50,000 apps";

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.envs([AS_INSTALLED]);
    command
        .args([
            "bench", "--locked", "--quiet", "-p", "mesh", "--bench", "core",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stderr(Stdio::null());
    command
}

/// The figures of a line: `APPS DYNOS POLICY PAIRS/S NS MIB` or
/// `N waiting PAIRS/S NS`. Other lines are for people.
fn figures(line: &str) -> Vec<(String, Unit, f64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok());
    let shown = |value: f64| Unit::Count.show(value);
    match (number(0), number(1), words.get(1), words.get(2)) {
        (Some(apps), Some(dynos), _, Some(policy)) => {
            let what = format!(
                "{:>6} apps × {:>6} dynos, {policy}",
                shown(apps),
                shown(dynos)
            );
            let rate = number(3).map(|rate| (format!("{what}: pairs"), Unit::PerSecond, rate));
            let size = number(5).map(|size| (format!("{what}: memory"), Unit::Mebibytes, size));
            rate.into_iter().chain(size).collect()
        }
        (Some(waiting), _, Some(&"waiting"), _) => {
            let what = format!("{:>6} waiting for one dyno: pairs", shown(waiting));
            let rate = number(2).map(|rate| (what, Unit::PerSecond, rate));
            rate.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_figures_are_told_from_words() {
        let row = figures("  50000        2 IdleOnly        1234567      810      98.5");
        assert_eq!(row.len(), 2);
        assert_eq!(row[0].0, "50,000 apps ×      2 dynos, IdleOnly: pairs");
        assert_eq!((row[0].2, row[1].2), (1_234_567.0, 98.5));
        let row = figures("            1000 waiting             2500000      400");
        assert_eq!(row.len(), 1);
        assert_eq!(row[0].2, 2_500_000.0);
        assert!(figures("   apps dynos/app policy      pairs/s  ns/pair       MiB").is_empty());
        assert!(figures("10,000 dynos in one change: planned in 9.1ms").is_empty());
    }
}
