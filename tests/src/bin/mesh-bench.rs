//! Measures the mesh and says whether the targets are met. See `e2e::bench`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use e2e::bench::{self, Failure, Part, Plan, Report};
use tokio::signal::unix::{SignalKind, signal};

/// Measures the mesh: prints a table, and whether each target is met.
#[derive(Debug, Parser)]
struct Args {
    /// Less than a minute instead of about five; the figures are rough
    #[arg(long)]
    quick: bool,
    /// Beside plain Nginx only with so many client connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: Vec<u64>,
    /// What is compared has so many turns instead of 15: more where the machine is noisy
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    turns: Option<u64>,
    /// Each load on a queue lasts so many seconds; a million requests through one take 140
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    queue_seconds: Option<u64>,
    /// Only these parts
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Write the figures to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with 0 although a target is missed
    #[arg(long)]
    report_only: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(report) if report.met() || args.report_only => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<Report, Failure> {
    let mut plan = match args.quick {
        true => Plan::quick(),
        false => Plan::full(),
    };
    if !args.connections.is_empty() {
        plan.connections = args.connections.iter().map(|it| *it as usize).collect();
    }
    if let Some(turns) = args.turns {
        plan.turns = turns as usize;
    }
    if let Some(seconds) = args.queue_seconds {
        plan.queue_shot = Duration::from_secs(seconds);
    }
    let parts = match args.only.as_slice() {
        [] => &Part::ALL,
        some => some,
    };
    // Whichever ends this, every program that was started is dropped with it.
    let mut terminated = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = bench::run(parts, &plan) => report?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
        _ = terminated.recv() => return Err("terminated".into()),
    };
    print!("{}", report.table());
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(report)
}
