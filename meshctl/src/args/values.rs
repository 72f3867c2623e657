//! Values as people write them.

use std::time::Duration;

use clap::ValueEnum;
use dynomesh_proto::v1;

/// How a dyno is chosen for a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Policy {
    /// Any dyno that is up
    Random,
    /// The dynos with the least load
    LeastLoad,
    /// Only dynos below their limit; otherwise the request waits in the queue
    IdleOnly,
}

/// One queue and exact limits over all sidecars, and what holds when one is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Exact {
    /// Each sidecar decides, by what it knows of the others
    Off,
    /// One decides; without it requests are refused (H99)
    Strict,
    /// One decides; without it each sidecar does
    Available,
}

impl From<Exact> for v1::Exact {
    fn from(exact: Exact) -> Self {
        match exact {
            Exact::Off => Self::Unspecified,
            Exact::Strict => Self::Strict,
            Exact::Available => Self::Available,
        }
    }
}

impl From<Policy> for v1::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Random => Self::Random,
            Policy::LeastLoad => Self::LeastLoad,
            Policy::IdleOnly => Self::IdleOnly,
        }
    }
}

/// Where a dyno is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum DynoState {
    /// Booting; requests wait for it
    Starting,
    /// Gets requests
    Up,
    /// Finishes what it has, gets nothing new
    Draining,
    /// Stopped on purpose
    Down,
    /// Died by itself
    Crashed,
}

impl From<DynoState> for v1::DynoState {
    fn from(state: DynoState) -> Self {
        match state {
            DynoState::Starting => Self::Starting,
            DynoState::Up => Self::Up,
            DynoState::Draining => Self::Draining,
            DynoState::Down => Self::Down,
            DynoState::Crashed => Self::Crashed,
        }
    }
}

/// The states that a new dyno may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FirstState {
    /// Gets requests at once
    Up,
    /// Booting; requests wait for it
    Starting,
}

impl From<FirstState> for v1::DynoState {
    fn from(state: FirstState) -> Self {
        match state {
            FirstState::Up => Self::Up,
            FirstState::Starting => Self::Starting,
        }
    }
}

/// A part of something.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if part > 0.0 && part <= 1.0 => Ok(part),
        _ => Err("it must be above 0 and up to 1, like 0.1".to_owned()),
    }
}

/// A status, or 1 to 5 for a class of them.
pub(crate) fn status(text: &str) -> Result<u32, String> {
    let class = text.strip_suffix("xx").map(str::parse);
    match (class, text.parse()) {
        (Some(Ok(class @ 1..=5)), _) => Ok(class),
        (None, Ok(status @ 100..=599)) => Ok(status),
        _ => Err("it must be a status like 404, or a class like 5xx".to_owned()),
    }
}

/// A limit on requests at once; 0 stands for the default, and so does `none`.
pub(crate) fn limit(text: &str) -> Result<u32, String> {
    match text {
        "none" => Ok(0),
        _ => text
            .parse()
            .map_err(|_| "it must be a number, or none".to_owned()),
    }
}

/// A duration that is sent as whole milliseconds; 0 stands for the default.
pub(crate) fn millis(text: &str) -> Result<u32, String> {
    let duration = duration(text)?;
    let millis = duration.as_millis();
    // Less than a millisecond must not turn into 0, which means something else.
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("it must be whole milliseconds".to_owned());
    }
    u32::try_from(millis).map_err(|_| "the longest is 49 days".to_owned())
}

/// So many requests in a time, and perhaps so many at once; 0 and `none` stand for no
/// limit.
pub(crate) fn rate(text: &str) -> Result<v1::Rate, String> {
    if let "0" | "none" = text {
        return Ok(v1::Rate::default());
    }
    let wrong =
        || format!("\"{text}\" is no rate; write it like 100/s, 600/m or 100/s:500, or none");
    let (rate, burst) = match text.split_once(':') {
        Some((rate, burst)) => (rate, some(burst).ok_or_else(wrong)?),
        None => (text, 0),
    };
    let (requests, span) = rate.split_once('/').ok_or_else(wrong)?;
    let per_s = match span {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let requests = some(requests).ok_or_else(wrong)?;
    Ok(v1::Rate {
        requests,
        per_s,
        burst,
    })
}

/// Which requests come to the same dyno.
pub(crate) fn sticky(text: &str) -> Result<String, String> {
    let name = text
        .strip_prefix("cookie:")
        .or_else(|| text.strip_prefix("header:"));
    match (text, name) {
        ("cookie" | "none", _) => Ok(text.to_owned()),
        // Which names there may be is for the sidecar to say.
        (_, Some(name)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it is cookie, cookie:NAME, header:NAME or none".to_owned()),
    }
}

fn some(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number > 0)
}

/// A number of bytes; 0 stands for the default.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no size; write it like 64KiB, 10MiB or 2000000");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "K" | "k" | "KiB" => 10,
        "M" | "m" | "MiB" => 20,
        "G" | "g" | "GiB" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A duration in which something can happen.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration if duration > MAX_TIME => Err("the longest is 1 day".to_owned()),
        duration => Ok(duration),
    }
}

/// Far from where adding a duration to the time of day overflows.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 30s, 500ms or 1m15s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_milliseconds() {
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("1m15s"), Ok(75_000));
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("0s"), Ok(0));
    }

    #[test]
    fn durations_that_cannot_be_sent_are_refused() {
        for text in ["30", "500us", "1s 1ns", "50days", "-1s", "", "soon"] {
            assert!(millis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_limit_of_its_own_can_be_said() {
        assert_eq!(limit("5"), Ok(5));
        assert_eq!(limit("0"), Ok(0));
        assert_eq!(limit("none"), Ok(0));
        for text in ["", "-1", "None", "5000000000"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_in_a_time_and_at_once() {
        let of = |requests, per_s, burst| v1::Rate {
            requests,
            per_s,
            burst,
        };
        assert_eq!(rate("100/s"), Ok(of(100, 1, 0)));
        assert_eq!(rate("600/m:20"), Ok(of(600, 60, 20)));
        assert_eq!(rate("1/h"), Ok(of(1, 3_600, 0)));
        assert_eq!(rate("none"), Ok(v1::Rate::default()));
        assert_eq!(rate("0"), Ok(v1::Rate::default()));
        for text in [
            "",
            "5",
            "0/s",
            "5/d",
            "-5/s",
            "5/s:0",
            "5/s:",
            "1.5/s",
            "5 /s",
            "5000000000/s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [
            ("0", 0),
            ("12", 12),
            ("3K", 3 << 10),
            ("10MiB", 10 << 20),
            ("1g", 1 << 30),
        ];
        for (text, size) in sizes {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5M", "10MB", "99999999999999999G", "1 M"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn waiting_takes_time() {
        assert_eq!(some_time("1s"), Ok(Duration::from_secs(1)));
        assert!(some_time("0s").is_err());
        assert!(some_time("2days").is_err());
    }
}
