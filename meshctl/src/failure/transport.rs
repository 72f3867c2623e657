//! Why the sidecar could not be reached, and what to do about it.

use std::{error::Error, fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// The words for a unix socket that could not be connected to.
pub(crate) fn unreachable_socket(path: &Path, error: &(dyn Error + 'static)) -> String {
    let at = path.display();
    match io_kind(error) {
        Some(io::ErrorKind::NotFound) => format!(
            "there is no socket {at}: is meshd running? --socket or DYNOMESH_CONTROL_SOCKET says where it listens"
        ),
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("nobody listens on {at}: is meshd running? It left this socket behind")
        }
        Some(io::ErrorKind::PermissionDenied) => denied(path),
        _ => format!("cannot connect to {at}: {}", root(error)),
    }
}

/// The last of a chain of causes: the one that says something.
pub(crate) fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind))
}

fn denied(path: &Path) -> String {
    let Some((guarded, gid)) = guard_of(path) else {
        return format!("you may not connect to {}", path.display());
    };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let group = match group_name(&groups, gid) {
        Some(name) => format!("group {name}"),
        None => format!("group {gid}"),
    };
    format!(
        "you may not connect to {}: {} belongs to {group}; become a member of it, or use sudo",
        path.display(),
        guarded.display(),
    )
}

/// The socket and its group, or those of the innermost directory that can be
/// seen when it is the directory that keeps people out.
fn guard_of(path: &Path) -> Option<(&Path, u32)> {
    path.ancestors()
        .find_map(|at| fs::metadata(at).ok().map(|meta| (at, meta.gid())))
}

/// The name of a group in the text of `/etc/group`.
fn group_name(groups: &str, gid: u32) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == gid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(kind: io::ErrorKind) -> String {
        unreachable_socket(Path::new("/nowhere/control.sock"), &io::Error::from(kind))
    }

    #[test]
    fn a_missing_socket_asks_for_meshd() {
        let text = says(io::ErrorKind::NotFound);
        assert!(text.starts_with("there is no socket /nowhere/control.sock: is meshd running?"));
    }

    #[test]
    fn a_socket_left_behind_is_told_apart_from_a_missing_one() {
        assert!(says(io::ErrorKind::ConnectionRefused).starts_with("nobody listens on"));
    }

    #[test]
    fn a_denied_socket_names_the_group() {
        // The innermost directory that exists is the root.
        let text = says(io::ErrorKind::PermissionDenied);
        assert!(text.contains(": / belongs to group "), "{text}");
    }

    #[test]
    fn the_cause_is_found_below_other_errors() {
        let inner = io::Error::from(io::ErrorKind::NotFound);
        let outer = io::Error::other(inner);
        // `io::Error::other` keeps the inner one as its payload.
        assert_eq!(root(&outer).to_string(), "entity not found");
    }

    #[test]
    fn groups_are_found_by_number() {
        let groups = "root:x:0:\nmesh:x:990:ann,bob\nbroken\n";
        assert_eq!(group_name(groups, 990), Some("mesh"));
        assert_eq!(group_name(groups, 1), None);
    }
}
