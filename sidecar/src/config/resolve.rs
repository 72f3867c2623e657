//! From what was said to what is in effect.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use dynomesh_proto::place;
use mesh::Limits;
use toml::Table;

use super::{
    Authorizers, Broker, Cli, ConfigError, LogFormat, LogLevel, Options, PeerAddress, Peers,
    TapFormat, Tcp, Traces, Web, address, authorizers,
    bounds::NUMBERS,
    broker,
    mode::Mode,
    paths::{CONFIG_FILE, Places, host_name},
    peers, tls, traces, web,
};
use crate::listen::{Pings, SocketOptions, group_id};

/// What is in effect, ready for use.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "see the options")]
pub struct Config {
    pub node: String,
    pub data_dir: PathBuf,
    pub router: SocketOptions,
    pub control: SocketOptions,
    pub router_tcp: Option<Tcp>,
    pub control_tcp: Option<Tcp>,
    pub peer_tcp: Option<Tcp>,
    /// Of a sidecar that is a member.
    pub peer_address: Option<PeerAddress>,
    pub peers: Option<Peers>,
    pub web: Option<Web>,
    pub broker: Option<Broker>,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    pub limits: Limits,
    pub auth_threads: usize,
    pub authorizers: Authorizers,
    pub traces: Option<Traces>,
    pub pings: Pings,
    /// The directory of sockets that nobody chose: it is made if need be.
    pub own_directory: Option<PathBuf>,
}

impl Config {
    /// Looks at the files that it names.
    ///
    /// # Errors
    /// Which one can't be used, and why.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        let all = [&self.router_tcp, &self.control_tcp, &self.peer_tcp];
        for tcp in all.into_iter().flatten() {
            tcp.tls.load()?;
        }
        if let Some(tls) = self.broker.as_ref().and_then(|broker| broker.tls.as_ref()) {
            tls.load()?;
        }
        if let Some(peers) = &self.peers {
            peers.load()?;
        }
        self.authorizers.load()?;
        if let Some(traces) = &self.traces {
            traces.load()?;
        }
        Ok(())
    }
}

/// A configuration with the settings that it came from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Every setting, defaults included.
    pub options: Options,
    /// The same, ready for use.
    pub config: Config,
}

impl Effective {
    /// Reads the file and puts the command line, which has the environment in
    /// it, on top.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed.
    pub fn from_cli(cli: &Cli) -> Result<Self, ConfigError> {
        let file = match &cli.config {
            Some(file) => Some((file.clone(), read(file)?)),
            None if Path::new(CONFIG_FILE).exists() => {
                Some((CONFIG_FILE.into(), read(Path::new(CONFIG_FILE))?))
            }
            None => None,
        };
        resolve(&cli.options, file.as_ref(), &Places::of_user())
    }
}

fn read(file: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(file).map_err(|error| ConfigError::Unreadable {
        file: file.into(),
        error,
    })?;
    let malformed = |error: toml::de::Error| ConfigError::Malformed {
        file: file.into(),
        // It shows the line, in which there may be a password.
        error: match error.to_string().contains("broker-url") {
            true => error.message().into(),
            false => error.to_string().trim_end().into(),
        },
    };
    // Read as options first: its errors show the line.
    toml::from_str::<Options>(&text).map_err(malformed)?;
    toml::from_str(&text).map_err(malformed)
}

/// Who said what.
pub(super) struct Said<'a> {
    flags: Table,
    file: Option<&'a (PathBuf, Table)>,
}

impl Said<'_> {
    fn origin(&self, key: &str) -> String {
        let variable = key.replace('-', "_").to_uppercase();
        match self.file {
            Some((file, table)) if !self.flags.contains_key(key) && table.contains_key(key) => {
                format!("{}: {key}", file.display())
            }
            _ => format!("--{key} (or DYNOMESH_{variable})"),
        }
    }

    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            origin: self.origin(key),
            problem: problem.into(),
        }
    }
}

fn resolve(
    flags: &Options,
    file: Option<&(PathBuf, Table)>,
    places: &Places,
) -> Result<Effective, ConfigError> {
    let other = |error: String| ConfigError::Other(error);
    let said = Said {
        flags: Table::try_from(flags).map_err(|e| other(e.to_string()))?,
        file,
    };
    let mut all = file.map(|(_, table)| table.clone()).unwrap_or_default();
    all.extend(said.flags.clone());
    let mut options: Options = all
        .try_into()
        .map_err(|e: toml::de::Error| other(e.to_string()))?;

    let own_directory = fill(&mut options, places)?;
    for number in &NUMBERS {
        let value = *(number.field)(&mut options).get_or_insert(number.default);
        if value < number.least || value > number.most {
            let problem = format!("{value} is not in {} to {}", number.least, number.most);
            return Err(said.wrong(number.key, problem));
        }
    }
    let config = config(&options, &said, own_directory)?;
    // The settings are shown.
    options.broker_url = options.broker_url.map(|_| "(secret)".into());
    Ok(Effective { options, config })
}

/// Defaults of everything but the numbers. Returns the directory to make.
fn fill(options: &mut Options, places: &Places) -> Result<Option<PathBuf>, ConfigError> {
    let no_place = |what: &str, variable: &str, key: &str| {
        ConfigError::Other(format!(
            "there is no place for {what}: set {variable}, or --{key}"
        ))
    };
    if options.data_dir.is_none() {
        let place = places.data.clone();
        options.data_dir =
            Some(place.ok_or_else(|| no_place("the data", "XDG_STATE_HOME", "data-dir"))?);
    }
    let mut own = None;
    let sockets = [
        (
            &mut options.router_socket,
            place::ROUTER_SOCKET,
            "router-socket",
        ),
        (
            &mut options.control_socket,
            place::CONTROL_SOCKET,
            "control-socket",
        ),
    ];
    for (socket, name, key) in sockets {
        if socket.is_none() {
            let place = places.run.clone();
            let place = place.ok_or_else(|| no_place("sockets", "XDG_RUNTIME_DIR", key))?;
            *socket = Some(place.join(name));
            own = Some(place);
        }
    }
    options.node.get_or_insert_with(host_name);
    options.router_socket_mode.get_or_insert(Mode(0o660));
    options.control_socket_mode.get_or_insert(Mode(0o660));
    options.broker_prefix.get_or_insert_with(|| "mesh".into());
    options.log_level.get_or_insert(LogLevel::Info);
    options.broker_tap_format.get_or_insert(TapFormat::Json);
    options.log_format.get_or_insert(LogFormat::Text);
    Ok(own)
}

fn config(
    options: &Options,
    said: &Said<'_>,
    own_directory: Option<PathBuf>,
) -> Result<Config, ConfigError> {
    let node = options.node.clone().unwrap_or_default();
    if node.is_empty() || node.len() > 255 || node.chars().any(char::is_control) {
        return Err(said.wrong(
            "node",
            "a name has 1 to 255 bytes and no control characters",
        ));
    }
    let group = |key: &str, group: &Option<String>| match group {
        None => Ok(None),
        Some(name) => match group_id(name) {
            Some(id) => Ok(Some(id)),
            None => Err(said.wrong(key, format!("there is no group \"{name}\""))),
        },
    };
    let mode = |mode: Option<Mode>| mode.map_or(0o660, |mode| mode.0);
    let router = SocketOptions {
        path: options.router_socket.clone().unwrap_or_default(),
        mode: mode(options.router_socket_mode),
        group: group("router-socket-group", &options.router_socket_group)?,
    };
    let control = SocketOptions {
        path: options.control_socket.clone().unwrap_or_default(),
        mode: mode(options.control_socket_mode),
        group: group("control-socket-group", &options.control_socket_group)?,
    };
    if router.path == control.path {
        return Err(said.wrong("control-socket", "routers and operators need a socket each"));
    }
    let heartbeat_s = u16::try_from(options.broker_heartbeat_s.unwrap_or(0)).unwrap_or(u16::MAX);
    let snapshot_every = Duration::from_secs(options.broker_snapshot_every_s.unwrap_or(0));
    let broker = broker::broker(options, said, heartbeat_s, snapshot_every)?;
    let [router_tcp, control_tcp, peer_tcp] = tls::services(options, said)?;
    let peer_address = address::peer_address(options, said)?;
    let peers = peers::peers(options, said)?;
    let web = web::web(options, said)?;
    let limits = limits(options);
    if limits.quarantine_longest < limits.quarantine_first {
        let problem = "may not be shorter than quarantine-first-ms";
        return Err(said.wrong("quarantine-longest-ms", problem));
    }
    Ok(Config {
        node,
        data_dir: options.data_dir.clone().unwrap_or_default(),
        router,
        control,
        router_tcp,
        control_tcp,
        peer_tcp,
        peer_address,
        peers,
        web,
        broker,
        log_level: options.log_level.unwrap_or(LogLevel::Info),
        log_format: options.log_format.unwrap_or(LogFormat::Text),
        limits,
        authorizers: authorizers::authorizers(options, said)?,
        traces: traces::traces(options, said)?,
        auth_threads: options.auth_threads.map_or(1, |n| n as usize),
        pings: Pings {
            every: millis(options.ping_every_ms),
            within: millis(options.ping_within_ms),
        },
        own_directory,
    })
}

fn limits(options: &Options) -> Limits {
    let count = |n: Option<u64>| {
        n.and_then(|n| usize::try_from(n).ok())
            .unwrap_or(usize::MAX)
    };
    Limits {
        apps: count(options.max_apps),
        dynos: count(options.max_dynos),
        dynos_per_app: count(options.max_dynos_per_app),
        domains_per_app: count(options.max_domains_per_app),
        waiting: count(options.max_waiting),
        sessions: count(options.max_sessions),
        reserved: options
            .max_reserved
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        asks_per_session: count(options.max_asks_per_session),
        node_patience: Limits::default().node_patience,
        asks_per_peer: Limits::default().asks_per_peer,
        owner_patience: Limits::default().owner_patience,
        recall_patience: Limits::default().recall_patience,
        session_grace: millis(options.session_grace_ms),
        recovery: millis(options.recovery_ms),
        longest_request: Duration::from_secs(options.longest_request_s.unwrap_or(0)),
        quarantine_first: millis(options.quarantine_first_ms),
        quarantine_longest: millis(options.quarantine_longest_ms),
    }
}

fn millis(ms: Option<u64>) -> Duration {
    Duration::from_millis(ms.unwrap_or(0))
}
