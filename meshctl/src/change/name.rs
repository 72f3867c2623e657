//! Names for dynos that were given none.

use std::collections::HashSet;

/// The first of web.1, web.2, … that no dyno has.
pub(crate) fn free_name<'a>(taken: impl IntoIterator<Item = &'a str>) -> String {
    let taken: HashSet<u64> = taken.into_iter().filter_map(number).collect();
    // One of the first n + 1 numbers is not among n.
    let free = (1..).find(|n| !taken.contains(n)).unwrap_or(u64::MAX);
    format!("web.{free}")
}

/// web.1, web.2, …: for an app that has no dynos yet.
pub(crate) fn first_names() -> impl Iterator<Item = String> {
    (1_u64..).map(|n| format!("web.{n}"))
}

/// The 2 of `web.2`. `web.02` is another name, and takes no number.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("web.")?;
    let n: u64 = digits.parse().ok()?;
    (n.to_string() == digits).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_gap_is_used() {
        assert_eq!(free_name([]), "web.1");
        assert_eq!(free_name(["web.1", "web.2"]), "web.3");
        assert_eq!(free_name(["web.3", "web.1"]), "web.2");
    }

    #[test]
    fn other_names_take_no_number() {
        let taken = [
            "worker.1", "web", "web.", "web.01", "web.+1", "web.x", "web.0",
        ];
        assert_eq!(free_name(taken), "web.1");
    }

    #[test]
    fn a_new_app_counts_from_one() {
        let names: Vec<_> = first_names().take(2).collect();
        assert_eq!(names, ["web.1", "web.2"]);
    }
}
