//! Groups by name.

use nix::unistd::Group;

/// The number of a group, given its name or the number itself; `None` if there
/// is no such group.
pub fn group_id(group: &str) -> Option<u32> {
    if let Ok(id) = group.parse() {
        return Some(id);
    }
    Group::from_name(group)
        .ok()
        .flatten()
        .map(|group| group.gid.as_raw())
}
