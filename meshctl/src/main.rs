//! `meshctl`: the command with which operators see and change what the mesh
//! does. It speaks to one sidecar's `Control` service and keeps no state.
#![forbid(unsafe_code)]

mod args;
mod change;
mod client;
mod commands;
mod failure;
mod lines;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// One thread is enough: the command waits for one sidecar.
fn start(cli: args::Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Local(format!("cannot start: {error}")))?;
    runtime.block_on(commands::run(cli))
}
