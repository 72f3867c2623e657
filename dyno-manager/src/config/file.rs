//! The file as it is written, and what it comes to.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::ensure;
use serde::Deserialize;

use super::{
    AppConfig, Config,
    broker::{Keys, Secret},
    span::Span,
};

/// Most apps of one manager.
const MAX_APPS: usize = 1_000;
/// Most dynos of one app.
const MAX_DYNOS: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default = "address")]
    address: IpAddr,
    #[serde(default)]
    apps: BTreeMap<String, App>,
    // As in meshd.toml.
    #[serde(rename = "broker-url")]
    broker_url: Option<Secret>,
    #[serde(rename = "broker-password-file")]
    broker_password_file: Option<PathBuf>,
    #[serde(rename = "broker-prefix")]
    broker_prefix: Option<String>,
    #[serde(rename = "broker-heartbeat-s")]
    broker_heartbeat_s: Option<u16>,
    #[serde(rename = "broker-queue")]
    broker_queue: Option<String>,
    #[serde(rename = "broker-tls-ca")]
    broker_tls_ca: Option<PathBuf>,
    #[serde(rename = "broker-tls-cert")]
    broker_tls_cert: Option<PathBuf>,
    #[serde(rename = "broker-tls-key")]
    broker_tls_key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    dir: Option<PathBuf>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    min: u32,
    #[serde(default = "one")]
    max: u32,
    #[serde(default = "one")]
    limit: u32,
    #[serde(default = "idle_timeout")]
    idle_timeout: Span,
    #[serde(default = "scale_wait")]
    scale_wait: Span,
    #[serde(default = "boot_timeout")]
    boot_timeout: Span,
    health: Option<String>,
    #[serde(default = "stop_timeout")]
    stop_timeout: Span,
    #[serde(default = "drain_timeout")]
    drain_timeout: Span,
}

fn address() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

fn one() -> u32 {
    1
}

fn idle_timeout() -> Span {
    Span::from_secs(30 * 60)
}

fn scale_wait() -> Span {
    Span::from_secs(1)
}

fn boot_timeout() -> Span {
    Span::from_secs(60)
}

fn stop_timeout() -> Span {
    Span::from_secs(10)
}

fn drain_timeout() -> Span {
    Span::from_secs(60)
}

impl File {
    pub(super) fn check(self) -> anyhow::Result<Config> {
        ensure!(
            self.apps.len() <= MAX_APPS,
            "apps: there are {}, the most is {MAX_APPS}",
            self.apps.len()
        );
        let address = self.address;
        ensure!(
            !address.is_unspecified(),
            "address: {address} is no address of this host that others can reach"
        );
        let keys = Keys {
            url: self.broker_url,
            password_file: self.broker_password_file,
            prefix: self.broker_prefix,
            heartbeat_s: self.broker_heartbeat_s,
            queue: self.broker_queue,
            tls_ca: self.broker_tls_ca,
            tls_cert: self.broker_tls_cert,
            tls_key: self.broker_tls_key,
        };
        let apps = self.apps.into_iter();
        let apps = apps.map(|(name, app)| app.check(name, address));
        Ok(Config {
            apps: apps.collect::<anyhow::Result<_>>()?,
            broker: keys.check()?,
        })
    }
}

impl App {
    fn check(self, name: String, address: IpAddr) -> anyhow::Result<AppConfig> {
        let key = |key: &str| format!("apps.{name}.{key}");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            (1..=128).contains(&name.len())
                && name.bytes().all(plain)
                && !(name.starts_with('-') || name.ends_with('-')),
            "apps.{name}: the name of an app is 1 to 128 of a-z, 0-9, '-', which is inside"
        );
        ensure!(
            self.command.first().is_some_and(|word| !word.is_empty()),
            "{}: it must begin with a program",
            key("command")
        );
        ensure!(
            (1..=MAX_DYNOS).contains(&self.max),
            "{}: it is 1 to {MAX_DYNOS}, not {}",
            key("max"),
            self.max
        );
        ensure!(
            self.min <= self.max,
            "{}: {} is more than max, which is {}",
            key("min"),
            self.min,
            self.max
        );
        ensure!(self.limit > 0, "{}: it is at least 1", key("limit"));
        if let Some(path) = &self.health {
            let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(
                plain,
                "{}: \"{path}\" is no path like /health",
                key("health")
            );
        }
        if let Some(dir) = &self.dir {
            ensure!(
                dir.is_dir(),
                "{}: {} is no directory",
                key("dir"),
                dir.display()
            );
        }
        Ok(AppConfig {
            idle_timeout: self
                .idle_timeout
                .within(&key("idle_timeout"), 1_000, 604_800_000)?,
            scale_wait: self.scale_wait.within(&key("scale_wait"), 10, 3_600_000)?,
            boot_timeout: self.boot_timeout.some(&key("boot_timeout"))?,
            stop_timeout: self.stop_timeout.some(&key("stop_timeout"))?,
            drain_timeout: self.drain_timeout.some(&key("drain_timeout"))?,
            name,
            address,
            command: self.command,
            env: self.env,
            dir: self.dir,
            domains: self.domains,
            min: self.min,
            max: self.max,
            limit: self.limit,
            health: self.health,
        })
    }
}
