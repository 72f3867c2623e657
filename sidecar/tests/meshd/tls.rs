//! TCP, with certificates on both sides.

use std::{fs, net::TcpListener, path::Path};

use dynomesh_proto::v1::{GetStatusRequest, control_client::ControlClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

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

/// Flags for both services, each with an authority of its own.
fn flags(dir: &Path, routers: &Authority, operators: &Authority) -> Vec<String> {
    let (cert, key) = operators.issue();
    let files = [
        ("--tls-cert", cert),
        ("--tls-key", key),
        ("--router-tls-client-ca", routers.0.pem()),
        ("--control-tls-client-ca", operators.0.pem()),
    ];
    let written = files.map(|(flag, content)| {
        let file = dir.join(&flag[2..]);
        fs::write(&file, content).expect("written");
        [flag.to_owned(), file.display().to_string()]
    });
    written.into_iter().flatten().collect()
}

/// With TCP as well, at these ports.
fn both(dir: &Path, routers: &Authority, operators: &Authority, ports: [u16; 2]) -> Vec<String> {
    let mut all = flags(dir, routers, operators);
    for (flag, port) in ["--router-tcp", "--control-tcp"].into_iter().zip(ports) {
        all.extend([flag.to_owned(), format!("127.0.0.1:{port}")]);
    }
    all
}

fn options(dir: &Path, more: &[String]) -> Options {
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    Options::new(dir, &more)
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

/// Whether somebody with this certificate gets an answer of the service.
async fn is_served(port: u16, tls: &ClientTlsConfig) -> bool {
    let Ok(channel) = connect(port, tls.clone()).await else {
        return false;
    };
    let status = ControlClient::new(channel)
        .get_status(GetStatusRequest {})
        .await;
    // The service for routers does not know the question.
    status.is_ok() || status.is_err_and(|status| status.code() == Code::Unimplemented)
}

#[tokio::test]
async fn each_service_knows_only_peers_of_its_own_authority() {
    let (routers, operators) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().expect("a directory");
    let [router, control] = [free_port(), free_port()];
    let flags = both(dir.path(), &routers, &operators, [router, control]);
    let options = options(dir.path(), &flags);
    let _meshd = Meshd::start_in(dir, options).await;

    let trusting = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(operators.0.pem()))
        .domain_name("localhost");
    let of = |authority: &Authority| {
        let (cert, key) = authority.issue();
        trusting.clone().identity(Identity::from_pem(cert, key))
    };
    let (a_router, an_operator) = (of(&routers), of(&operators));
    assert!(is_served(router, &a_router).await);
    assert!(is_served(control, &an_operator).await);
    assert!(!is_served(control, &a_router).await, "it could do anything");
    assert!(!is_served(router, &an_operator).await);
    for tls in [of(&Authority::new()), trusting] {
        assert!(!is_served(router, &tls).await);
        assert!(!is_served(control, &tls).await);
    }
}

#[test]
fn what_is_missing_or_of_no_use_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let complaint = |more: &[String]| options(dir.path(), more).complaint();
    for service in ["router", "control"] {
        let tcp = [format!("--{service}-tcp"), "127.0.0.1:1".into()];
        let text = complaint(&tcp);
        let missing = format!("tls-cert, tls-key, {service}-tls-client-ca");
        assert!(text.contains(&tcp[0]) && text.contains(&missing), "{text}");
    }
    let all = both(dir.path(), &authority, &authority, [1, 2]);
    let without = |flags: &[&str]| -> Vec<_> {
        let pairs = all.chunks(2).filter(|pair| !flags.contains(&&*pair[0]));
        pairs.flatten().cloned().collect()
    };
    for (left_out, words) in [
        (
            &["--control-tls-client-ca"][..],
            ["--control-tcp", "set control-tls-client-ca"],
        ),
        (
            &["--control-tcp"],
            ["--control-tls-client-ca", "without control-tcp"],
        ),
        (
            &["--router-tcp"],
            ["--router-tls-client-ca", "without router-tcp"],
        ),
        (
            &[
                "--router-tcp",
                "--control-tcp",
                "--router-tls-client-ca",
                "--control-tls-client-ca",
            ],
            ["--tls-cert", "without router-tcp or control-tcp"],
        ),
    ] {
        let text = complaint(&without(left_out));
        for word in words {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }
}

#[test]
fn a_check_reads_the_files_and_names_the_bad_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let mut flags = both(dir.path(), &authority, &authority, [1, 2]);
    flags.push("--check".into());
    let check = options(dir.path(), &flags);
    assert!(check.output().status.success());

    let (_, other_key) = Authority::new().issue();
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for name in [
        "tls-cert",
        "tls-key",
        "router-tls-client-ca",
        "control-tls-client-ca",
    ] {
        let file = dir.path().join(name);
        let good = fs::read(&file).expect("a file");
        let other = if name == "tls-key" {
            &*other_key
        } else {
            not_der
        };
        for bad in ["", "no PEM", other] {
            fs::write(&file, bad).expect("written");
            let output = check.output();
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name}, {bad:?}: {text}");
            let path = file.display().to_string();
            assert!(text.contains(&path), "{name}, {bad:?}: {text}");
        }
        fs::remove_file(&file).expect("removed");
        let text = check.complaint();
        assert!(text.contains(&file.display().to_string()), "{text}");
        fs::write(&file, good).expect("written");
    }
}

#[test]
fn others_are_told_an_address_that_leads_here() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let (cert, key) = authority.issue();
    let files = [
        ("--tls-cert", cert),
        ("--tls-key", key),
        ("--peer-tls-ca", authority.0.pem()),
    ];
    let own = files.map(|(flag, content)| {
        let file = dir.path().join(&flag[2..]);
        fs::write(&file, content).expect("written");
        [flag.to_owned(), file.display().to_string()]
    });
    let check = |more: &[&str]| {
        let broker = ["--broker-url", "amqp://127.0.0.1:1", "--check"];
        let more = broker.iter().chain(more).map(|flag| (*flag).to_owned());
        let all: Vec<_> = own.iter().flatten().cloned().chain(more).collect();
        let output = options(dir.path(), &all).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    };
    for good in [
        &["--peer-tcp", "127.0.0.1:0"][..],
        &[
            "--peer-tcp",
            "0.0.0.0:7443",
            "--peer-address",
            "a.test:7443",
        ],
        &["--peer-tcp", "[::]:0", "--peer-address", "localhost:0"],
    ] {
        let (is_good, text) = check(good);
        assert!(is_good, "{good:?}: {text}");
    }
    for (bad, words) in [
        (
            &["--peer-tcp", "0.0.0.0:7443"][..],
            ["--peer-address", "at which other sidecars reach this one"],
        ),
        (
            &["--peer-tcp", "127.0.0.1:1", "--peer-address", "[::]:1"],
            ["--peer-address", "leads to no host"],
        ),
        (
            &["--peer-tcp", "127.0.0.1:1", "--peer-address", "a.test"],
            ["--peer-address", "is not HOST:PORT"],
        ),
    ] {
        let (is_good, text) = check(bad);
        assert!(!is_good, "{bad:?}");
        for word in words {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }
    let alone = ["--peer-address".to_owned(), "a.test:1".to_owned()];
    let text = options(dir.path(), &alone).complaint();
    assert!(text.contains("without broker-url and peer-tcp"), "{text}");
}
