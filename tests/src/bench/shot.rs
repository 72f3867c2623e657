//! One load on one server, by `mesh-load` as a process of its own.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use serde::Deserialize;

use super::Failure;
use crate::harness::{Process, Signal, paths};

/// More than any load takes to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Load before anything counts. Connections that are new are slow: 256 of them
/// need this long for half of the requests that they make later.
pub(super) const WARM_UP: Duration = Duration::from_millis(400);

/// What `mesh-load` said; see `load::Report`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shot {
    pub(super) requests: u64,
    /// With those that only warmed up.
    pub(super) ended: u64,
    pub(super) rps: f64,
    /// In µs.
    pub(super) p50: f64,
    /// In µs.
    pub(super) p99: f64,
    pub(super) seconds: f64,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
}

impl Shot {
    /// Requests that did not get a 200.
    pub(super) fn failures(&self) -> u64 {
        let good = self.statuses.get(&200).copied().unwrap_or(0);
        self.requests - good + self.errors.values().sum::<u64>()
    }

    /// What became of those.
    pub(super) fn words(&self) -> String {
        format!("statuses {:?}, errors {:?}", self.statuses, self.errors)
    }
}

/// Puts load on a server.
pub(super) async fn shoot(
    address: SocketAddr,
    host: &str,
    connections: usize,
    duration: Duration,
) -> Result<Shot, Failure> {
    shoot_with(address, &["--host", host], connections, duration).await
}

/// The same with other arguments than a host.
pub(super) async fn shoot_with(
    address: SocketAddr,
    arguments: &[&str],
    connections: usize,
    duration: Duration,
) -> Result<Shot, Failure> {
    let mut command = Command::new(paths::own("mesh-load"));
    command
        .arg(address.to_string())
        .args(arguments)
        .args(["--connections", &connections.to_string()])
        .args(["--warm-up", &WARM_UP.as_secs_f64().to_string()])
        .args(["--duration", &duration.as_secs_f64().to_string()]);
    let text = output(command, WARM_UP + duration + PATIENCE).await?;
    Ok(serde_json::from_str(&text)?)
}

/// Runs a program to its end; what it printed.
pub(super) async fn output(mut command: Command, limit: Duration) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped());
    let mut process = Process::start(command, Signal::KILL)?;
    let stdout = process.stdout().ok_or("it was piped")?;
    let read = tokio::task::spawn_blocking(move || io::read_to_string(stdout));
    // When this is over, the process is dropped, and the reading ends with it.
    let text = tokio::time::timeout(limit, read)
        .await
        .map_err(|_| format!("{name} takes longer than {limit:?}"))???;
    let status = process.wait().await;
    match status.success() {
        true => Ok(text),
        false => Err(format!("{name} ended with {status}").into()),
    }
}
