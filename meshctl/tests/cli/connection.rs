//! Reaching the sidecar, and saying so when it cannot be reached.

use std::{fs, os::unix::net::UnixListener, path::Path, process::Command, sync::Arc};

use dynomesh_proto::v1::control_server::ControlServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::geteuid;
use tokio::runtime::Runtime;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming};

use crate::support::{Control, Mesh, Ran, Sidecar, meshctl, run, runtime};

fn at(socket: &Path, line: &str) -> Ran {
    let mut command = meshctl(socket);
    command.args(line.split_whitespace());
    run(command, "")
}

#[test]
fn no_socket_asks_for_meshd() {
    at("/nowhere/control.sock".as_ref(), "app list").fails(4, "is meshd running?");
}

#[test]
fn the_default_socket_is_the_one_of_this_users_sidecar() {
    let mut command = meshctl("".as_ref());
    command.args(["status", "--help"]);
    command.env_remove("DYNOMESH_CONTROL_SOCKET");
    command.env("XDG_RUNTIME_DIR", "/nowhere");
    let help = run(command, "").out;
    let directory = match geteuid().is_root() {
        true => "/run",
        false => "/nowhere",
    };
    let socket = format!("[default: {directory}/dynomesh/control.sock]");
    assert!(help.contains(&socket), "{help}");
}

#[test]
fn a_socket_left_behind_asks_for_meshd() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    at(&path, "app list").fails(4, "nobody listens on");
}

#[test]
fn silence_has_a_limit() {
    let sidecar = Sidecar::start();
    sidecar.mesh.faults.lock().silent = true;
    let ran = sidecar.run("app create shop --timeout 200ms");
    ran.fails(4, "no answer from the sidecar within 200ms");
    assert!(ran.err.contains("`meshctl app show shop` tells"), "{ran:?}");

    // Someone listens and does not even accept.
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("control.sock");
    let _listener = UnixListener::bind(&path).expect("a socket");
    at(&path, "status --timeout 200ms").fails(4, "no answer");
}

#[test]
fn the_flag_counts_more_than_the_environment() {
    let sidecar = Sidecar::start();
    let line = format!("status --socket {}", sidecar.socket().display());
    assert_eq!(at("/nowhere".as_ref(), &line).code, 0);
}

/// A server that speaks TLS and wants certificates, and the files for it.
struct Tls {
    dir: tempfile::TempDir,
    url: String,
    _runtime: Runtime,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

fn signed(by: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let cert = params.signed_by(&key, by).expect("a certificate");
    (cert.pem(), key.serialize_pem())
}

impl Tls {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ours = authority();
        let (cert, key) = signed(&ours);
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(cert, key))
            .client_ca_root(Certificate::from_pem(ours.pem()));
        let (strange_cert, strange_key) = signed(&authority());
        let (cert, key) = signed(&ours);
        for (name, text) in [
            ("ca", ours.pem()),
            ("cert", cert),
            ("key", key),
            ("strange-cert", strange_cert),
            ("strange-key", strange_key),
        ] {
            fs::write(dir.path().join(name), text).expect("a file");
        }
        let runtime = runtime();
        let url = serve(&runtime, tls);
        Self {
            dir,
            url,
            _runtime: runtime,
        }
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn status(&self, cert: &str, key: &str) -> Command {
        let mut command = meshctl("/nowhere".as_ref());
        command.args(["status", "--socket", &self.url, "--ca", &self.file("ca")]);
        command
            .args(["--cert", &self.file(cert)])
            .env("DYNOMESH_TLS_KEY", self.file(key));
        command
    }
}

fn serve(runtime: &Runtime, tls: ServerTlsConfig) -> String {
    let _entered = runtime.enter();
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = incoming.local_addr().expect("its number").port();
    let service = ControlServer::new(Control(Arc::new(Mesh::default())));
    let server = Server::builder()
        .tls_config(tls)
        .expect("TLS")
        .add_service(service);
    runtime.spawn(server.serve_with_incoming(incoming));
    format!("https://localhost:{port}")
}

#[test]
fn mutual_tls_works_with_the_right_certificates() {
    let tls = Tls::start();
    let ran = run(tls.status("cert", "key"), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("node-1"), "{ran:?}");
}

#[test]
fn mutual_tls_refuses_the_others() {
    let tls = Tls::start();
    assert_eq!(run(tls.status("strange-cert", "strange-key"), "").code, 4);
    run(tls.status("cert", "strange-key"), "").fails(2, "fit together");
    let ran = at("/nowhere".as_ref(), &format!("status --socket {}", tls.url));
    ran.fails(2, "give --ca or set DYNOMESH_TLS_CA");
    let ran = at("/nowhere".as_ref(), "status --socket http://localhost:1");
    assert_eq!(ran.code, 2, "{ran:?}");
}
