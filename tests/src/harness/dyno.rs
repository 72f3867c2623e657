//! A sample dyno as a process.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use super::{paths, process::Process, wait};
use crate::{client::Request, dyno::stats::Figures};

/// How a sample dyno is started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The app that it says it belongs to.
    pub app: String,
    /// How many requests at once are no double booking.
    pub limit: u32,
    /// Where it listens.
    pub listen: String,
    /// It speaks gRPC.
    pub grpc: bool,
}

impl Program {
    /// One request at a time, on a free port.
    #[must_use]
    pub fn new(app: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            app: app.to_owned(),
            limit: 1,
            listen: "127.0.0.1:0".to_owned(),
            grpc: false,
        }
    }

    /// Starts it, and waits until it listens.
    pub async fn start(self) -> Dyno {
        let mut command = Command::new(paths::own("sample-dyno"));
        command
            .args(["--app", &self.app, "--name", &self.name])
            .args(["--listen", &self.listen, "--admin", "127.0.0.1:0"])
            .args(["--limit", &self.limit.to_string()])
            .stdout(Stdio::piped());
        if self.grpc {
            command.arg("--grpc");
        }
        let mut process = Process::start(command, Signal::KILL).expect("a dyno can be run");
        let stdout = process.stdout().expect("it was piped");
        let read = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines();
            let mut line = |key: &str| {
                let line = lines.next()?.ok()?;
                Some(line.strip_prefix(key)?.trim().to_owned())
            };
            Some((line("listening ")?, line("admin ")?))
        });
        let (address, admin) = read
            .await
            .expect("reading does not panic")
            .expect("a dyno says where it listens");
        Dyno {
            process,
            name: self.name,
            address,
            admin: admin.parse().expect("it listens on TCP"),
        }
    }
}

/// A dyno that runs.
#[derive(Debug)]
pub struct Dyno {
    /// Its process, to be stopped or killed.
    pub process: Process,
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    admin: SocketAddr,
}

impl Dyno {
    async fn ask(&self, method: &str, target: &str) -> Figures {
        let request = Request::new(self.admin, method, "admin", target);
        request.send().await.json()
    }

    /// What it was given, by its own books.
    pub async fn figures(&self) -> Figures {
        self.ask("GET", "/stats").await
    }

    /// Makes it forget what it was given.
    pub async fn reset(&self) {
        self.ask("POST", "/reset").await;
    }

    /// Lets the requests go on that it holds (`/hold`).
    pub async fn release(&self) {
        self.ask("POST", "/release").await;
    }

    /// Makes it give its address free; it goes on with the connections that it has.
    pub async fn leave(&self) {
        self.ask("POST", "/leave").await;
        let what = format!("{} has left {}", self.name, self.address);
        wait::until(&what, async || self.figures().await.left).await;
    }

    /// Waits until so many requests are in progress.
    pub async fn until_now(&self, requests: u32) {
        let what = format!("{}: {requests} requests in progress", self.name);
        wait::until(&what, async || self.figures().await.now == requests).await;
    }

    /// How often a request with this id began.
    pub async fn times_seen(&self, id: &str) -> usize {
        let seen = self.figures().await.seen;
        seen.iter().filter(|seen| seen.id == id).count()
    }
}
