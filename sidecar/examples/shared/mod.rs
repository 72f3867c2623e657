//! What both measurements need: a meshd of their own, and ways to it.
#![allow(dead_code, reason = "each example uses a part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dynomesh_proto::{
    MAX_MESSAGE,
    v1::{
        self, Change, CreateApp, Dyno, GetStatusRequest, Operation, PutDyno,
        control_client::ControlClient, operation::Kind, router_client::RouterClient,
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// A meshd in a directory of its own.
pub(crate) struct Meshd {
    child: Child,
    dir: PathBuf,
}

impl Meshd {
    /// Starts the one that was built beside this example, and says how long it
    /// took until it answered.
    pub(crate) async fn start(dir: &Path) -> Result<(Self, Duration), Failure> {
        let program = std::env::current_exe()?;
        let program = program
            .ancestors()
            .nth(2)
            .ok_or("no target directory")?
            .join("meshd");
        let began = Instant::now();
        let child = Command::new(program)
            .args(["--data-dir", "data", "--router-socket", "router.sock"])
            .args(["--control-socket", "control.sock"])
            .current_dir(dir)
            .stderr(Stdio::inherit())
            .spawn()?;
        let meshd = Self {
            child,
            dir: dir.into(),
        };
        loop {
            if let Ok(mut control) = meshd.control().await
                && control.get_status(GetStatusRequest {}).await.is_ok()
            {
                return Ok((meshd, began.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) async fn control(&self) -> Result<ControlClient<Channel>, Failure> {
        control(self.socket()).await
    }

    /// Where operators connect.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    pub(crate) async fn router(&self) -> Result<RouterClient<Channel>, Failure> {
        Ok(RouterClient::new(
            connect(self.dir.join("router.sock")).await?,
        ))
    }

    /// A line of `/proc/PID/status`.
    pub(crate) fn status(&self, key: &str) -> Result<String, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        Ok(line
            .ok_or("no such line")?
            .trim_matches([':', ' ', '\t'])
            .into())
    }

    /// Time on a processor so far, in steps of 10 ms.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("not as in proc(5)")?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn stop(mut self) -> Result<Duration, Failure> {
        let began = Instant::now();
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()?;
        self.child.wait()?;
        Ok(began.elapsed())
    }
}

pub(crate) async fn control(socket: PathBuf) -> Result<ControlClient<Channel>, Failure> {
    let channel = connect(socket).await?;
    Ok(ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
}

async fn connect(path: PathBuf) -> Result<Channel, Failure> {
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await?)
}

pub(crate) fn change(app: &str, kinds: Vec<Kind>) -> Change {
    let operations = kinds
        .into_iter()
        .map(|kind| Operation { kind: Some(kind) })
        .collect();
    Change {
        app: app.into(),
        base_version: 0,
        operations,
    }
}

/// An app that answers to `NAME.example.com`.
pub(crate) fn new_app(name: &str, dynos: Vec<Dyno>) -> Change {
    let mut kinds = vec![
        Kind::CreateApp(CreateApp {
            settings: Some(v1::Settings::default()),
        }),
        Kind::AddDomain(format!("{name}.example.com")),
    ];
    kinds.extend(dynos.into_iter().map(|dyno| put(dyno, false)));
    change(name, kinds)
}

pub(crate) fn put(dyno: Dyno, takeover: bool) -> Kind {
    Kind::PutDyno(PutDyno {
        dyno: Some(dyno),
        takeover,
    })
}

/// The `n`th dyno of all.
pub(crate) fn dyno(name: String, n: usize) -> Dyno {
    let [.., a, b, c] = n.to_be_bytes();
    Dyno {
        name,
        address: format!("10.{a}.{b}.{c}:5000"),
        ..Dyno::default()
    }
}
