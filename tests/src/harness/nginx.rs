//! Stock Nginx with the module.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::{Config, config, paths, process::Process, wait};
use crate::ports;

/// A master and its workers.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    /// Where it speaks HTTP/1.
    pub address: SocketAddr,
    /// Where it speaks HTTP/2.
    pub http2_address: SocketAddr,
}

impl Nginx {
    /// Starts it on free ports, and waits until it listens.
    pub(super) async fn start(dir: &Path, router_socket: &Path, config: &Config) -> Self {
        // A port that is free now may be taken a moment later: then try others.
        for _ in 0..ports::TRIES {
            let free = ports::free(2).expect("ports are free");
            let ports = [free[0].port(), free[1].port()];
            fs::write(conf(dir), config.text(dir, router_socket, ports))
                .expect("the mesh's directory can be written to");
            if let Some(process) = start(dir).await {
                let [address, http2_address] =
                    ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                return Self {
                    process,
                    address,
                    http2_address,
                };
            }
        }
        panic!("nginx found no free port");
    }

    /// The processes that serve. One that is on its way out counts until it is gone.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        let master = self.process.pid();
        let path = format!("/proc/{master}/task/{master}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// Kills one of its workers, which the master replaces. An old one that has
    /// ended just now is left alone.
    pub fn kill_worker(&self, worker: u32) {
        self.signal_worker(worker, Signal::KILL);
    }

    /// Sends one of its workers a signal, unless it has ended.
    pub fn signal_worker(&self, worker: u32, signal: Signal) {
        if !self.workers().contains(&worker) {
            return;
        }
        let pid = i32::try_from(worker).ok().and_then(Pid::from_raw);
        match kill_process(pid.expect("an id of a process"), signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => panic!("worker {worker} gets no signal: {error}"),
        }
    }

    /// Ends master and workers at once, and starts them again at the same address.
    pub async fn crash(&mut self, dir: &Path) {
        let workers = self.workers();
        self.process.kill_all().await;
        // They have its ports until they are gone, which takes longer than the master's end.
        wait::until("the workers are gone", async || {
            workers.iter().all(|worker| !has_files(*worker))
        })
        .await;
        let again = start(dir).await;
        self.process = again.expect("nobody took the port meanwhile");
    }

    /// Tells it to reload. The old workers stay until their requests have ended.
    pub fn signal_reload(&mut self) {
        self.process.signal(Signal::HUP);
    }

    /// Reloads, and waits until every worker is a new one.
    pub async fn reload(&mut self) {
        let old = self.workers();
        self.signal_reload();
        wait::until("every worker is a new one", async || {
            let now = self.workers();
            !now.is_empty() && now.iter().all(|worker| !old.contains(worker))
        })
        .await;
    }

    /// Lets it finish what it does, and waits for its end.
    pub(super) async fn quit(&mut self) {
        self.process.signal(Signal::QUIT);
        let status = self.process.wait().await;
        assert!(status.success(), "nginx ended with {status}");
    }
}

/// What `nginx -t` says about a configuration: whether it is good, and the words.
#[must_use]
pub fn test_config(dir: &Path, http: &str) -> (bool, String) {
    let text = format!(
        "{}\nhttp {{\n{}\n{http}\n}}\n",
        config::preamble(dir, &paths::module()),
        config::http_preamble(dir)
    );
    fs::write(conf(dir), text).expect("the test's directory can be written to");
    let output = command(dir).arg("-t").output().expect("nginx can be run");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), words)
}

fn conf(dir: &Path) -> PathBuf {
    dir.join("nginx.conf")
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(paths::nginx());
    command.arg("-p").arg(dir).arg("-c").arg(conf(dir));
    // Memory is full of this when it is given out, and of the opposite when it is
    // given back: who reads what nobody wrote, or what is gone, is found out.
    command.env("MALLOC_PERTURB_", "165");
    command
}

/// `None`: a port was taken.
async fn start(dir: &Path) -> Option<Process> {
    let log = dir.join("error.log");
    let stderr = fs::File::create(dir.join("nginx.stderr")).expect("the directory is there");
    let mut command = command(dir);
    command.arg("-e").arg(&log).stderr(stderr);
    // Not KILL: the master has to end its workers.
    let mut process = Process::start(command, Signal::TERM).expect("nginx can be run");
    let pid_file = dir.join("nginx.pid");
    let own = format!("{}\n", process.pid());
    wait::some(wait::LIMIT, "nginx listens", async || {
        if let Some(status) = process.exited() {
            let words = fs::read_to_string(&log).unwrap_or_default();
            let taken = words.contains("Address already in use");
            assert!(taken, "nginx ended with {status}: {words}");
            // What it had to say is not about the next one.
            let _ = fs::remove_file(&log);
            return Some(false);
        }
        // It writes the file when it has its ports.
        (fs::read_to_string(&pid_file).ok()? == own).then_some(true)
    })
    .await
    .then_some(process)
}

/// It is a process, and more than what is left of one that nobody has asked about.
fn has_files(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !(state.is_empty() || state.starts_with(['Z', 'X']))
}
