//! `scripts/run`, which is what `make run` is.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::harness::{Process, Signal, paths, run, wait};
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process_group},
};
use tempfile::TempDir;

/// A run under way, in a folder of its own.
struct Run {
    process: Process,
    port: u16,
    dir: TempDir,
}

impl Run {
    fn start() -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = script(dir.path(), port);
        command.stdout(File::create(dir.path().join("out")).unwrap());
        // TERM, as it has children to end.
        let process = Process::start(command, Signal::TERM).unwrap();
        Self { process, port, dir }
    }

    /// What it has printed.
    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("out")).unwrap()
    }

    /// Waits until it runs. Returns the first command that it says to try.
    async fn invitation(&mut self) -> String {
        wait::until("it says that it runs", async || {
            assert_eq!(self.process.exited(), None, "{}", self.said());
            self.said().contains("Ctrl-C")
        })
        .await;
        let said = self.said();
        let line = said.lines().find(|line| line.contains("curl"));
        line.expect("something to try").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(self.port.to_string()).join(name)
    }

    /// As Ctrl-C does. Checks that nothing of it is left.
    async fn interrupt(mut self) {
        let group = Pid::from_raw(self.process.pid().cast_signed()).unwrap();
        self.process.signal(Signal::INT);
        let ended = self.process.wait().await;
        assert_eq!(ended.code(), Some(0), "{ended}: {}", self.said());
        assert_eq!(test_kill_process_group(group), Err(Errno::SRCH));
        for socket in ["router.sock", "control.sock"] {
            assert!(!self.path(socket).exists(), "{socket} is left");
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn script(dir: &Path, port: u16) -> Command {
    // A shell can't take a signal that was ignored when it started, as SIGINT is
    // for tests in the background.
    let mut command = Command::new("env");
    command
        .arg("--default-signal=INT")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/run"))
        .env("PORT", port.to_string())
        .env("DYNOMESH_RUN", dir)
        .env("DYNOMESH_BIN", paths::meshd().parent().unwrap())
        .env("DYNOMESH_MODULE", paths::module())
        .env("DYNOMESH_NGINX", paths::nginx());
    command
}

fn shell(line: &str) -> Output {
    let shell = Command::new("sh").args(["-c", line]).output();
    shell.unwrap()
}

fn greets(invitation: &str, app: &str) {
    let output = shell(invitation);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("of app {app}")),
        "{invitation}: {output:?}"
    );
}

#[test]
fn it_can_be_tried_and_leaves_nothing() {
    run(async {
        let mut mesh = Run::start();
        greets(&mesh.invitation().await, "hello");
        let wake = mesh.said();
        let wake = wake.lines().find(|line| line.contains("sleepy.localhost"));
        greets(wake.expect("the app that sleeps"), "sleepy");
        let running = fs::read_to_string(mesh.path("manager/processes")).unwrap();
        let dyno = running.split(' ').next().unwrap().parse().unwrap();
        mesh.interrupt().await;
        let group = Pid::from_raw(dyno).unwrap();
        // Who waits for it, once its parent has gone, is up to the host.
        wait::until("the dyno is gone", async || {
            test_kill_process_group(group) == Err(Errno::SRCH)
        })
        .await;
    });
}

#[test]
fn it_can_be_stopped_while_it_starts() {
    run(async {
        let mesh = Run::start();
        let socket = mesh.path("control.sock");
        wait::until("the sidecar is there", async || socket.exists()).await;
        mesh.interrupt().await;
    });
}

#[test]
fn a_second_one_does_not_harm_the_first() {
    run(async {
        let mut mesh = Run::start();
        let invitation = mesh.invitation().await;
        let elsewhere = tempfile::tempdir().unwrap();
        for (dir, why) in [
            (mesh.dir.path(), "runs on port"),
            (elsewhere.path(), "is in use"),
        ] {
            let refused = script(dir, mesh.port).output().unwrap();
            let text = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{text}");
            assert!(text.contains(why) && text.contains("PORT="), "{text}");
            greets(&invitation, "hello");
        }
        mesh.interrupt().await;
    });
}
