//! A stock Nginx with one worker: in front of the dynos, with or without the
//! module, or as the dynos.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use super::{Failure, cpu};
use crate::harness::{Process, Signal, paths, wait};
use crate::ports;

/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Nginx {
    /// Where it listens.
    pub(super) addresses: Vec<SocketAddr>,
    /// Its one worker.
    pub(super) worker: u32,
    _process: Process,
}

impl Nginx {
    /// Starts one in a directory of its own. `conf` makes a configuration for
    /// these addresses.
    pub(super) async fn start(
        dir: &Path,
        addresses: usize,
        conf: impl Fn(&[SocketAddr]) -> String,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        for _ in 0..ports::TRIES {
            let addresses = ports::free(addresses)?;
            fs::write(dir.join("nginx.conf"), conf(&addresses))?;
            if let Some(process) = start(dir).await? {
                let worker = wait::some(wait::LIMIT, "Nginx has a worker", async || {
                    cpu::children(process.pid()).ok()?.first().copied()
                })
                .await;
                return Ok(Self {
                    addresses,
                    worker,
                    _process: process,
                });
            }
        }
        Err("Nginx found no free port".into())
    }
}

/// `None`: a port was taken.
async fn start(dir: &Path) -> Result<Option<Process>, Failure> {
    let log = dir.join("error.log");
    let mut command = Command::new(paths::nginx());
    command.arg("-p").arg(dir).arg("-c").arg("nginx.conf");
    command.arg("-e").arg(&log);
    command.stderr(fs::File::create(dir.join("stderr"))?);
    // Not KILL: the master has to end its worker.
    let mut process = Process::start(command, Signal::TERM)?;
    let own = format!("{}\n", process.pid());
    let failed = wait::some(wait::LIMIT, "Nginx listens", async || {
        if process.exited().is_some() {
            return Some(true);
        }
        // It writes the file when it has its ports.
        let pid = fs::read_to_string(dir.join("nginx.pid")).ok()?;
        (pid == own).then_some(false)
    })
    .await;
    if !failed {
        return Ok(Some(process));
    }
    let words = fs::read_to_string(&log).unwrap_or_default();
    match words.contains("Address already in use") {
        true => Ok(None),
        false => Err(format!("Nginx does not start: {words}").into()),
    }
}
