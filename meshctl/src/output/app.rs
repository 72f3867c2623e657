//! Apps as text.

use std::collections::HashMap;

use dynomesh_proto::v1::{
    App, AppStatus, DynoLoad, DynoState, Exact, Page, Policy, Rate, Settings,
};

use super::{
    Table, longest, plain,
    table::{cell, state_cell},
    units::{count, never_millis, setting, setting_bytes, setting_millis},
};

/// The table for `app_row`.
pub(crate) fn app_table(colour: bool) -> Table {
    let headings = [
        "NAME",
        "POLICY",
        ">DYNOS UP",
        ">IN FLIGHT",
        ">WAITING",
        ">OLDEST",
        "MAINTENANCE",
        "DOMAINS",
    ];
    Table::new(&headings, colour)
}

/// One app on one line.
pub(crate) fn app_row(table: &mut Table, app: &App, status: &AppStatus) {
    table.row([
        cell(&app.name),
        cell(policy_name(&app.settings.unwrap_or_default())),
        cell(format!("{}/{}", up(app), app.dynos.len())),
        cell(status.in_flight.to_string()),
        cell(status.waiting.to_string()),
        cell(longest(status.oldest_wait_ms)),
        cell(on_off(app.maintenance)),
        cell(domains_in_short(&app.domains)),
    ]);
}

/// All that there is to say about one app.
pub(crate) fn app_details(app: &App, status: &AppStatus, colour: bool) -> String {
    let mut text = String::new();
    for (key, value) in facts(app).into_iter().chain(figures(status)) {
        text.push_str(&format!("{key:<16}{}\n", plain(&value)));
    }
    if app.dynos.is_empty() {
        let never = if app.released {
            ""
        } else {
            " and never had any"
        };
        text.push_str(&format!("\nIt has no dynos{never}.\n"));
    } else {
        text.push_str(&format!("\n{}\n", dyno_table(app, status, colour).render()));
    }
    text
}

fn facts(app: &App) -> Vec<(&'static str, String)> {
    let settings = app.settings.unwrap_or_default();
    let mut facts = vec![
        ("app", app.name.clone()),
        ("version", app.version.to_string()),
        ("policy", policy_name(&settings).to_owned()),
        ("exact", exact_name(&settings).to_owned()),
        ("dyno limit", setting(settings.dyno_limit)),
        ("queue depth", setting(settings.queue_depth)),
        ("queue timeout", setting_millis(settings.queue_timeout_ms)),
        ("boot timeout", setting_millis(settings.boot_timeout_ms)),
        ("max requests", setting(settings.max_requests)),
        ("wake", on_off(settings.wake).to_owned()),
        ("idle timeout", never_millis(settings.idle_timeout_ms)),
        ("scale wait", never_millis(settings.scale_wait_ms)),
        ("tap rate", tap_rate(settings.tap_rate)),
        ("max body", setting_bytes(settings.max_body_bytes)),
        ("max time", never_millis(settings.max_time_ms)),
        ("max rate", rate_name(settings.max_rate)),
        ("client rate", rate_name(settings.max_client_rate)),
        ("sticky", sticky_name(&app.sticky).to_owned()),
        ("queue headers", on_off(settings.queue_headers).to_owned()),
        ("maintenance", on_off(app.maintenance).to_owned()),
        ("rules", rules_in_short(&app.rules)),
        ("pages", pages_in_short(&app.pages)),
        ("auth", rules_in_short(&app.auth)),
    ];
    if app.domains.is_empty() {
        facts.push(("domains", "none".to_owned()));
    }
    for (n, domain) in app.domains.iter().enumerate() {
        facts.push((if n == 0 { "domains" } else { "" }, domain.clone()));
    }
    facts
}

/// Requests told to the broker.
fn tap_rate(rate: u32) -> String {
    match rate {
        0 => "none".to_owned(),
        rate => format!("{rate}/s"),
    }
}

fn figures(status: &AppStatus) -> Vec<(&'static str, String)> {
    let counters = status.counters.unwrap_or_default();
    let mut figures = vec![
        ("in flight", status.in_flight.to_string()),
        ("waiting", status.waiting.to_string()),
        ("oldest wait", longest(status.oldest_wait_ms)),
        (
            "routed",
            format!("{} ({} had to wait)", counters.routed, counters.queued),
        ),
        ("refused", counters.refused.to_string()),
        ("cancelled", counters.cancelled.to_string()),
    ];
    if counters.loose > 0 {
        figures.push(("loose", counters.loose.to_string()));
    }
    figures
}

fn dyno_table(app: &App, status: &AppStatus, colour: bool) -> Table {
    let loads: HashMap<&str, &DynoLoad> = status
        .dynos
        .iter()
        .map(|load| (&*load.name, load))
        .collect();
    let headings = [
        "DYNO",
        "STATE",
        ">LOAD",
        ">ELSEWHERE",
        ">LIMIT",
        ">QUARANTINE",
        "ADDRESS",
        "INSTANCE",
    ];
    let mut table = Table::new(&headings, colour);
    for dyno in &app.dynos {
        let load = loads.get(&*dyno.name).copied().cloned().unwrap_or_default();
        let limit = match load.limit {
            0 => "none".to_owned(),
            limit => limit.to_string(),
        };
        table.row([
            cell(&dyno.name),
            state_cell(dyno.state(), load.quarantine_ms > 0),
            cell(load.load.to_string()),
            cell(load.elsewhere.to_string()),
            cell(limit),
            cell(longest(load.quarantine_ms)),
            cell(&dyno.address),
            cell(&dyno.instance),
        ]);
    }
    table
}

/// How many of an app's dynos are up.
pub(crate) fn up(app: &App) -> usize {
    app.dynos
        .iter()
        .filter(|dyno| dyno.state() == DynoState::Up)
        .count()
}

pub(super) fn policy_name(settings: &Settings) -> &'static str {
    match settings.policy() {
        Policy::Unspecified => "default",
        Policy::Random => "random",
        Policy::LeastLoad => "least-load",
        Policy::IdleOnly => "idle-only",
    }
}

pub(super) fn exact_name(settings: &Settings) -> &'static str {
    match settings.exact() {
        Exact::Unspecified => "off",
        Exact::Strict => "strict",
        Exact::Available => "available",
    }
}

/// As it is set.
pub(super) fn rate_name(rate: Option<Rate>) -> String {
    let Some(rate) = rate.filter(|rate| rate.requests > 0) else {
        return "none".to_owned();
    };
    let span = match rate.per_s {
        0 | 1 => "s".to_owned(),
        60 => "m".to_owned(),
        3_600 => "h".to_owned(),
        other => format!("{other} s"),
    };
    let burst = match rate.burst {
        0 => String::new(),
        burst => format!(":{burst}"),
    };
    format!("{}/{span}{burst}", rate.requests)
}

/// As it is set: without the key that the sidecar has added.
pub(crate) fn sticky_name(sticky: &str) -> &str {
    let name = sticky.split_once('#').map_or(sticky, |(name, _)| name);
    if name.is_empty() { "none" } else { name }
}

pub(super) fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// `app rules` and `app auth` have all of them.
fn rules_in_short(lines: &[String]) -> String {
    match lines.len() {
        0 => "none".to_owned(),
        n => count(n, "line"),
    }
}

/// `app page` has all of them.
fn pages_in_short(pages: &[Page]) -> String {
    let mut codes: Vec<_> = pages.iter().map(|page| &*page.code).collect();
    codes.dedup();
    match codes.is_empty() {
        true => "none".to_owned(),
        false => codes.join(", "),
    }
}

/// The pages of one app.
pub(crate) fn page_table(pages: &[Page], colour: bool) -> Table {
    let mut table = Table::new(&["CODE", "TYPE", ">BYTES"], colour);
    for page in pages {
        table.row([
            cell(&page.code),
            cell(&page.content_type),
            cell(page.body.len().to_string()),
        ]);
    }
    table
}

/// The first few names; `app show` has all of them.
fn domains_in_short(domains: &[String]) -> String {
    const SHOWN: usize = 2;
    match domains.len() {
        0 => "-".to_owned(),
        n if n <= SHOWN => domains.join(", "),
        n => format!("{}, … {} more", domains[..SHOWN].join(", "), n - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::Dyno;

    use super::*;

    fn shop() -> (App, AppStatus) {
        let dyno = |name: &str, state: DynoState| Dyno {
            name: name.into(),
            address: "127.0.0.1:5001".into(),
            state: state.into(),
            ..Default::default()
        };
        let app = App {
            name: "shop".into(),
            version: 4,
            released: true,
            domains: ["a.example", "b.example", "c.example"]
                .map(String::from)
                .into(),
            dynos: vec![
                dyno("web.1", DynoState::Up),
                dyno("web.2", DynoState::Crashed),
            ],
            ..Default::default()
        };
        let load = DynoLoad {
            name: "web.1".into(),
            load: 1,
            limit: 1,
            elsewhere: 3,
            quarantine_ms: 0,
        };
        let status = AppStatus {
            in_flight: 1,
            waiting: 2,
            dynos: vec![load],
            ..Default::default()
        };
        (app, status)
    }

    #[test]
    fn a_row_has_what_matters() {
        let (app, status) = shop();
        let mut table = app_table(false);
        app_row(&mut table, &app, &status);
        let text = table.render();
        let row: Vec<_> = text
            .lines()
            .nth(1)
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        assert_eq!(
            row,
            [
                "shop",
                "default",
                "1/2",
                "1",
                "2",
                "-",
                "off",
                "a.example,",
                "b.example,",
                "…",
                "1",
                "more"
            ]
        );
    }

    #[test]
    fn details_have_every_domain_and_dyno() {
        let (app, status) = shop();
        let text = app_details(&app, &status, false);
        for part in [
            "version         4\n",
            "domains         a.example\n",
            "                c.example\n",
            "web.2  crashed",
            "web.1  up          1          3      1",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn asleep_and_never_released_are_told_apart() {
        let released = |released| {
            let app = App {
                released,
                ..Default::default()
            };
            app_details(&app, &AppStatus::default(), false)
        };
        assert!(released(true).ends_with("It has no dynos.\n"));
        assert!(released(false).ends_with("It has no dynos and never had any.\n"));
    }
}
