//! TLS with the broker, and who may come.

use std::{fs, time::Duration};

use dynomesh_proto::v1::{AppStatus, DynoState, LogState};
use e2e::{
    Mesh,
    harness::{Broker, Manager, Sidecar, run_within, wait},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::create;

const LIMIT: Duration = Duration::from_secs(150);

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        // What has the name of its issuer is taken for its own issuer.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for `localhost`.
    pub(crate) fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let name = "localhost";
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Gives a sidecar files, by flag and name.
pub(crate) fn write_files<const N: usize>(sidecar: &mut Sidecar, files: [(&str, &str, String); N]) {
    for (flag, name, text) in files {
        let path = sidecar.dir().join(name);
        fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        sidecar.more.extend([flag.to_owned(), path]);
    }
}

#[test]
fn both_sides_show_who_they_are() {
    run_within(LIMIT, async {
        let authority = Authority::new("one");
        let (chain, key) = authority.issue();
        let broker = Broker::start_secure(&authority.0.pem(), &chain, &key).await;
        let url = format!("amqps://guest@localhost:{}/%2f", broker.secure_port());
        let with = |authority: &Authority, trusted: &Authority, node: &str| {
            let mut sidecar = Sidecar::make(&url, "mesh", node);
            let (chain, key) = authority.issue();
            let files = [
                ("--broker-tls-ca", "ca.pem", trusted.pem()),
                ("--broker-tls-cert", "cert.pem", chain),
                ("--broker-tls-key", "key.pem", key),
                ("--broker-password-file", "password", "guest\n".to_owned()),
            ];
            write_files(&mut sidecar, files);
            sidecar
        };
        let mut good = with(&authority, &authority, "good");
        good.start_again().await;
        good.until_in_sync().await;
        assert_eq!(create(&good, "shop").await, 1);

        let stranger = Authority::new("another");
        for mut bad in [
            with(&stranger, &authority, "unknown"),
            with(&authority, &stranger, "wary"),
        ] {
            bad.start_again().await;
            wait::until("it says what is wrong", async || {
                let status = bad.log_status().await;
                let problem = status.problem.to_lowercase();
                status.state() == LogState::Away
                    && ["certificate", "alert", "unknownca"]
                        .iter()
                        .any(|word| problem.contains(word))
            })
            .await;
            assert!(!bad.status().await.ready, "it never had the table");
            bad.stop().await;
        }
    });
}

#[test]
fn a_manager_without_a_sidecar_shows_who_it_is() {
    run_within(LIMIT, async {
        let authority = Authority::new("one");
        let (chain, key) = authority.issue();
        let broker = Broker::start_secure(&authority.0.pem(), &chain, &key).await;
        let sidecar = Sidecar::start(&broker.url(), "mesh", "n").await;
        let mesh = Mesh::builder().without_sidecar().start().await;
        let (chain, key) = authority.issue();
        let mut apps = String::new();
        for (option, name, text) in [
            ("broker-tls-ca", "ca.pem", authority.0.pem()),
            ("broker-tls-cert", "cert.pem", chain),
            ("broker-tls-key", "key.pem", key),
            ("broker-password-file", "password", "guest\n".to_owned()),
        ] {
            fs::write(mesh.dir().join(name), text).unwrap();
            apps += &format!("{option} = 'DIR/{name}'\n");
        }
        apps += "[apps.shop]\ncommand = ['SAMPLE', '--app', 'shop']\nmin = 1\n";
        let url = format!("amqps://guest@localhost:{}/%2f", broker.secure_port());
        let manager = Manager::start_at_broker(&mesh, &url, "mesh", &apps).await;
        let up = |status: &AppStatus| {
            let dynos = status.app.as_ref().map(|app| &*app.dynos);
            matches!(dynos, Some([dyno]) if dyno.state() == DynoState::Up)
        };
        sidecar.control().until_app("shop", "it is up", up).await;
        manager.finish().await;
        // It has said so before it ended.
        let asleep = |status: &AppStatus| status.dynos.is_empty();
        sidecar
            .control()
            .until_app("shop", "none is left", asleep)
            .await;
    });
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let url = format!("amqp://guest:s3cret@127.0.0.1:{}/%2f", broker.port());
        let mut sidecar = Sidecar::make(&url, "mesh", "n");
        sidecar.start_again().await;
        wait::until("it says so", async || {
            let problem = sidecar.log_status().await.problem;
            problem.contains("ACCESS") || problem.contains("refused")
        })
        .await;
        let told = sidecar.ctl("status --json").await;
        assert_eq!(told.code, 3, "{told:?}");
        for shown in [sidecar.log(), told.stdout, told.stderr] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        sidecar.stop().await;
    });
}
