//! A sidecar without an Nginx, that shares the log of a broker.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dynomesh_proto::v1::{LogState, LogStatus, Status};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Control, Outcome, ctl, mesh::print_tail, paths, process::Process, wait};

/// After an outage the broker is looked for again every few seconds.
pub const BACK_WITHIN: Duration = Duration::from_secs(40);

/// A sidecar that runs. It ends when it is dropped.
#[derive(Debug)]
pub struct Sidecar {
    process: Option<Process>,
    control: Control,
    url: String,
    prefix: String,
    node: String,
    /// More arguments.
    pub more: Vec<String>,
    dir: TempDir,
}

impl Sidecar {
    /// Starts one, and waits until it is in step with the log.
    pub async fn start(url: &str, prefix: &str, node: &str) -> Self {
        let mut sidecar = Self::make(url, prefix, node);
        sidecar.start_again().await;
        sidecar.until_in_sync().await;
        sidecar
    }

    /// One that is not started yet.
    #[must_use]
    pub fn make(url: &str, prefix: &str, node: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("mesh-").tempdir();
        let dir = dir.expect("a directory can be made");
        Self {
            process: None,
            control: Control::new(&dir.path().join("control.sock")),
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            node: node.to_owned(),
            more: Vec::new(),
            dir,
        }
    }

    /// Starts it with the data that it has; waits until it answers.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the sidecar runs");
        let url = self.url.clone();
        self.spawn(&["--broker-url", &url]).await;
    }

    /// The same without a broker.
    pub async fn start_alone(&mut self) {
        assert!(self.process.is_none(), "the sidecar runs");
        self.spawn(&[]).await;
    }

    async fn spawn(&mut self, broker: &[&str]) {
        let dir = self.dir.path();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(dir.join("meshd.log"))
            .expect("the sidecar's directory can be written to");
        let mut command = Command::new(paths::meshd());
        command
            // Whatever the system's own is told.
            .args(["--config", "/dev/null", "--node", &self.node])
            .arg("--data-dir")
            .arg(dir.join("data"))
            .arg("--router-socket")
            .arg(dir.join("router.sock"))
            .arg("--control-socket")
            .arg(dir.join("control.sock"))
            .args(["--broker-prefix", &self.prefix])
            .args(["--broker-heartbeat-s", "2"])
            .args(&self.more)
            .args(broker)
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let mut process = Process::start(command, Signal::KILL).expect("meshd can be run");
        wait::until("the sidecar answers", async || {
            if let Some(status) = process.exited() {
                panic!("meshd ended with {status}: {}", self.log());
            }
            self.control.try_status().await.is_ok()
        })
        .await;
        self.process = Some(process);
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Lets it end by itself.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.ended().await;
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = process.wait().await;
            assert!(
                status.success(),
                "meshd ended with {status}: {}",
                self.log()
            );
        }
    }

    /// Its control client.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::pid)
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("meshd.log")).unwrap_or_default()
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The tables that others took the place of.
    #[must_use]
    pub fn backups(&self) -> usize {
        let entries = fs::read_dir(self.data()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .filter(|name| name.to_string_lossy().contains(".before-"))
            .count()
    }

    /// Where all of its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it says of itself.
    pub async fn status(&self) -> Status {
        self.control.status().await
    }

    /// How it stands to the log.
    pub async fn log_status(&self) -> LogStatus {
        self.status().await.log.expect("it shares a log")
    }

    /// Waits until it is in step with the log.
    pub async fn until_in_sync(&self) {
        self.until_state(LogState::InSync).await;
    }

    /// Waits until it stands to the log like this.
    pub async fn until_state(&self, state: LogState) {
        let what = format!("{}: {}", self.node, state.as_str_name());
        wait::within(BACK_WITHIN, &what, async || {
            self.log_status().await.state() == state
        })
        .await;
    }

    /// Waits until it has an app with this version.
    pub async fn until_version(&self, app: &str, version: u64) {
        let what = format!("{}: {app} has version {version}", self.node);
        wait::until(&what, async || {
            let status = self.control.try_app(app).await;
            status.is_ok_and(|status| status.app.is_some_and(|app| app.version == version))
        })
        .await;
    }

    /// Runs `meshctl` with these arguments, separated by spaces.
    pub async fn ctl(&self, arguments: &str) -> Outcome {
        let socket = self.dir.path().join("control.sock");
        let arguments = arguments.to_owned();
        tokio::task::spawn_blocking(move || ctl::run(&socket, &arguments))
            .await
            .expect("running a command does not panic")
    }

    /// Its table, as `meshctl export` writes it, with the versions of the apps.
    pub async fn table(&self) -> String {
        let (export, list) = (self.ctl("export").await, self.ctl("app list --json").await);
        assert_eq!((export.code, list.code), (0, 0), "{export:?} {list:?}");
        format!("{}{}", export.stdout, list.stdout)
    }

    /// Waits until both have the same table.
    pub async fn until_same(&self, other: &Self) {
        wait::until("both tables are the same", async || {
            self.table().await == other.table().await
        })
        .await;
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_tail(&self.dir.path().join("meshd.log"));
        }
    }
}
