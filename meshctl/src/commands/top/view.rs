//! What one look saw, as text or JSON.

use std::time::Duration;

use dynomesh_proto::v1::Status;
use serde::Serialize;

use super::sample::{PerSecond, Row};
use crate::output::{Table, bar, cell, count, longest, plain, rate};

const BAR: usize = 20;

#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) status: Status,
    pub(super) total: PerSecond,
    pub(super) apps: Vec<Row>,
    /// Every busy app is among them.
    pub(super) complete: bool,
}

impl View {
    /// The sidecar as a whole, on one line.
    pub(super) fn summary(&self) -> String {
        let status = &self.status;
        let uptime = humantime::format_duration(Duration::from_secs(status.uptime_ms / 1_000));
        let more = if self.complete {
            ""
        } else {
            ", and more are busy"
        };
        let text = format!(
            "{}{} up {uptime}: {}, {}, {} in flight, {} waiting, {} routed/s, {} queued/s; {} busy{more}",
            status.node,
            if status.ready { "" } else { " NOT READY" },
            count(status.apps as usize, "app"),
            count(status.dynos as usize, "dyno"),
            status.leases,
            status.waiting,
            rate(self.total.routed_per_second),
            rate(self.total.queued_per_second),
            count(self.apps.len(), "app"),
        );
        plain(&text).into_owned()
    }

    pub(super) fn table(&self) -> String {
        self.first(self.apps.len())
    }

    /// The busiest, as many as there is room for.
    pub(super) fn first(&self, n: usize) -> String {
        let headings = [
            "NAME",
            ">ROUTED/S",
            ">QUEUED/S",
            ">IN FLIGHT",
            ">ELSEWHERE",
            ">WAITING",
            ">OLDEST",
            ">DYNOS UP",
            "LOAD",
        ];
        let mut table = Table::new(&headings, false);
        for row in self.apps.iter().take(n) {
            table.row([
                cell(&row.app),
                cell(rate(row.rates.routed_per_second)),
                cell(rate(row.rates.queued_per_second)),
                cell(row.in_flight.to_string()),
                cell(row.elsewhere.to_string()),
                cell(row.waiting.to_string()),
                cell(longest(row.oldest_wait_ms)),
                cell(format!("{}/{}", row.dynos_up, row.dynos_total)),
                cell(bar(row.used, row.capacity, BAR)),
            ]);
        }
        table.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let row = |app: &str, in_flight| Row {
            app: app.into(),
            rates: PerSecond {
                routed_per_second: Some(12.0),
                queued_per_second: None,
            },
            in_flight,
            elsewhere: 3,
            waiting: 2,
            oldest_wait_ms: 1_500,
            dynos_up: 4,
            dynos_total: 5,
            used: 2,
            capacity: 4,
        };
        View {
            status: Status {
                node: "n1".into(),
                ready: true,
                apps: 7,
                ..Default::default()
            },
            total: PerSecond::default(),
            apps: vec![row("shop", 2), row("blog", 1)],
            complete: true,
        }
    }

    #[test]
    fn an_app_is_a_line_with_a_bar() {
        let table = view().table();
        let row: Vec<_> = table
            .lines()
            .nth(1)
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let bar = format!("{}{}", "█".repeat(10), "·".repeat(10));
        assert_eq!(
            row,
            ["shop", "12.0", "-", "2", "3", "2", "1.5s", "4/5", &bar]
        );
    }

    #[test]
    fn only_as_many_as_there_is_room_for() {
        assert_eq!(view().first(1).lines().count(), 2);
    }

    #[test]
    fn the_summary_says_when_it_is_not_ready() {
        let mut view = view();
        assert!(
            view.summary().starts_with("n1 up 0s: 7 apps, 0 dynos"),
            "{}",
            view.summary()
        );
        view.status.ready = false;
        assert!(view.summary().starts_with("n1 NOT READY up"));
    }

    #[test]
    fn json_has_the_figures_by_name() {
        let json = serde_json::to_value(view()).unwrap_or_default();
        assert_eq!(json["apps"][0]["routedPerSecond"], 12.0);
        assert_eq!(json["apps"][0]["inFlight"], 2);
        assert_eq!(json["status"]["node"], "n1");
    }
}
