//! Figures and words as people read them.

use std::{borrow::Cow, time::Duration};

/// Text from elsewhere on one line, unable to command the terminal.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ").into()
    } else {
        text.into()
    }
}

/// The longest wait in a table: short, to be compared at a glance.
pub(crate) fn longest(millis: u32) -> String {
    match millis {
        0 => "-".to_owned(),
        1..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// A duration that was set, exactly; 0 stands for the default.
pub(super) fn setting_millis(millis: u32) -> String {
    match millis {
        0 => "default".to_owned(),
        _ => humantime::format_duration(Duration::from_millis(millis.into())).to_string(),
    }
}

/// A duration after which something is said; 0 stands for never.
pub(super) fn never_millis(millis: u32) -> String {
    match millis {
        0 => "never".to_owned(),
        _ => setting_millis(millis),
    }
}

/// A number that was set; 0 stands for the default.
pub(super) fn setting(n: u32) -> String {
    match n {
        0 => "default".to_owned(),
        _ => n.to_string(),
    }
}

/// A number of bytes that was set; 0 stands for the default.
pub(super) fn setting_bytes(n: u64) -> String {
    match n {
        0 => "default".to_owned(),
        _ if n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        _ if n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        _ => format!("{n} bytes"),
    }
}

/// "1 dyno", "2 dynos".
pub(crate) fn count(n: usize, thing: &str) -> String {
    match n {
        1 => format!("1 {thing}"),
        _ => format!("{n} {thing}s"),
    }
}

/// Events for each second; `None`: not known yet.
pub(crate) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate >= 100.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

/// A bar of `width` characters, filled to `part` of `whole`. Anything above 0
/// is visible.
pub(crate) fn bar(part: u64, whole: u64, width: usize) -> String {
    let width64 = width as u64;
    let filled = match (part, whole) {
        (0, _) => 0,
        // Requests and nobody to serve them: as full as can be.
        (_, 0) => width64,
        _ => part.saturating_mul(width64).div_ceil(whole).min(width64),
    };
    let filled = usize::try_from(filled).unwrap_or(width);
    format!("{}{}", "█".repeat(filled), "·".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_commands() {
        assert_eq!(plain("a\u{1b}[2J\nb"), "a [2J b");
        assert!(matches!(plain("unix:/run/ä"), Cow::Borrowed(_)));
    }

    #[test]
    fn waits_are_short_to_read() {
        let said = [0, 999, 1_250, 59_999, 60_000, 3_599_999, 3_600_000].map(longest);
        assert_eq!(
            said,
            ["-", "999ms", "1.2s", "59.9s", "1m00s", "59m59s", "1h00m"]
        );
    }

    #[test]
    fn settings_are_exact() {
        assert_eq!(setting_millis(75_001), "1m 15s 1ms");
        assert_eq!(setting_millis(0), "default");
        assert_eq!(setting(0), "default");
        assert_eq!(setting(5), "5");
    }

    #[test]
    fn rates_are_known_or_not() {
        assert_eq!(rate(None), "-");
        assert_eq!(rate(Some(2.04)), "2.0");
        assert_eq!(rate(Some(1234.5)), "1234");
    }

    #[test]
    fn bars_are_as_wide_as_they_should_be() {
        assert_eq!(bar(0, 10, 4), "····");
        assert_eq!(bar(1, 1_000, 4), "█···");
        assert_eq!(bar(5, 10, 4), "██··");
        assert_eq!(bar(20, 10, 4), "████");
        assert_eq!(bar(3, 0, 4), "████");
        assert_eq!(bar(u64::MAX, 1, 4), "████");
    }
}
