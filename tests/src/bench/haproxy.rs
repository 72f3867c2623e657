//! HAProxy with one thread, where it is installed.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tokio::net::TcpStream;

use super::Failure;
use crate::harness::{Process, Signal, wait};
use crate::ports;

/// What a report says where it is not.
pub(super) const MISSING: &str = "HAProxy is not installed: not compared";

/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct HaProxy {
    /// Where it listens.
    pub(super) address: SocketAddr,
    process: Process,
}

impl HaProxy {
    /// Starts it in a directory of its own. `conf` makes a configuration for this
    /// address. `None`: it is not installed.
    pub(super) async fn start(
        dir: &Path,
        conf: impl Fn(SocketAddr) -> String,
    ) -> Result<Option<Self>, Failure> {
        let Some(program) = find() else {
            return Ok(None);
        };
        fs::create_dir_all(dir)?;
        let file = dir.join("haproxy.cfg");
        for _ in 0..ports::TRIES {
            let address = ports::free(1)?[0];
            fs::write(&file, conf(address))?;
            let words = fs::File::create(dir.join("words"))?;
            let mut command = Command::new(&program);
            command.arg("-db").arg("-f").arg(&file);
            command.stdout(words.try_clone()?).stderr(words);
            let mut process = Process::start(command, Signal::KILL)?;
            let runs = wait::some(wait::LIMIT, "HAProxy listens", async || {
                match process.exited() {
                    Some(_) => Some(false),
                    None => TcpStream::connect(address).await.ok().map(|_| true),
                }
            })
            .await;
            if runs {
                return Ok(Some(Self { address, process }));
            }
            let words = fs::read_to_string(dir.join("words"))?;
            if !words.contains("Address already in use") {
                return Err(format!("HAProxy does not start: {words}").into());
            }
        }
        Err("HAProxy found no free port".into())
    }

    /// Its one process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // Not everybody's PATH has it, but Debian puts it there.
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join("haproxy"))
        .find(|program| program.is_file())
}
