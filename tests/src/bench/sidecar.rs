//! A sidecar by itself, and what is asked of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{
    Change, Event, GetStatusRequest, NodesRequest, NodesResponse, Status, WatchRequest,
    control_client::ControlClient,
};
use futures_util::{Stream, stream};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use super::Failure;
use crate::harness::{Process, Signal, paths};

/// How often a sidecar that starts is asked whether it is ready.
const STEP: Duration = Duration::from_millis(1);

/// Longer than anything here takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// How `packaging/meshd.service` has the sidecar use memory: in large pages.
pub(super) const AS_INSTALLED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Sidecar {
    dir: PathBuf,
    /// More arguments.
    more: Vec<String>,
    process: Process,
    client: ControlClient<Channel>,
    /// From its start until it was ready.
    pub(super) took: Duration,
}

/// What became of a stream of changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    /// Changes that were made.
    pub(super) made: u64,
    /// Changes that were refused.
    pub(super) refused: u64,
    /// Why the first of these was.
    pub(super) why: Option<String>,
    /// From the first change until the last result.
    pub(super) took: Duration,
}

impl Applied {
    /// An error, if any was refused.
    pub(super) fn all_made(self) -> Result<Self, Failure> {
        match &self.why {
            None => Ok(self),
            Some(why) => Err(format!("{} changes refused: {why}", self.refused).into()),
        }
    }
}

impl Sidecar {
    /// Starts one whose data and sockets are in this directory, and waits until it
    /// is ready.
    pub(super) async fn start(dir: &Path) -> Result<Self, Failure> {
        Self::start_with(dir, Vec::new()).await
    }

    /// The same with more arguments.
    pub(super) async fn start_with(dir: &Path, more: Vec<String>) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(dir.join("meshd.log"))?;
        let control = dir.join("control.sock");
        let mut command = Command::new(paths::meshd());
        command.envs([AS_INSTALLED]);
        command
            // Whatever the system's own is told.
            .args(["--config", "/dev/null"])
            .arg("--data-dir")
            .arg(dir.join("data"))
            .arg("--router-socket")
            .arg(router_socket(dir))
            .arg("--control-socket")
            .arg(&control)
            .args(&more)
            .stdout(log.try_clone()?)
            .stderr(log);
        let endpoint = Endpoint::from_shared(format!("unix:{}", control.display()))?;
        let began = Instant::now();
        let mut sidecar = Self {
            dir: dir.to_owned(),
            more,
            process: Process::start(command, Signal::KILL)?,
            client: ControlClient::new(endpoint.connect_lazy()),
            took: Duration::ZERO,
        };
        while !sidecar.status().await.is_ok_and(|status| status.ready) {
            if let Some(status) = sidecar.process.exited() {
                let log = fs::read_to_string(dir.join("meshd.log"))?;
                return Err(format!("meshd ended with {status}: {log}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err("meshd does not become ready".into());
            }
            tokio::time::sleep(STEP).await;
        }
        sidecar.took = began.elapsed();
        Ok(sidecar)
    }

    /// Ends it and starts it again with the data that it has. `how`: TERM lets it
    /// end by itself.
    pub(super) async fn restart(mut self, how: Signal) -> Result<Self, Failure> {
        self.process.signal(how);
        self.process.wait().await;
        Self::start_with(&self.dir, self.more).await
    }

    /// Everything that changes from now on.
    pub(super) async fn watch(&self) -> Result<Streaming<Event>, Failure> {
        let request = WatchRequest { app: String::new() };
        Ok(self.client.clone().watch(request).await?.into_inner())
    }

    /// What it said so far.
    pub(super) fn log(&self) -> io::Result<String> {
        fs::read_to_string(self.dir.join("meshd.log"))
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it says of itself.
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        let status = self.client.clone().get_status(GetStatusRequest {}).await?;
        Ok(status.into_inner())
    }

    /// The members that it knows.
    pub(super) async fn nodes(&self) -> Result<NodesResponse, Failure> {
        let nodes = self.client.clone().nodes(NodesRequest {}).await?;
        Ok(nodes.into_inner())
    }

    /// Waits until this many workers have a session.
    pub(super) async fn until_sessions(&self, count: u32) -> Result<(), Failure> {
        let began = Instant::now();
        while self.status().await?.sessions != count {
            if began.elapsed() > PATIENCE {
                return Err(format!("there are not {count} sessions").into());
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    /// Makes these changes, each of which has to be possible.
    pub(super) async fn load(&self, changes: Vec<Change>) -> Result<Applied, Failure> {
        self.apply(stream::iter(changes)).await?.all_made()
    }

    /// Makes the changes of a stream, as they come.
    pub(super) async fn apply(
        &self,
        changes: impl Stream<Item = Change> + Send + 'static,
    ) -> Result<Applied, Failure> {
        let mut sum = Applied::default();
        let began = Instant::now();
        let results = self.client.clone().apply_many(changes).await?;
        let mut results = results.into_inner();
        while let Some(applied) = results.message().await? {
            match applied.error {
                None => sum.made += 1,
                Some(error) => {
                    sum.refused += 1;
                    sum.why.get_or_insert(error.message);
                }
            }
        }
        sum.took = began.elapsed();
        Ok(sum)
    }
}

/// Where a sidecar of this directory listens for routers.
pub(super) fn router_socket(dir: &Path) -> PathBuf {
    dir.join("router.sock")
}

/// The size of what it has on disk.
pub(super) fn disk(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir.join("data"))?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}
