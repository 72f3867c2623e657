//! What a change does, in a few words.

use dynomesh_proto::v1::{Change, Dyno, Manage, Page, Settings, operation::Kind};

use super::{
    app::{exact_name, on_off, policy_name, rate_name, sticky_name},
    table::state_name,
    units::{count, setting, setting_millis},
};

/// All operations of a change.
pub(super) fn change_words(change: &Change) -> String {
    let kinds = change
        .operations
        .iter()
        .filter_map(|operation| operation.kind.as_ref());
    let words: Vec<_> = kinds.map(words).collect();
    match words.is_empty() {
        true => "changed".to_owned(),
        false => words.join(", "),
    }
}

fn words(kind: &Kind) -> String {
    match kind {
        Kind::CreateApp(create) => match &create.settings {
            Some(settings) => format!("created with {}", settings_words(settings)),
            None => "created".to_owned(),
        },
        Kind::DeleteApp(_) => "deleted".to_owned(),
        Kind::PutSettings(settings) => format!("settings {}", settings_words(settings)),
        Kind::SetMaintenance(on) => format!("maintenance {}", on_off(*on)),
        Kind::AddDomain(domain) => format!("domain {domain} added"),
        Kind::RemoveDomain(domain) => format!("domain {domain} removed"),
        Kind::PutDyno(put) => dyno_words(&put.dyno.clone().unwrap_or_default()),
        Kind::RemoveDyno(dyno) => format!("dyno {dyno} removed"),
        Kind::SetDynoState(set) => format!("dyno {} {}", set.dyno, state_name(set.state())),
        Kind::Manage(manage) => manage_words(manage),
        Kind::PutRules(rules) => count(rules.lines.len(), "line") + " of rules",
        Kind::PutPage(page) => page_words(page),
        Kind::PutAuth(auth) => match auth.lines.len() {
            0 => "anybody may use it".to_owned(),
            lines => count(lines, "line") + " of auth",
        },
        Kind::PutSticky(sticky) => format!("sticky {}", sticky_name(sticky)),
    }
}

fn page_words(page: &Page) -> String {
    let Page {
        code, content_type, ..
    } = page;
    match page.body.len() {
        0 => format!("no page for {code} ({content_type})"),
        n => format!("page for {code} ({content_type}, {})", count(n, "byte")),
    }
}

fn dyno_words(dyno: &Dyno) -> String {
    let limit = match dyno.limit {
        0 => String::new(),
        limit => format!(" (limit {limit})"),
    };
    format!(
        "dyno {} at {} {}{limit}",
        dyno.name,
        dyno.address,
        state_name(dyno.state())
    )
}

fn manage_words(manage: &Manage) -> String {
    let mut words = vec![format!(
        "dynos {}* as their manager has them:",
        manage.dyno_prefix
    )];
    match manage.dynos.is_empty() {
        true => words.push("none".to_owned()),
        false => words.push(
            manage
                .dynos
                .iter()
                .map(dyno_words)
                .collect::<Vec<_>>()
                .join(", "),
        ),
    }
    words.join(" ")
}

/// Only what is not the default.
fn settings_words(settings: &Settings) -> String {
    let mut words = vec![format!("policy {}", policy_name(settings))];
    if settings.exact != 0 {
        words.push(format!("exact {}", exact_name(settings)));
    }
    for (name, n) in [
        ("dyno-limit", settings.dyno_limit),
        ("queue-depth", settings.queue_depth),
        ("max-requests", settings.max_requests),
        ("tap-rate", settings.tap_rate),
    ] {
        if n > 0 {
            words.push(format!("{name} {}", setting(n)));
        }
    }
    for (name, millis) in [
        ("queue-timeout", settings.queue_timeout_ms),
        ("boot-timeout", settings.boot_timeout_ms),
        ("idle-timeout", settings.idle_timeout_ms),
        ("scale-wait", settings.scale_wait_ms),
        ("max-time", settings.max_time_ms),
    ] {
        if millis > 0 {
            words.push(format!("{name} {}", setting_millis(millis)));
        }
    }
    for (name, rate) in [
        ("max-rate", settings.max_rate),
        ("max-client-rate", settings.max_client_rate),
    ] {
        if rate.is_some() {
            words.push(format!("{name} {}", rate_name(rate)));
        }
    }
    if settings.max_body_bytes > 0 {
        words.push(format!("max-body {}", settings.max_body_bytes));
    }
    for (name, on) in [
        ("wake", settings.wake),
        ("queue-headers", settings.queue_headers),
    ] {
        if on {
            words.push(name.to_owned());
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{change, put_dyno};

    #[test]
    fn operations_are_named_in_order() {
        let settings = Settings {
            queue_depth: 5,
            wake: true,
            ..Default::default()
        };
        let dyno = Dyno {
            name: "web.1".into(),
            address: "h:1".into(),
            state: 2,
            ..Default::default()
        };
        let all = change(
            "shop",
            [
                Kind::PutSettings(settings),
                put_dyno(dyno, false),
                Kind::SetMaintenance(false),
            ],
        );
        assert_eq!(
            change_words(&all),
            "settings policy default queue-depth 5 wake, dyno web.1 at h:1 up, maintenance off"
        );
    }

    #[test]
    fn a_change_of_nothing_is_still_said() {
        assert_eq!(change_words(&change("shop", [])), "changed");
    }
}
