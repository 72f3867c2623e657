//! Where a sidecar's sockets are unless somebody says otherwise: what it makes
//! and what its clients try are the same.

use std::{env, ffi::OsString, path::PathBuf};

/// In this file routers reach a sidecar.
pub const ROUTER_SOCKET: &str = "router.sock";
/// In this file operators reach a sidecar.
pub const CONTROL_SOCKET: &str = "control.sock";
/// The directory of the system's sidecar.
pub const SYSTEM: &str = "/run/dynomesh";

/// The directory of the sockets: the system's for root, one of its own for every
/// other user. `None`: there is no place for that user's, since
/// `XDG_RUNTIME_DIR` is not set to an absolute path.
#[must_use]
pub fn socket_directory(is_root: bool) -> Option<PathBuf> {
    directory(is_root, env::var_os("XDG_RUNTIME_DIR"))
}

fn directory(is_root: bool, of_user: Option<OsString>) -> Option<PathBuf> {
    if is_root {
        return Some(SYSTEM.into());
    }
    let of_user = PathBuf::from(of_user?);
    of_user.is_absolute().then(|| of_user.join("dynomesh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_the_systems_place_and_others_their_own() {
        let found = |is_root, of_user: Option<&str>| directory(is_root, of_user.map(Into::into));
        let system = Some(PathBuf::from("/run/dynomesh"));
        assert_eq!(found(true, None), system);
        assert_eq!(found(true, Some("/run/user/7")), system);
        let own = Some(PathBuf::from("/run/user/7/dynomesh"));
        assert_eq!(found(false, Some("/run/user/7")), own);
        for nowhere in [None, Some(""), Some("user/7")] {
            assert_eq!(found(false, nowhere), None);
        }
    }
}
