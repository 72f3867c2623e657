//! The file that says which apps there are.

mod broker;
mod file;
mod span;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path, path::PathBuf, time::Duration};

use anyhow::Context as _;

pub(crate) use broker::Broker;

/// The file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) apps: Vec<AppConfig>,
    /// `None`: there is a sidecar.
    pub(crate) broker: Option<Broker>,
}

/// An app as the file wants it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppConfig {
    pub(crate) name: String,
    /// Where routers reach its dynos.
    pub(crate) address: IpAddr,
    /// `$PORT` in it stands for the port.
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) domains: Vec<String>,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Requests at once for each dyno.
    pub(crate) limit: u32,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) scale_wait: Option<Duration>,
    pub(crate) boot_timeout: Duration,
    /// An HTTP path; without one a dyno is up when it takes connections.
    pub(crate) health: Option<String>,
    /// From TERM to KILL.
    pub(crate) stop_timeout: Duration,
    /// Longest time for a dyno's last requests.
    pub(crate) drain_timeout: Duration,
}

/// Most bytes of the file.
const MAX_FILE: u64 = 4 << 20;

/// Reads the file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
    let shown = path.display();
    let size = fs::metadata(path).map(|found| found.len());
    let size = size.with_context(|| format!("cannot read {shown}"))?;
    anyhow::ensure!(
        size <= MAX_FILE,
        "{shown} has {size} bytes, the most is {MAX_FILE}"
    );
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&text).with_context(|| format!("in {shown}"))
}

fn parse(text: &str) -> anyhow::Result<Config> {
    let file: file::File = toml::from_str(text)?;
    file.check()
}
