//! Where things are unless set: in the system's places for root, in the user's
//! for everybody else.

use std::{env, path::PathBuf};

use dynomesh_proto::place;
use nix::unistd::{Uid, gethostname};

/// Directories that are used if nothing else is said.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// For the sockets.
    pub(super) run: Option<PathBuf>,
    /// For the disk copy.
    pub(super) data: Option<PathBuf>,
}

impl Places {
    pub(super) fn of_user() -> Self {
        let is_root = Uid::effective().is_root();
        Self {
            run: place::socket_directory(is_root),
            data: if is_root {
                Some("/var/lib/dynomesh".into())
            } else {
                data_of_user()
            },
        }
    }
}

fn data_of_user() -> Option<PathBuf> {
    let directory = |variable| {
        let path = env::var_os(variable).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let state = directory("XDG_STATE_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".local/state")));
    state.map(|dir| dir.join("dynomesh"))
}

/// The file that is read if there is one.
pub(super) const CONFIG_FILE: &str = "/etc/dynomesh/meshd.toml";

/// This host's name.
pub(super) fn host_name() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".into())
}
