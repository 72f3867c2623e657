//! The broker whose log this sidecar shares with others.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    ConfigError, Options, TapFormat,
    resolve::Said,
    tls::{check_certificates, malformed, read},
};

/// Longest prefix of names in the broker, which has 255 bytes for each.
const MAX_PREFIX: usize = 64;
/// Longest password in a file, in bytes.
const MAX_PASSWORD: u64 = 4_096;

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What it is.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the broker is, and as whom to come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the options")]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub vhost: String,
    pub user: String,
    pub password: Secret,
    pub prefix: String,
    pub heartbeat_s: u16,
    pub snapshot_every: Duration,
    pub tap_format: TapFormat,
    /// `None`: without TLS.
    pub tls: Option<BrokerTls>,
}

/// The files for TLS with the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerTls {
    /// An authority besides the system's.
    pub ca: Option<PathBuf>,
    /// This client's certificate chain and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What is in those files.
#[derive(Clone, Debug, Default)]
pub struct BrokerPem {
    /// Authorities.
    pub ca: Option<String>,
    /// Certificate chain and private key.
    pub identity: Option<(Vec<u8>, Secret)>,
}

impl BrokerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which one can't be used, and why.
    pub fn load(&self) -> Result<BrokerPem, ConfigError> {
        let text = |file: &Path| {
            String::from_utf8(read(file)?).map_err(|error| malformed(file, error.to_string()))
        };
        let ca = self.ca.as_deref().map(text).transpose()?;
        if let (Some(file), Some(ca)) = (&self.ca, &ca) {
            check_certificates(file, ca.as_bytes())?;
        }
        let identity = match &self.identity {
            None => None,
            Some((cert, key)) => {
                let chain = read(cert)?;
                check_certificates(cert, &chain)?;
                let secret = text(key)?;
                PrivateKeyDer::from_pem_slice(secret.as_bytes())
                    .map_err(|error| malformed(key, format!("no private key in PEM: {error}")))?;
                CertificateDer::from_pem_slice(&chain)
                    .map_err(|error| malformed(cert, error.to_string()))?;
                Some((chain, secret.into()))
            }
        };
        Ok(BrokerPem { ca, identity })
    }
}

/// The broker, if one is configured.
pub(super) fn broker(
    options: &Options,
    said: &Said<'_>,
    heartbeat_s: u16,
    snapshot_every: Duration,
) -> Result<Option<Broker>, ConfigError> {
    let Some(url) = &options.broker_url else {
        return alone(options, said);
    };
    let wrong = |problem: &str| said.wrong("broker-url", problem);
    // Whatever is wrong with it, its text is not shown: a password may be in it.
    let url = Url::parse(url.expose())
        .map_err(|error| wrong(&format!("is no URL ({error}): amqp://USER@HOST:PORT/VHOST")))?;
    let secure = match url.scheme() {
        "amqp" => false,
        "amqps" => true,
        _ => return Err(wrong("begins with amqp:// or amqps://")),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "has nothing after the virtual host: other settings have keys of their own",
        ));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        _ => return Err(wrong("names no host")),
    };
    let decode = |text: &str| decode(text).ok_or_else(|| wrong("has a bad %-escape"));
    let vhost = match url.path().strip_prefix('/') {
        None | Some("") => "/".to_owned(),
        Some(vhost) => decode(vhost)?,
    };
    let user = match url.username() {
        "" => "guest".to_owned(),
        user => decode(user)?,
    };
    let password = password(options, said, &url)?;
    Ok(Some(Broker {
        host,
        port: url.port().unwrap_or(if secure { 5671 } else { 5672 }),
        vhost,
        user,
        password,
        prefix: prefix(options, said)?,
        heartbeat_s,
        snapshot_every,
        tap_format: options.broker_tap_format.unwrap_or(TapFormat::Json),
        tls: tls(options, said, secure)?,
    }))
}

fn alone(options: &Options, said: &Said<'_>) -> Result<Option<Broker>, ConfigError> {
    let others = [
        (
            "broker-password-file",
            options.broker_password_file.is_some(),
        ),
        ("broker-tls-ca", options.broker_tls_ca.is_some()),
        ("broker-tls-cert", options.broker_tls_cert.is_some()),
        ("broker-tls-key", options.broker_tls_key.is_some()),
    ];
    match others.iter().find(|(_, given)| *given) {
        Some((key, _)) => Err(said.wrong(key, "is of no use without broker-url")),
        None => Ok(None),
    }
}

fn password(options: &Options, said: &Said<'_>, url: &Url) -> Result<Secret, ConfigError> {
    match (url.password(), &options.broker_password_file) {
        (Some(_), Some(_)) => Err(said.wrong(
            "broker-password-file",
            "broker-url has a password, too: take it out there",
        )),
        (Some(password), None) => decode(password)
            .map(Secret)
            .ok_or_else(|| said.wrong("broker-url", "has a bad %-escape")),
        (None, Some(file)) => {
            let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
            if size > MAX_PASSWORD {
                let problem = format!("{}: is no password: {size} bytes", file.display());
                return Err(said.wrong("broker-password-file", problem));
            }
            let text = String::from_utf8(read(file)?);
            let text = text.map_err(|_| malformed(file, "is not UTF-8".into()))?;
            Ok(Secret(text.trim_end_matches(['\r', '\n']).into()))
        }
        (None, None) => Ok("guest".into()),
    }
}

fn prefix(options: &Options, said: &Said<'_>) -> Result<String, ConfigError> {
    let prefix = options.broker_prefix.clone().unwrap_or_default();
    let plain = prefix
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match plain && !prefix.is_empty() && prefix.len() <= MAX_PREFIX {
        true => Ok(prefix),
        false => Err(said.wrong(
            "broker-prefix",
            "is 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'",
        )),
    }
}

fn tls(options: &Options, said: &Said<'_>, secure: bool) -> Result<Option<BrokerTls>, ConfigError> {
    let (ca, cert, key) = (
        &options.broker_tls_ca,
        &options.broker_tls_cert,
        &options.broker_tls_key,
    );
    if !secure {
        let given = [
            ("broker-tls-ca", ca),
            ("broker-tls-cert", cert),
            ("broker-tls-key", key),
        ];
        return match given.iter().find(|(_, file)| file.is_some()) {
            Some((key, _)) => Err(said.wrong(key, "needs a broker-url with amqps://")),
            None => Ok(None),
        };
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(said.wrong("broker-tls-cert", "needs broker-tls-key")),
        (None, Some(_)) => return Err(said.wrong("broker-tls-key", "needs broker-tls-cert")),
    };
    Ok(Some(BrokerTls {
        ca: ca.clone(),
        identity,
    }))
}

/// Undoes %-escapes.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
