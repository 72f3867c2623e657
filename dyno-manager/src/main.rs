//! The command `dyno-manager`: it runs apps as processes of this host and tells the
//! mesh of them.
//!
//! **How.** For each app a [`planner`] decides, which is pure: what happened and
//! the time go in, what to start and to stop comes out. A [`keeper`] for each app
//! carries that out. What the mesh says and is told passes through [`mesh`],
//! and nothing else knows how it travels.

mod app;
mod args;
mod config;
mod health;
mod keeper;
mod log;
mod mesh;
mod planner;
mod port;
mod process;
mod run;
mod state;

use std::process::ExitCode;

use clap::Parser as _;

/// As clap's own errors. packaging/dyno-manager.service knows it: no restart helps.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let config = match config::read(&args.file) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("dyno-manager: {error:#}");
            return WRONG_CONFIGURATION.into();
        }
    };
    if args.check {
        return ExitCode::SUCCESS;
    }
    log::start(args.log_level, args.log_format);
    match run::run(&args, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
