//! TCP, with certificates on both sides.

use std::{fs, net::TcpListener, path::Path};

use dynomesh_proto::v1::{GetStatusRequest, control_client::ControlClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::harness::{Meshd, Options};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Certificate and key for `localhost`.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("an address").port()
}

fn files(dir: &Path, authority: &Authority) -> Vec<String> {
    let (cert, key) = authority.issue();
    let files = [
        ("--tls-cert", cert),
        ("--tls-key", key),
        ("--tls-client-ca", authority.0.pem()),
    ];
    let written = files.map(|(flag, content)| {
        let file = dir.join(&flag[2..]);
        fs::write(&file, content).expect("written");
        [flag.to_owned(), file.display().to_string()]
    });
    written.into_iter().flatten().collect()
}

async fn connect(port: u16, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let uri = format!("https://localhost:{port}");
    Endpoint::from_shared(uri)
        .expect("a URI")
        .tls_config(tls)
        .expect("TLS")
        .connect()
        .await
}

#[tokio::test]
async fn only_peers_with_a_certificate_of_ours_get_in() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (control, router) = (free_port(), free_port());
    let mut more = files(dir.path(), &authority);
    more.extend(["--control-tcp".into(), format!("127.0.0.1:{control}")]);
    more.extend(["--router-tcp".into(), format!("127.0.0.1:{router}")]);
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    let options = Options::new(dir.path(), &more);
    let _meshd = Meshd::start_in(dir, options).await;

    let trusting = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority.0.pem()))
        .domain_name("localhost");
    let known = authority.issue();
    let known = trusting
        .clone()
        .identity(Identity::from_pem(known.0, known.1));
    let channel = connect(control, known.clone()).await.expect("a connection");
    ControlClient::new(channel)
        .get_status(GetStatusRequest {})
        .await
        .expect("a status");
    let channel = connect(router, known).await.expect("a connection");
    let wrong = ControlClient::new(channel)
        .get_status(GetStatusRequest {})
        .await;
    assert_eq!(
        wrong.expect_err("routers only").code(),
        tonic::Code::Unimplemented
    );

    let stranger = Authority::new().issue();
    let stranger = trusting
        .clone()
        .identity(Identity::from_pem(stranger.0, stranger.1));
    for tls in [trusting, stranger] {
        let refused = match connect(control, tls).await {
            Ok(channel) => ControlClient::new(channel)
                .get_status(GetStatusRequest {})
                .await
                .is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
}

#[test]
fn tcp_without_certificates_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for flag in ["--control-tcp", "--router-tcp"] {
        let complaint = Options::new(dir.path(), &[flag, "127.0.0.1:1"]).complaint();
        assert!(complaint.contains(&flag[2..]), "{complaint}");
        assert!(
            complaint.contains("tls-cert, tls-key, tls-client-ca"),
            "{complaint}"
        );
    }
    let authority = Authority::new();
    let mut more = files(dir.path(), &authority);
    more.truncate(4);
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    let complaint = Options::new(dir.path(), &more).complaint();
    assert!(
        complaint.contains("tls-client-ca is missing"),
        "{complaint}"
    );

    let missing = [
        "--tls-cert",
        "/nowhere/a",
        "--tls-key",
        "/nowhere/b",
        "--tls-client-ca",
        "/nowhere/c",
    ];
    let complaint = Options::new(dir.path(), &[&missing[..], &["--check"]].concat()).complaint();
    assert!(complaint.contains("/nowhere/a"), "{complaint}");
}
