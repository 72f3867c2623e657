//! The command `meshd`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use meshd::{
    config::{Cli, Effective},
    log, panics, run,
};

/// As clap's own errors. packaging/meshd.service knows it: no restart helps.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let effective = match Effective::from_cli(&cli) {
        Ok(effective) => effective,
        Err(error) => return fail(&error, WRONG_CONFIGURATION),
    };
    if cli.print_config {
        print!(
            "{}",
            toml::to_string(&effective.options).unwrap_or_default()
        );
        return ExitCode::SUCCESS;
    }
    if cli.check {
        return match effective.config.check_files() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, WRONG_CONFIGURATION),
        };
    }
    log::start(effective.config.log_level, effective.config.log_format);
    panics::log();
    match run::run(&effective.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("meshd: {error}");
    code.into()
}
