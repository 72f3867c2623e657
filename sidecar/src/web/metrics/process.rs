//! The sidecar as a whole.

use std::fmt::Result;

use super::{
    look::Look,
    sheet::{BARE, Series, Sheet, plain, seconds},
};
use crate::driver::{EVENTS, SPANS, TRACED};

const BUILD: Series = plain("dynomesh_build_info", "Which meshd this is; always 1.");
const STARTED: Series = seconds("process_start_time", "When it started, since the epoch.");
const READY: Series = plain(
    "dynomesh_ready",
    "1 when it has its table and every worker from before has reported.",
);
const APPS: Series = plain("dynomesh_apps", "Apps.");
const DYNOS: Series = plain("dynomesh_dynos", "Dynos of all apps.");
const WORKERS: Series = plain(
    "dynomesh_workers",
    "Nginx workers with a session, or in its grace.",
);
const LEASES: Series = plain("dynomesh_leases", "Requests of all apps that have a dyno.");
const WAITING: Series = plain(
    "dynomesh_waiting",
    "Requests of all apps that wait for one.",
);
const DECISIONS: Series = plain(
    "dynomesh_decisions",
    "What the sidecar decided: a dyno at once, or after a wait (queued), none (refused), or the client left while it waited (cancelled).",
);
const HAPPENED: Series = plain(
    "dynomesh_events",
    "What watchers and dyno managers were told.",
);
const CREDENTIALS: Series = plain(
    "dynomesh_credentials",
    "Passwords, tokens and keys that were looked at, or not since too many were wrong (limited) or too many waited (busy).",
);
const TRACED_REQUESTS: Series = plain(
    "dynomesh_traced_requests",
    "Requests that were to be traced: told, not traced since there were too many (limited), or lost.",
);
const SPANS_SENT: Series = plain(
    "dynomesh_spans",
    "Spans of traced requests: sent, refused by the collector, or lost since it was away.",
);
const COMMITS: Series = plain("dynomesh_store_commits", "Transactions on disk.");

pub(super) fn write(look: &Look, sheet: &mut Sheet<'_>) -> Result {
    let version = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("node", &*look.node),
    ];
    sheet.gauge(&BUILD, [(version, 1_u32)])?;
    sheet.gauge(&STARTED, [(BARE, look.started)])?;
    sheet.gauge(&READY, [(BARE, u32::from(look.ready))])?;
    let totals = &look.totals;
    for (series, count) in [
        (&APPS, totals.apps),
        (&DYNOS, totals.dynos),
        (&WORKERS, totals.sessions),
        (&LEASES, totals.leases),
        (&WAITING, totals.waiting),
    ] {
        sheet.gauge(series, [(BARE, count as u64)])?;
    }
    let counters = &totals.counters;
    let decisions = [
        ("at_once", counters.routed.saturating_sub(counters.queued)),
        ("queued", counters.queued),
        ("refused", counters.refused),
        ("cancelled", counters.cancelled),
    ];
    sheet.counter(
        &DECISIONS,
        decisions.map(|(kind, n)| ([("decision", kind)], n)),
    )?;
    let events = EVENTS.iter().zip(look.events);
    sheet.counter(&HAPPENED, events.map(|(event, n)| ([("event", *event)], n)))?;
    let credentials = look.credentials.iter();
    let credentials = credentials.map(|((kind, result), n)| {
        let labels = [("kind", *kind), ("result", *result)];
        (labels, *n)
    });
    sheet.counter(&CREDENTIALS, credentials)?;
    let traces = look.traces.iter();
    let requests = traces
        .clone()
        .flat_map(|it| TRACED.into_iter().zip(it.requests));
    let spans = traces.flat_map(|it| SPANS.into_iter().zip(it.spans));
    sheet.counter(
        &TRACED_REQUESTS,
        requests.map(|(result, n)| ([("result", result)], n)),
    )?;
    sheet.counter(
        &SPANS_SENT,
        spans.map(|(result, n)| ([("result", result)], n)),
    )?;
    let [made, failed] = look.commits;
    let commits = [("made", made), ("failed", failed)];
    sheet.counter(
        &COMMITS,
        commits.map(|(result, n)| ([("result", result)], n)),
    )
}
