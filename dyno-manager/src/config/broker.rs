//! The broker, for a manager that has no sidecar. The keys are those of meshd.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use url::{Host, Url};

/// Longest name that is chosen, of a prefix or a queue: the broker has 255 bytes.
const MAX_NAME: usize = 64;
/// Most bytes of a file with a password or certificates.
const MAX_FILE: u64 = 1 << 20;
/// Seconds after which a silent broker is looked at, unless set.
const HEARTBEAT_S: u16 = 5;

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the broker is, as whom to come, and what things are called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) vhost: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) heartbeat_s: u16,
    /// `None`: without TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) prefix: String,
    /// The queue that is this manager's.
    pub(crate) queue: String,
    /// This manager, for people.
    pub(crate) node: String,
}

/// What TLS needs, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// An authority besides the system's.
    pub(crate) ca: Option<String>,
    /// Certificate chain and private key.
    pub(crate) identity: Option<(String, Secret)>,
}

/// As written.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) url: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) prefix: Option<String>,
    pub(super) heartbeat_s: Option<u16>,
    pub(super) queue: Option<String>,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
}

impl Keys {
    pub(super) fn check(self) -> anyhow::Result<Option<Broker>> {
        let Some(url) = &self.url else {
            return self.none();
        };
        // Its text is not shown, whatever is wrong: a password may be in it.
        let url = Url::parse(url.expose()).map_err(|error| {
            anyhow::anyhow!("broker-url: is no URL ({error}): amqp://USER@HOST:PORT/VHOST")
        })?;
        let secure = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            _ => bail!("broker-url: begins with amqp:// or amqps://"),
        };
        ensure!(
            url.query().is_none() && url.fragment().is_none(),
            "broker-url: has nothing after the virtual host"
        );
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => bail!("broker-url: names no host"),
        };
        let vhost = match url.path().strip_prefix('/') {
            None | Some("") => "/".to_owned(),
            Some(vhost) => decode(vhost)?,
        };
        let user = match url.username() {
            "" => "guest".to_owned(),
            user => decode(user)?,
        };
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy().into_owned();
        let prefix = plain("broker-prefix", self.prefix.as_deref().unwrap_or("mesh"))?;
        let queue = self.queue.as_deref().unwrap_or(&name);
        let heartbeat_s = self.heartbeat_s.unwrap_or(HEARTBEAT_S);
        ensure!(
            (1..=60).contains(&heartbeat_s),
            "broker-heartbeat-s: it is 1 to 60"
        );
        Ok(Some(Broker {
            port: url.port().unwrap_or(if secure { 5671 } else { 5672 }),
            password: self.password(&url)?,
            tls: self.tls(secure)?,
            queue: format!("{prefix}.manager.{}", plain("broker-queue", queue)?),
            node: format!("dyno-manager {name}"),
            host,
            vhost,
            user,
            heartbeat_s,
            prefix,
        }))
    }

    fn none(&self) -> anyhow::Result<Option<Broker>> {
        for (key, given) in [
            ("broker-password-file", self.password_file.is_some()),
            ("broker-prefix", self.prefix.is_some()),
            ("broker-heartbeat-s", self.heartbeat_s.is_some()),
            ("broker-queue", self.queue.is_some()),
            ("broker-tls-ca", self.tls_ca.is_some()),
            ("broker-tls-cert", self.tls_cert.is_some()),
            ("broker-tls-key", self.tls_key.is_some()),
        ] {
            ensure!(!given, "{key}: is of no use without broker-url");
        }
        Ok(None)
    }

    fn password(&self, url: &Url) -> anyhow::Result<Secret> {
        Ok(Secret(match (url.password(), &self.password_file) {
            (Some(_), Some(_)) => {
                bail!("broker-password-file: broker-url has a password, too: take it out there")
            }
            (Some(password), None) => decode(password)?,
            (None, Some(file)) => {
                let text = read("broker-password-file", file)?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, None) => "guest".to_owned(),
        }))
    }

    fn tls(&self, secure: bool) -> anyhow::Result<Option<Tls>> {
        let text = |key: &str, file: &Option<PathBuf>| {
            let text = file.as_deref().map(|file| read(key, file));
            text.transpose()
        };
        let ca = text("broker-tls-ca", &self.tls_ca)?;
        let cert = text("broker-tls-cert", &self.tls_cert)?;
        let key = text("broker-tls-key", &self.tls_key)?;
        if !secure {
            let given = ca.is_some() || cert.is_some() || key.is_some();
            ensure!(!given, "broker-tls-…: needs a broker-url with amqps://");
            return Ok(None);
        }
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, Secret(key))),
            (None, None) => None,
            _ => bail!("broker-tls-cert and broker-tls-key: they need each other"),
        };
        Ok(Some(Tls { ca, identity }))
    }
}

fn plain(key: &str, name: &str) -> anyhow::Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ensure!(
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain),
        "{key}: \"{name}\" is not 1 to {MAX_NAME} of A-Z, a-z, 0-9, '.', '_', '-'"
    );
    Ok(name.to_owned())
}

fn read(key: &str, file: &Path) -> anyhow::Result<String> {
    let context = || format!("{key}: cannot read {}", file.display());
    let size = fs::metadata(file).with_context(context)?.len();
    ensure!(size <= MAX_FILE, "{key}: has {size} bytes, too many");
    fs::read_to_string(file).with_context(context)
}

/// Undoes %-escapes.
fn decode(text: &str) -> anyhow::Result<String> {
    let undo = || {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).ok()
    };
    undo().context("broker-url: has a bad %-escape")
}
