//! The sidecar itself.

use std::time::Duration;

use dynomesh_proto::v1::Status;

use super::plain;

/// All that there is to say about a sidecar.
pub(crate) fn status_details(status: &Status) -> String {
    let counters = status.counters.unwrap_or_default();
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_ms / 1_000));
    let facts = [
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
    facts
        .iter()
        .map(|(key, value)| format!("{key:<16}{}\n", plain(value)))
        .collect()
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
    }
}
