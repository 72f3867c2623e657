//! The reference dyno manager, for one mesh.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use super::{Mesh, paths, process::Process, wait};
use rustix::process::Signal;

/// What the queue of a manager at the broker is called, after the prefix.
const QUEUE: &str = "test";

/// A manager that runs, or did. Its processes end with it.
#[derive(Debug)]
pub struct Manager {
    process: Process,
    dir: PathBuf,
}

impl Manager {
    /// Starts one for the apps of this text, with the state of the one before.
    /// `SAMPLE` in it stands for the sample dyno, `DIR` for the mesh's directory.
    pub async fn start(mesh: &Mesh, apps: &str) -> Self {
        let socket = mesh.control_socket().display().to_string();
        let (mut manager, before) = Self::run(mesh, apps, &["--control-socket", &socket]);
        manager.until_connected(before).await;
        manager
    }

    /// The same for one that has no sidecar: what `mesh` has is only the directory.
    pub async fn start_at_broker(mesh: &Mesh, url: &str, prefix: &str, apps: &str) -> Self {
        let (mut manager, before) = Self::run_at_broker(mesh, url, prefix, apps);
        manager.until_connected(before).await;
        manager
    }

    /// The same without waiting for it: how much it had logged before comes with it.
    #[must_use]
    pub fn run_at_broker(mesh: &Mesh, url: &str, prefix: &str, apps: &str) -> (Self, usize) {
        let broker = format!(
            "broker-url = '{url}'\nbroker-prefix = '{prefix}'\n\
             broker-queue = '{QUEUE}'\nbroker-heartbeat-s = 2\n{apps}"
        );
        let nowhere = mesh.dir().join("nowhere").display().to_string();
        Self::run(mesh, &broker, &["--control-socket", &nowhere])
    }

    fn run(mesh: &Mesh, apps: &str, more: &[&str]) -> (Self, usize) {
        let dir = mesh.dir().join("manager");
        fs::create_dir_all(&dir).expect("a directory can be made");
        let sample = paths::own("sample-dyno").display().to_string();
        let apps = apps
            .replace("SAMPLE", &sample)
            .replace("DIR", &mesh.dir().display().to_string());
        fs::write(dir.join("dynos.toml"), apps).expect("the directory can be written to");
        let log = dir.join("log");
        let before = read(&log).len();
        let out = File::options().create(true).append(true).open(&log);
        let out = out.expect("the log can be written");
        let mut command = Command::new(paths::dyno_manager());
        command
            .arg(dir.join("dynos.toml"))
            .args(more)
            .arg("--state-dir")
            .arg(dir.join("state"))
            .args(["--log-level", "debug"])
            .stdout(out.try_clone().expect("a file can be shared"))
            .stderr(out);
        // TERM would let it take its time.
        let process = Process::start(command, Signal::KILL).expect("it can be run");
        (Self { process, dir }, before)
    }

    /// Waits until it says that it is, after what it has logged before.
    async fn until_connected(&mut self, before: usize) {
        wait::until("the manager is connected", async || {
            let log = self.log();
            assert_eq!(self.process.exited(), None, "{log}");
            log[before..].contains("connected to the")
        })
        .await;
    }

    /// The queue of one that has no sidecar.
    #[must_use]
    pub fn queue(prefix: &str) -> String {
        format!("{prefix}.manager.{QUEUE}")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.dir.join("log"))
    }

    /// The processes that it runs now, by its own books.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let text = read(&self.dir.join("state/processes"));
        let pid = |line: &str| line.split(' ').next()?.parse().ok();
        text.lines().filter_map(pid).collect()
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Asks it to end.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// The end of a good test: it stops what it runs, and ends well.
    pub async fn finish(mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "the manager ended with {status}");
        assert_eq!(self.processes(), [] as [i32; 0]);
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- manager\n{}", self.log());
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
