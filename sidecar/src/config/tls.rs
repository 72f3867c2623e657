//! What TCP needs.

use std::{fs, path::PathBuf, time::Duration};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::{ConfigError, Options};

/// A peer that connects has this long for its part of the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

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

impl TlsFiles {
    /// All three, or none; with TCP all three.
    pub(super) fn of(options: &Options) -> Result<Option<Self>, ConfigError> {
        let given = [
            ("tls-cert", &options.tls_cert),
            ("tls-key", &options.tls_key),
            ("tls-client-ca", &options.tls_client_ca),
        ];
        if let [Some(cert), Some(key), Some(client_ca)] = given.map(|(_, file)| file) {
            let (cert, key, client_ca) = (cert.clone(), key.clone(), client_ca.clone());
            return Ok(Some(Self {
                cert,
                key,
                client_ca,
            }));
        }
        let missing: Vec<_> = given
            .iter()
            .filter(|(_, file)| file.is_none())
            .map(|(key, _)| *key)
            .collect();
        let tcp = match (options.router_tcp, options.control_tcp) {
            (Some(_), _) => Some("router-tcp"),
            (_, Some(_)) => Some("control-tcp"),
            _ => None,
        };
        match tcp {
            None if missing.len() == given.len() => Ok(None),
            None => Err(ConfigError::Other(format!(
                "tls-cert, tls-key and tls-client-ca belong together: {} is missing",
                missing.join(", ")
            ))),
            Some(tcp) => Err(ConfigError::Other(format!(
                "{tcp} needs mutual TLS: {} is missing",
                missing.join(", ")
            ))),
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Which one can't be read.
    pub fn load(&self) -> Result<ServerTlsConfig, ConfigError> {
        let read = |file: &PathBuf| {
            let file = file.clone();
            fs::read(&file).map_err(|error| ConfigError::Unreadable { file, error })
        };
        Ok(ServerTlsConfig::new()
            .identity(Identity::from_pem(read(&self.cert)?, read(&self.key)?))
            .client_ca_root(Certificate::from_pem(read(&self.client_ca)?))
            .timeout(HANDSHAKE_WITHIN))
    }
}
