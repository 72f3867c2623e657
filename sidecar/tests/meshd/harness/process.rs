//! The process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{self, GetStatusRequest, control_client::ControlClient};
use tempfile::TempDir;
use tonic::transport::Channel;

use super::{control, eventually};

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl Options {
    /// In `dir`, with whatever else is given.
    pub(crate) fn new(dir: &Path, more: &[&str]) -> Self {
        let path = |name: &str| dir.join(name).display().to_string();
        let own = [
            ("--data-dir", path("data")),
            ("--router-socket", path("router.sock")),
            ("--control-socket", path("control.sock")),
        ];
        let own = own
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        Self {
            args: own.chain(more.iter().map(ToString::to_string)).collect(),
            env: Vec::new(),
        }
    }

    /// The command, with nothing of the caller's environment and of the
    /// system's configuration file.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshd"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DYNOMESH_")) {
            command.env_remove(name);
        }
        command.env("DYNOMESH_CONFIG", "/dev/null");
        command.args(&self.args).envs(self.env.iter().cloned());
        command
    }

    /// Runs it to its end, which has to come by itself.
    pub(crate) fn output(&self) -> Output {
        self.command().output().expect("meshd runs")
    }

    /// What it complains about as it fails.
    pub(crate) fn complaint(&self) -> String {
        let output = self.output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it started: {text}");
        text
    }
}

/// A meshd under way; it is killed when dropped.
pub(crate) struct Meshd {
    child: Child,
    options: Options,
    dir: TempDir,
}

impl Meshd {
    /// Starts one in an empty directory, with some more flags.
    pub(crate) async fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let options = Options::new(dir.path(), more);
        Self::start_in(dir, options).await
    }

    /// Starts one in a directory that is there.
    pub(crate) async fn start_in(dir: TempDir, options: Options) -> Self {
        let child = spawn(&dir, &options);
        let mut meshd = Self {
            child,
            options,
            dir,
        };
        meshd.answers().await;
        meshd
    }

    /// The status, as soon as there is one.
    pub(crate) async fn answers(&mut self) -> v1::Status {
        eventually("meshd answers", async || {
            if let Some(status) = self.child.try_wait().expect("try_wait") {
                panic!("it ended with {status}: {}", self.log());
            }
            self.status().await
        })
        .await
    }

    pub(crate) async fn status(&self) -> Option<v1::Status> {
        let mut control = control(&self.path("control.sock")).await.ok()?;
        Some(
            control
                .get_status(GetStatusRequest {})
                .await
                .ok()?
                .into_inner(),
        )
    }

    pub(crate) async fn control(&self) -> ControlClient<Channel> {
        control(&self.path("control.sock"))
            .await
            .expect("a connection")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// SIGKILL, and what is left.
    pub(crate) fn kill(mut self) -> (TempDir, Options) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        self.remains()
    }

    /// A signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Its end, which has to come by itself, and how long it took.
    pub(crate) async fn end(mut self) -> (ExitStatus, Duration, String, TempDir, Options) {
        let began = Instant::now();
        let child = &mut self.child;
        let ended = eventually("meshd ends", async || child.try_wait().expect("try_wait")).await;
        let (took, log) = (began.elapsed(), self.log());
        let (dir, options) = self.remains();
        (ended, took, log, dir, options)
    }

    fn remains(mut self) -> (TempDir, Options) {
        let empty = tempfile::tempdir().expect("a directory");
        (
            std::mem::replace(&mut self.dir, empty),
            self.options.clone(),
        )
    }

    /// SIGKILL, and the same again.
    pub(crate) async fn restart(self) -> Self {
        let (dir, options) = self.kill();
        Self::start_in(dir, options).await
    }
}

impl Drop for Meshd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, options: &Options) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.path().join("log"));
    let mut command = options.command();
    command.stderr(log.expect("a log"));
    command.spawn().expect("meshd starts")
}
