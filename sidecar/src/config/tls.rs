//! What TCP needs: mutual TLS, with an authority of its own for each service, so
//! that a router's certificate is worth nothing to an operator.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, Server, ServerTlsConfig};

use super::{ConfigError, Options, resolve::Said};

/// A peer that connects has this long for its part of the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Where a service is reached over TCP, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// What is listened to.
    pub address: SocketAddr,
    /// Never without.
    pub tls: TlsFiles,
}

/// The files for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authority of the peers.
    pub client_ca: PathBuf,
}

/// A service's own settings.
struct Service<'a> {
    tcp_key: &'a str,
    tcp: Option<SocketAddr>,
    ca_key: &'a str,
    ca: &'a Option<PathBuf>,
}

/// For routers, for operators and for other sidecars, if they are served over TCP.
pub(super) fn services(
    options: &Options,
    said: &Said<'_>,
) -> Result<[Option<Tcp>; 3], ConfigError> {
    let router = Service {
        tcp_key: "router-tcp",
        tcp: options.router_tcp,
        ca_key: "router-tls-client-ca",
        ca: &options.router_tls_client_ca,
    };
    let control = Service {
        tcp_key: "control-tcp",
        tcp: options.control_tcp,
        ca_key: "control-tls-client-ca",
        ca: &options.control_tls_client_ca,
    };
    let has_peers = options
        .peers
        .as_ref()
        .is_some_and(|peers| !peers.is_empty());
    let peer = match (options.peer_tcp, has_peers) {
        // Its files are for coming to others.
        (None, true) => None,
        (tcp, _) => Service {
            tcp_key: "peer-tcp",
            tcp,
            ca_key: "peer-tls-ca",
            ca: &options.peer_tls_ca,
        }
        .tcp(options, said)?,
    };
    let services = [
        router.tcp(options, said)?,
        control.tcp(options, said)?,
        peer,
    ];
    let own = [
        ("tls-cert", &options.tls_cert),
        ("tls-key", &options.tls_key),
    ];
    match own.iter().find(|(_, file)| file.is_some()) {
        Some((key, _)) if services == [None, None, None] && !has_peers => Err(said.wrong(
            key,
            "is of no use without router-tcp or control-tcp, peer-tcp or peers",
        )),
        _ => Ok(services),
    }
}

impl Service<'_> {
    /// With TCP all files are needed, without none.
    fn tcp(&self, options: &Options, said: &Said<'_>) -> Result<Option<Tcp>, ConfigError> {
        let Some(address) = self.tcp else {
            return match self.ca {
                None => Ok(None),
                Some(_) => {
                    let problem = format!("is of no use without {}", self.tcp_key);
                    Err(said.wrong(self.ca_key, problem))
                }
            };
        };
        let files = [
            ("tls-cert", &options.tls_cert),
            ("tls-key", &options.tls_key),
            (self.ca_key, self.ca),
        ];
        if let [Some(cert), Some(key), Some(client_ca)] = files.map(|(_, file)| file) {
            let (cert, key, client_ca) = (cert.clone(), key.clone(), client_ca.clone());
            let tls = TlsFiles {
                cert,
                key,
                client_ca,
            };
            return Ok(Some(Tcp { address, tls }));
        }
        let missing: Vec<_> = files
            .iter()
            .filter(|(_, file)| file.is_none())
            .map(|(key, _)| *key)
            .collect();
        let problem = format!("needs mutual TLS: set {}, too", missing.join(", "));
        Err(said.wrong(self.tcp_key, problem))
    }
}

impl TlsFiles {
    /// Reads the files, to come to others of the same authority.
    ///
    /// # Errors
    /// Which one can't be used, and why.
    pub fn load_client(&self) -> Result<ClientTlsConfig, ConfigError> {
        let (cert, key, ca) = (read(&self.cert)?, read(&self.key)?, read(&self.client_ca)?);
        check_certificates(&self.cert, &cert)?;
        check_certificates(&self.client_ca, &ca)?;
        Ok(ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca))
            .identity(Identity::from_pem(cert, key)))
    }

    /// Reads the files and tries them, so that it is known which one is wrong.
    ///
    /// # Errors
    /// Which file can't be read, is not what it should be, or does not fit.
    pub fn load(&self) -> Result<ServerTlsConfig, ConfigError> {
        let (cert, key, ca) = (read(&self.cert)?, read(&self.key)?, read(&self.client_ca)?);
        check_certificates(&self.cert, &cert)?;
        PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| malformed(&self.key, format!("no private key in PEM: {error}")))?;
        check_certificates(&self.client_ca, &ca)?;

        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(cert, key))
            .timeout(HANDSHAKE_WITHIN);
        attempt(&tls).map_err(|why| {
            let problem = format!("does not go with {}: {why}", self.key.display());
            malformed(&self.cert, problem)
        })?;
        let tls = tls.client_ca_root(Certificate::from_pem(ca));
        attempt(&tls).map_err(|why| malformed(&self.client_ca, format!("no authority: {why}")))?;
        Ok(tls)
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(file).map_err(|error| ConfigError::Unreadable {
        file: file.into(),
        error,
    })
}

pub(super) fn malformed(file: &Path, error: String) -> ConfigError {
    ConfigError::Malformed {
        file: file.into(),
        error,
    }
}

pub(super) fn check_certificates(file: &Path, text: &[u8]) -> Result<(), ConfigError> {
    let mut all = CertificateDer::pem_slice_iter(text).peekable();
    if all.peek().is_none() {
        return Err(malformed(file, "no certificate in PEM".into()));
    }
    match all.find_map(Result::err) {
        Some(error) => Err(malformed(file, format!("no certificate in PEM: {error}"))),
        None => Ok(()),
    }
}

/// What a server would say to it.
fn attempt(tls: &ServerTlsConfig) -> Result<(), String> {
    let tried = Server::builder().tls_config(tls.clone());
    tried.map(drop).map_err(|error| {
        let cause = std::error::Error::source(&error);
        cause.map_or_else(|| error.to_string(), ToString::to_string)
    })
}
