//! Everything that can be set. One definition for the file, the environment and
//! the command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{broker::Secret, mode::Mode};

/// The sidecar of the mesh: decides which dyno serves a request.
#[derive(Debug, Parser)]
#[command(name = "meshd", version, max_term_width = 100)]
pub struct Cli {
    /// Configuration file (TOML, keys as the long flags) [default: /etc/dynomesh/meshd.toml, if it exists]
    #[arg(long, env = "DYNOMESH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    pub check: bool,
    /// Print the settings in effect as TOML and exit
    #[arg(long)]
    pub print_config: bool,
    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

/// Detail of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the usual levels")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Form of requests at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TapFormat {
    /// Proto3's JSON mapping.
    Json,
    /// Protobuf.
    Protobuf,
}

/// The settings; what is not set has a default.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[allow(missing_docs, reason = "the helps say it")]
pub struct Options {
    /// This host's name in answers and logs [default: the host name]
    #[arg(long, env = "DYNOMESH_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// Directory of the disk copy [default: /var/lib/dynomesh]
    #[arg(long, env = "DYNOMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Socket for routers [default: /run/dynomesh/router.sock]
    #[arg(
        long,
        env = "DYNOMESH_ROUTER_SOCKET",
        value_name = "PATH",
        help_heading = "Sockets"
    )]
    pub router_socket: Option<PathBuf>,
    /// Its permissions, octal [default: 0660]
    #[arg(
        long,
        env = "DYNOMESH_ROUTER_SOCKET_MODE",
        value_name = "MODE",
        help_heading = "Sockets"
    )]
    pub router_socket_mode: Option<Mode>,
    /// Its group, by name or number
    #[arg(
        long,
        env = "DYNOMESH_ROUTER_SOCKET_GROUP",
        value_name = "GROUP",
        help_heading = "Sockets"
    )]
    pub router_socket_group: Option<String>,
    /// Socket for operators [default: /run/dynomesh/control.sock]
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_SOCKET",
        value_name = "PATH",
        help_heading = "Sockets"
    )]
    pub control_socket: Option<PathBuf>,
    /// Its permissions, octal [default: 0660]
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_SOCKET_MODE",
        value_name = "MODE",
        help_heading = "Sockets"
    )]
    pub control_socket_mode: Option<Mode>,
    /// Its group, by name or number
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_SOCKET_GROUP",
        value_name = "GROUP",
        help_heading = "Sockets"
    )]
    pub control_socket_group: Option<String>,

    /// Serve routers over TCP too, with mutual TLS
    #[arg(
        long,
        env = "DYNOMESH_ROUTER_TCP",
        value_name = "IP:PORT",
        help_heading = "TCP"
    )]
    pub router_tcp: Option<SocketAddr>,
    /// Serve operators over TCP too, with mutual TLS
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_TCP",
        value_name = "IP:PORT",
        help_heading = "TCP"
    )]
    pub control_tcp: Option<SocketAddr>,
    /// Give other sidecars the table over TCP, with mutual TLS
    #[arg(
        long,
        env = "DYNOMESH_PEER_TCP",
        value_name = "IP:PORT",
        help_heading = "TCP"
    )]
    pub peer_tcp: Option<SocketAddr>,
    /// Where other sidecars reach it: a name or an IP that this one's certificate is
    /// for, and a port, 0 for the one of peer-tcp [default: peer-tcp, if that is an IP
    /// of this host]
    #[arg(
        long,
        env = "DYNOMESH_PEER_ADDRESS",
        value_name = "HOST:PORT",
        help_heading = "TCP"
    )]
    pub peer_address: Option<String>,
    /// Sidecars that this one may get the table of when it has none:
    /// https://HOST:PORT of their peer-tcp
    #[arg(
        long,
        env = "DYNOMESH_PEERS",
        value_name = "URL",
        value_delimiter = ',',
        help_heading = "TCP"
    )]
    pub peers: Option<Vec<String>>,
    /// The authority that the certificates of sidecars are from (PEM)
    #[arg(
        long,
        env = "DYNOMESH_PEER_TLS_CA",
        value_name = "FILE",
        help_heading = "TCP"
    )]
    pub peer_tls_ca: Option<PathBuf>,
    /// This server's certificate chain (PEM)
    #[arg(
        long,
        env = "DYNOMESH_TLS_CERT",
        value_name = "FILE",
        help_heading = "TCP"
    )]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(
        long,
        env = "DYNOMESH_TLS_KEY",
        value_name = "FILE",
        help_heading = "TCP"
    )]
    pub tls_key: Option<PathBuf>,
    /// The authority that routers' certificates must be from (PEM)
    #[arg(
        long,
        env = "DYNOMESH_ROUTER_TLS_CLIENT_CA",
        value_name = "FILE",
        help_heading = "TCP"
    )]
    pub router_tls_client_ca: Option<PathBuf>,
    /// The authority that operators' certificates must be from (PEM): not the
    /// routers' one, since operators may do anything
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_TLS_CLIENT_CA",
        value_name = "FILE",
        help_heading = "TCP"
    )]
    pub control_tls_client_ca: Option<PathBuf>,

    /// Show a page and metrics over HTTP: at 127.0.0.1:9280 to who is on this host, elsewhere with a token
    #[arg(
        long,
        env = "DYNOMESH_WEB",
        value_name = "IP:PORT",
        help_heading = "Web"
    )]
    pub web: Option<SocketAddr>,
    /// The file with the token that is asked for (Authorization: Bearer TOKEN)
    #[arg(
        long,
        env = "DYNOMESH_WEB_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Web"
    )]
    pub web_token_file: Option<PathBuf>,
    /// Apps that have series of their own, those with the most requests; the others are added up [default: 1000]
    #[arg(
        long,
        env = "DYNOMESH_METRICS_APPS",
        value_name = "N",
        help_heading = "Web"
    )]
    pub metrics_apps: Option<u64>,

    /// The collector that is told of requests as traces, over gRPC: http://HOST:PORT,
    /// https://HOST:PORT or unix:/PATH [default: none, nothing is traced]
    #[arg(
        long,
        env = "DYNOMESH_OTLP_ENDPOINT",
        value_name = "URL",
        help_heading = "Traces"
    )]
    pub otlp_endpoint: Option<String>,
    /// Share of the requests without a traceparent that begin a trace, 0 to 1; others are
    /// traced if their caller is [default: 0.01]
    #[arg(
        long,
        env = "DYNOMESH_OTLP_SAMPLE",
        value_name = "SHARE",
        help_heading = "Traces"
    )]
    pub otlp_sample: Option<f64>,
    /// Most requests a second that are traced, of all workers together [default: 500]
    #[arg(
        long,
        env = "DYNOMESH_OTLP_RATE",
        value_name = "N",
        help_heading = "Traces"
    )]
    pub otlp_rate: Option<u64>,
    /// A file with headers for the collector, "name: value" on each line
    #[arg(
        long,
        env = "DYNOMESH_OTLP_HEADERS_FILE",
        value_name = "FILE",
        help_heading = "Traces"
    )]
    pub otlp_headers_file: Option<PathBuf>,
    /// The authority that its certificate is from (PEM) [default: the system's]
    #[arg(
        long,
        env = "DYNOMESH_OTLP_TLS_CA",
        value_name = "FILE",
        help_heading = "Traces"
    )]
    pub otlp_tls_ca: Option<PathBuf>,

    /// The broker whose route log this sidecar shares with others:
    /// amqp[s]://USER@HOST:PORT/VHOST [default: none, it is alone]
    #[arg(
        long,
        env = "DYNOMESH_BROKER_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Broker"
    )]
    pub broker_url: Option<Secret>,
    /// The file with its password, if that is not in the URL
    #[arg(
        long,
        env = "DYNOMESH_BROKER_PASSWORD_FILE",
        value_name = "FILE",
        help_heading = "Broker"
    )]
    pub broker_password_file: Option<PathBuf>,
    /// What the names of everything in the broker begin with [default: mesh]
    #[arg(
        long,
        env = "DYNOMESH_BROKER_PREFIX",
        value_name = "NAME",
        help_heading = "Broker"
    )]
    pub broker_prefix: Option<String>,
    /// A silent broker is given up after twice as long [default: 5]
    #[arg(
        long,
        env = "DYNOMESH_BROKER_HEARTBEAT_S",
        value_name = "S",
        help_heading = "Broker"
    )]
    pub broker_heartbeat_s: Option<u64>,
    /// Between two snapshots of the table, whichever sidecar writes them [default: 600]
    #[arg(
        long,
        env = "DYNOMESH_BROKER_SNAPSHOT_EVERY_S",
        value_name = "S",
        help_heading = "Broker"
    )]
    pub broker_snapshot_every_s: Option<u64>,
    /// How requests are written to the broker, of apps with a tap rate [default: json]
    #[arg(
        long,
        value_enum,
        env = "DYNOMESH_BROKER_TAP_FORMAT",
        value_name = "FORMAT",
        help_heading = "Broker"
    )]
    pub broker_tap_format: Option<TapFormat>,
    /// An authority for the broker's certificate, besides the system's (PEM)
    #[arg(
        long,
        env = "DYNOMESH_BROKER_TLS_CA",
        value_name = "FILE",
        help_heading = "Broker"
    )]
    pub broker_tls_ca: Option<PathBuf>,
    /// This sidecar's certificate chain for the broker (PEM)
    #[arg(
        long,
        env = "DYNOMESH_BROKER_TLS_CERT",
        value_name = "FILE",
        help_heading = "Broker"
    )]
    pub broker_tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(
        long,
        env = "DYNOMESH_BROKER_TLS_KEY",
        value_name = "FILE",
        help_heading = "Broker"
    )]
    pub broker_tls_key: Option<PathBuf>,

    /// Threads that look at passwords, each with up to 64 MiB [default: 2]
    #[arg(
        long,
        env = "DYNOMESH_AUTH_THREADS",
        value_name = "N",
        help_heading = "Auth"
    )]
    pub auth_threads: Option<u64>,

    /// Whom apps may have decide about their requests: NAME=unix:/PATH,
    /// NAME=http://HOST:PORT or NAME=https://HOST:PORT
    #[arg(
        long,
        env = "DYNOMESH_AUTHORIZERS",
        value_name = "NAME=URL",
        value_delimiter = ',',
        help_heading = "Auth"
    )]
    pub authorizers: Option<Vec<String>>,
    /// The authority that their certificates are from (PEM)
    #[arg(
        long,
        env = "DYNOMESH_AUTHORIZER_TLS_CA",
        value_name = "FILE",
        help_heading = "Auth"
    )]
    pub authorizer_tls_ca: Option<PathBuf>,
    /// One that has not answered by then is away [default: 1000]
    #[arg(
        long,
        env = "DYNOMESH_AUTHORIZER_WITHIN_MS",
        value_name = "MS",
        help_heading = "Auth"
    )]
    pub authorizer_within_ms: Option<u64>,

    /// How much is logged [default: info]
    #[arg(
        long,
        env = "DYNOMESH_LOG_LEVEL",
        value_name = "LEVEL",
        help_heading = "Log"
    )]
    pub log_level: Option<LogLevel>,
    /// Form of the log, on standard error [default: text]
    #[arg(
        long,
        env = "DYNOMESH_LOG_FORMAT",
        value_name = "FORMAT",
        help_heading = "Log"
    )]
    pub log_format: Option<LogFormat>,

    /// How long the leases of a broken session wait for a worker that may be dead
    /// [default: 500]
    #[arg(
        long,
        env = "DYNOMESH_SESSION_GRACE_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub session_grace_ms: Option<u64>,
    /// How long a request may take: what another sidecar that is out of reach held is
    /// over then [default: 600]
    #[arg(
        long,
        env = "DYNOMESH_LONGEST_REQUEST_S",
        value_name = "S",
        help_heading = "Times"
    )]
    pub longest_request_s: Option<u64>,
    /// How long workers that live are waited for, after a restart or when a session broke
    /// [default: 5000]
    #[arg(
        long,
        env = "DYNOMESH_RECOVERY_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub recovery_ms: Option<u64>,
    /// First quarantine of a dyno that can't be connected to [default: 500]
    #[arg(
        long,
        env = "DYNOMESH_QUARANTINE_FIRST_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub quarantine_first_ms: Option<u64>,
    /// Longest quarantine [default: 5000]
    #[arg(
        long,
        env = "DYNOMESH_QUARANTINE_LONGEST_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub quarantine_longest_ms: Option<u64>,
    /// A silent peer is pinged after so long [default: 5000]
    #[arg(
        long,
        env = "DYNOMESH_PING_EVERY_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub ping_every_ms: Option<u64>,
    /// Its connection is broken off when it has not answered by then [default: 10000]
    #[arg(
        long,
        env = "DYNOMESH_PING_WITHIN_MS",
        value_name = "MS",
        help_heading = "Times"
    )]
    pub ping_within_ms: Option<u64>,

    /// Most apps [default: 1000000]
    #[arg(
        long,
        env = "DYNOMESH_MAX_APPS",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_apps: Option<u64>,
    /// Most dynos of all apps together [default: 2000000]
    #[arg(
        long,
        env = "DYNOMESH_MAX_DYNOS",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_dynos: Option<u64>,
    /// Most dynos of an app [default: 10000]
    #[arg(
        long,
        env = "DYNOMESH_MAX_DYNOS_PER_APP",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_dynos_per_app: Option<u64>,
    /// Most domains of an app [default: 1000]
    #[arg(
        long,
        env = "DYNOMESH_MAX_DOMAINS_PER_APP",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_domains_per_app: Option<u64>,
    /// Most requests waiting, of all apps together [default: 1000000]
    #[arg(
        long,
        env = "DYNOMESH_MAX_WAITING",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_waiting: Option<u64>,
    /// Leases that a worker may have ahead for one name; 0: none [default: 128]
    #[arg(
        long,
        env = "DYNOMESH_MAX_RESERVED",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_reserved: Option<u64>,
    /// Most workers connected [default: 4096]
    #[arg(
        long,
        env = "DYNOMESH_MAX_SESSIONS",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_sessions: Option<u64>,
    /// Most requests of one worker, in flight and waiting [default: 65536]
    #[arg(
        long,
        env = "DYNOMESH_MAX_ASKS_PER_SESSION",
        value_name = "N",
        help_heading = "Limits"
    )]
    pub max_asks_per_session: Option<u64>,
}
