//! The sidecar itself.

use std::time::Duration;

use dynomesh_proto::v1::{LogState, LogStatus, Status};

use super::plain;

/// All that there is to say about a sidecar.
pub(crate) fn status_details(status: &Status) -> String {
    let counters = status.counters.unwrap_or_default();
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_ms / 1_000));
    let mut facts = vec![
        ("ready", if status.ready { "yes" } else { "no" }.to_owned()),
        ("node", status.node.clone()),
        ("version", status.version.clone()),
        ("epoch", format!("{:016x}", status.epoch)),
        ("uptime", uptime.to_string()),
        ("apps", status.apps.to_string()),
        ("dynos", status.dynos.to_string()),
        ("sessions", status.sessions.to_string()),
        ("in flight", status.leases.to_string()),
        ("waiting", status.waiting.to_string()),
        (
            "routed",
            format!("{} ({} had to wait)", counters.routed, counters.queued),
        ),
        ("refused", counters.refused.to_string()),
        ("cancelled", counters.cancelled.to_string()),
    ];
    facts.extend(status.log.iter().flat_map(log_facts));
    facts
        .iter()
        .map(|(key, value)| format!("{key:<16}{}\n", plain(value)))
        .collect()
}

/// How it stands to the route log that it shares with others.
fn log_facts(log: &LogStatus) -> Vec<(&'static str, String)> {
    let state = match log.state() {
        LogState::InSync => "in sync",
        LogState::CatchingUp => "catching up",
        LogState::Away => "away: known routes are served, changes are refused",
        LogState::Unspecified => "unknown",
    };
    let since = humantime::format_duration(Duration::from_secs(log.since_ms / 1_000));
    let mut facts = vec![("route log", format!("{state} (for {since})"))];
    if !log.problem.is_empty() {
        facts.push(("", log.problem.clone()));
    }
    facts.push(("log", format!("{} at {}", log.log_id, log.offset)));
    let entries = format!(
        "{} made, {} refused, {} repeated, {} skipped, {} under way",
        log.applied, log.refused, log.duplicates, log.skipped, log.under_way
    );
    facts.push(("entries", entries));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_comes_first() {
        let status = Status {
            ready: true,
            uptime_ms: 61_999,
            epoch: 10,
            ..Default::default()
        };
        let text = status_details(&status);
        assert!(text.starts_with("ready           yes\n"), "{text}");
        assert!(text.contains("uptime          1m 1s\n"), "{text}");
        assert!(
            text.contains("epoch           000000000000000a\n"),
            "{text}"
        );
        assert!(!text.contains("log"), "{text}");
    }

    #[test]
    fn a_log_that_is_away_says_why_and_since_when() {
        let log = LogStatus {
            state: LogState::Away.into(),
            since_ms: 61_000,
            problem: "refused".into(),
            ..Default::default()
        };
        let text = status_details(&Status {
            log: Some(log),
            ..Default::default()
        });
        assert!(text.contains("route log       away: "), "{text}");
        assert!(
            text.contains("(for 1m 1s)\n                refused\n"),
            "{text}"
        );
    }
}
