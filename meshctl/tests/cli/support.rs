//! A sidecar to run the command against.

mod mesh;
mod ran;
mod service;
mod watched;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dynomesh_proto::v1::control_server::ControlServer;
use tempfile::TempDir;
use tokio::{net::UnixListener, runtime::Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

pub(crate) use mesh::Mesh;
pub(crate) use ran::{Ran, meshctl, run};
pub(crate) use service::Control;
pub(crate) use watched::{PATIENCE, Watched};

/// A server on a socket of its own, and the state behind it.
pub(crate) struct Sidecar {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) dir: TempDir,
    // Dropped, it stops the server.
    _runtime: Runtime,
}

impl Sidecar {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mesh = Arc::new(Mesh::default());
        let runtime = runtime();
        serve(&runtime, &socket(dir.path()), Arc::clone(&mesh));
        Self {
            mesh,
            dir,
            _runtime: runtime,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.dir.path())
    }

    /// Runs `meshctl` with these words.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with(line, "")
    }

    pub(crate) fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut command = meshctl(&self.socket());
        command.args(line.split_whitespace());
        run(command, input)
    }

    /// Runs a command that is expected to succeed.
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        assert_eq!(ran.err, "", "{line}");
        ran.out
    }
}

pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Listens from now on.
pub(crate) fn serve(runtime: &Runtime, socket: &Path, mesh: Arc<Mesh>) {
    let _entered = runtime.enter();
    let listener = UnixListener::bind(socket).expect("a socket");
    let service = ControlServer::new(Control(mesh));
    let incoming = UnixListenerStream::new(listener);
    runtime.spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
}
