//! The sidecar itself.

use std::time::Duration;

use dynomesh_proto::v1::{LoadStatus, LogState, LogStatus, NodeStatus, Status};

use super::{membership_fact, plain};

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
    facts.extend(status.load.iter().flat_map(load_facts));
    let membership = status.membership.as_ref();
    facts.extend(membership.map(|it| ("members", membership_fact(it))));
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
    if (log.queued, log.queued_made, log.queued_dropped) != (0, 0, 0) {
        let queued = format!(
            "{} waiting, {} made, {} dropped",
            log.queued, log.queued_made, log.queued_dropped
        );
        facts.push(("queued", queued));
    }
    facts
}

/// What it knows of others' load.
fn load_facts(load: &LoadStatus) -> Vec<(&'static str, String)> {
    let nodes = format!("{} in sight", load.nodes.len());
    let mut facts = vec![("other nodes", nodes)];
    if !load.problem.is_empty() {
        facts.push(("", format!("load is not shared: {}", load.problem)));
    }
    facts.extend(load.nodes.iter().map(|node| ("", node_fact(node))));
    let messages = format!(
        "{} sent, {} taken, {} out of step, {} ignored, {} skipped",
        load.sent, load.taken, load.out_of_step, load.ignored, load.skipped
    );
    facts.push(("load messages", messages));
    facts
}

fn node_fact(node: &NodeStatus) -> String {
    let step = match node.in_step {
        true => "",
        false => ", something is missing",
    };
    let (name, age, dynos) = (&node.name, node.age_ms, node.dynos);
    format!("{name}: heard {age} ms ago, requests at {dynos} dynos{step}")
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

    #[test]
    fn others_are_named_with_the_age_of_what_they_said() {
        let node = |name: &str, in_step| NodeStatus {
            name: name.into(),
            age_ms: 7,
            in_step,
            dynos: 3,
            ..Default::default()
        };
        let load = LoadStatus {
            nodes: vec![node("b", true), node("c", false)],
            skipped: 4,
            ..Default::default()
        };
        let text = status_details(&Status {
            load: Some(load),
            ..Default::default()
        });
        for part in [
            "other nodes     2 in sight\n",
            "                b: heard 7 ms ago, requests at 3 dynos\n",
            "                c: heard 7 ms ago, requests at 3 dynos, something is missing\n",
            "0 ignored, 4 skipped\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}
