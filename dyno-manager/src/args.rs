//! The command line.

use std::{env, path::PathBuf};

use clap::{Parser, ValueEnum};
use dynomesh_proto::place;
use rustix::process::geteuid;

/// Runs apps as processes of this host: starts them when a request comes, more of
/// them when requests wait, and stops them when nobody asks.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Which apps (TOML); see packaging/dynos.toml
    #[arg(
        value_name = "FILE",
        default_value = "/etc/dynomesh/dynos.toml",
        value_hint = clap::ValueHint::FilePath
    )]
    pub(crate) file: PathBuf,

    /// Check the file, and do nothing
    #[arg(long)]
    pub(crate) check: bool,

    /// The sidecar's control socket, unless the file names a broker
    #[arg(
        long,
        env = "DYNOMESH_CONTROL_SOCKET",
        value_name = "PATH",
        default_value_os_t = control_socket()
    )]
    pub(crate) control_socket: PathBuf,

    /// Where it is written which processes run
    #[arg(
        long,
        env = "DYNOMESH_MANAGER_STATE",
        value_name = "DIR",
        default_value_os_t = state_directory()
    )]
    pub(crate) state_dir: PathBuf,

    /// How much is logged
    #[arg(long, value_enum, default_value_t, env = "DYNOMESH_MANAGER_LOG_LEVEL")]
    pub(crate) log_level: LogLevel,

    /// Form of the log, on standard error
    #[arg(long, value_enum, default_value_t, env = "DYNOMESH_MANAGER_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Detail of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Who has no place of their own can only mean the system's.
fn control_socket() -> PathBuf {
    let directory = place::socket_directory(geteuid().is_root());
    let directory = directory.unwrap_or_else(|| place::SYSTEM.into());
    directory.join(place::CONTROL_SOCKET)
}

/// Gone with the machine's processes: after a reboot there is nothing to clean up.
fn state_directory() -> PathBuf {
    let of_user = env::var_os("XDG_RUNTIME_DIR").filter(|_| !geteuid().is_root());
    PathBuf::from(of_user.unwrap_or_else(|| "/run".into())).join("dyno-manager")
}
