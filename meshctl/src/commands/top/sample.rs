//! Rates from counters, and the order of apps. Pure: the time is given.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{App, AppStatus, Counters, DynoLoad, DynoState, Status};
use serde::Serialize;

/// How long the counters of an app that is not busy are kept.
const KEPT: Duration = Duration::from_secs(60);

/// What was counted before.
#[derive(Default)]
pub(super) struct Rates {
    /// Changes with each start of the sidecar; its counters begin again then.
    epoch: u64,
    total: Option<Sample>,
    apps: HashMap<String, Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    counters: Counters,
}

/// For each second. `None` when there was nothing to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PerSecond {
    pub(super) routed_per_second: Option<f64>,
    pub(super) queued_per_second: Option<f64>,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) app: String,
    #[serde(flatten)]
    pub(super) rates: PerSecond,
    pub(super) in_flight: u32,
    /// Requests that other sidecars have at its dynos.
    pub(super) elsewhere: u64,
    pub(super) waiting: u32,
    pub(super) oldest_wait_ms: u32,
    pub(super) dynos_up: usize,
    pub(super) dynos_total: usize,
    /// How much of `capacity` is used.
    pub(super) used: u64,
    /// Requests that the dynos may have at once, or dynos if one has no limit.
    pub(super) capacity: u64,
}

impl Rates {
    /// The rates since the look before, of everything and of each app.
    pub(super) fn rows(
        &mut self,
        now: Instant,
        status: &Status,
        apps: &[AppStatus],
    ) -> (PerSecond, Vec<Row>) {
        if self.epoch != status.epoch {
            *self = Self {
                epoch: status.epoch,
                ..Self::default()
            };
        }
        let sample = |counters: Option<Counters>| Sample {
            at: now,
            counters: counters.unwrap_or_default(),
        };
        let all = sample(status.counters);
        let total = per_second(self.total.replace(all), all);
        let mut rows = Vec::with_capacity(apps.len());
        for status in apps {
            let Some(app) = &status.app else { continue };
            let seen = sample(status.counters);
            let before = self.apps.insert(app.name.clone(), seen);
            rows.push(row(app, status, per_second(before, seen)));
        }
        self.apps
            .retain(|_, sample| now.duration_since(sample.at) < KEPT);
        rows.sort_by(busier_first);
        (total, rows)
    }
}

fn per_second(before: Option<Sample>, now: Sample) -> PerSecond {
    let Some(before) = before else {
        return PerSecond::default();
    };
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    if seconds <= 0.0 {
        return PerSecond::default();
    }
    // An app that was deleted and created again counts from 0.
    let rate = |before: u64, now: u64| Some(now.saturating_sub(before) as f64 / seconds);
    PerSecond {
        routed_per_second: rate(before.counters.routed, now.counters.routed),
        queued_per_second: rate(before.counters.queued, now.counters.queued),
    }
}

fn row(app: &App, status: &AppStatus, rates: PerSecond) -> Row {
    let (used, capacity) = fullness(app, status);
    Row {
        app: app.name.clone(),
        rates,
        in_flight: status.in_flight,
        elsewhere: elsewhere(status),
        waiting: status.waiting,
        oldest_wait_ms: status.oldest_wait_ms,
        dynos_up: crate::output::up(app),
        dynos_total: app.dynos.len(),
        used,
        capacity,
    }
}

fn elsewhere(status: &AppStatus) -> u64 {
    let dynos = status.dynos.iter();
    dynos.map(|dyno| u64::from(dyno.elsewhere)).sum()
}

/// How much of the dynos that are up is used.
fn fullness(app: &App, status: &AppStatus) -> (u64, u64) {
    let up = |name: &str| {
        app.dynos
            .iter()
            .any(|dyno| dyno.name == name && dyno.state() == DynoState::Up)
    };
    let loads: Vec<_> = status.dynos.iter().filter(|load| up(&load.name)).collect();
    if loads.iter().any(|load| load.limit == 0) {
        let busy = |load: &&&DynoLoad| load.load > 0 || load.elsewhere > 0;
        let busy = loads.iter().filter(busy).count();
        return (busy as u64, loads.len() as u64);
    }
    let sum = |of: fn(&DynoLoad) -> u32| loads.iter().map(|load| u64::from(of(load))).sum();
    // Requests that wait for no dyno at all still fill the bar.
    let used: u64 = sum(|load| load.load.saturating_add(load.elsewhere));
    (
        if loads.is_empty() {
            status.waiting.into()
        } else {
            used
        },
        sum(|load| load.limit),
    )
}

/// Requests at this moment, then the rate, then the name.
fn busier_first(a: &Row, b: &Row) -> std::cmp::Ordering {
    let load = |row: &Row| u64::from(row.in_flight) + u64::from(row.waiting);
    let rate = |row: &Row| row.rates.routed_per_second.unwrap_or_default();
    load(b)
        .cmp(&load(a))
        .then_with(|| rate(b).total_cmp(&rate(a)))
        .then_with(|| a.app.cmp(&b.app))
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::Dyno;

    use super::*;

    fn busy(name: &str, in_flight: u32, routed: u64) -> AppStatus {
        AppStatus {
            app: Some(App {
                name: name.into(),
                ..Default::default()
            }),
            in_flight,
            counters: Some(Counters {
                routed,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn routed(rows: &[Row]) -> Vec<(&str, Option<f64>)> {
        rows.iter()
            .map(|row| (&*row.app, row.rates.routed_per_second))
            .collect()
    }

    #[test]
    fn rates_are_differences_over_time() {
        let mut rates = Rates::default();
        let start = Instant::now();
        let status = Status::default();
        let (_, rows) = rates.rows(start, &status, &[busy("a", 1, 10)]);
        assert_eq!(routed(&rows), [("a", None)]);
        let later = start + Duration::from_secs(2);
        let (_, rows) = rates.rows(later, &status, &[busy("a", 1, 40), busy("b", 0, 9)]);
        assert_eq!(routed(&rows), [("a", Some(15.0)), ("b", None)]);
    }

    #[test]
    fn a_new_start_of_the_sidecar_is_no_rate() {
        let mut rates = Rates::default();
        let start = Instant::now();
        rates.rows(start, &Status::default(), &[busy("a", 1, 1_000)]);
        let again = Status {
            epoch: 2,
            ..Default::default()
        };
        let (total, rows) = rates.rows(start + KEPT / 2, &again, &[busy("a", 1, 2_000)]);
        assert_eq!(routed(&rows), [("a", None)]);
        assert_eq!(total, PerSecond::default());
    }

    #[test]
    fn old_counters_are_forgotten() {
        let mut rates = Rates::default();
        let start = Instant::now();
        rates.rows(start, &Status::default(), &[busy("a", 1, 1)]);
        rates.rows(start + KEPT, &Status::default(), &[]);
        assert!(rates.apps.is_empty());
    }

    #[test]
    fn the_busiest_comes_first() {
        let apps = [
            busy("c", 1, 0),
            busy("a", 0, 0),
            busy("b", 1, 0),
            busy("d", 5, 0),
        ];
        let (_, rows) = Rates::default().rows(Instant::now(), &Status::default(), &apps);
        let names: Vec<_> = rows.iter().map(|row| &*row.app).collect();
        assert_eq!(names, ["d", "b", "c", "a"]);
    }

    fn full(loads: &[(u32, u32)], waiting: u32) -> (u64, u64) {
        let mut app = App::default();
        let mut status = AppStatus {
            waiting,
            ..Default::default()
        };
        for (n, (load, limit)) in loads.iter().enumerate() {
            let name = format!("web.{n}");
            let state = DynoState::Up.into();
            app.dynos.push(Dyno {
                name: name.clone(),
                state,
                ..Default::default()
            });
            status.dynos.push(DynoLoad {
                name,
                load: *load,
                limit: *limit,
                elsewhere: 0,
                quarantine_ms: 0,
            });
        }
        fullness(&app, &status)
    }

    #[test]
    fn fullness_is_of_the_limits_or_else_of_the_dynos() {
        assert_eq!(full(&[(1, 1), (2, 4)], 0), (3, 5));
        assert_eq!(full(&[(7, 0), (0, 4)], 0), (1, 2));
        assert_eq!(full(&[], 3), (3, 0));
        assert_eq!(full(&[], 0), (0, 0));
    }
}
