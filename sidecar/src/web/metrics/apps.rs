//! Apps: what they do now, and what became of their requests.

use std::fmt::Result;

use mesh::{AppFigures, DynoCounts};

use super::{
    look::Look,
    sheet::{Series, Sheet, bytes, plain, seconds},
};
use crate::driver::Counted;

const REQUESTS: Series = plain(
    "dynomesh_requests",
    "Requests that ended, by what the client was told and by the code of what went wrong.",
);
const WAIT: Series = seconds(
    "dynomesh_queue_wait",
    "Time in the app's queue, of requests that got a dyno.",
);
const SERVICE: Series = seconds(
    "dynomesh_service",
    "Time with dynos, from connecting to the end of the response.",
);
const RECEIVED: Series = bytes(
    "dynomesh_received",
    "From clients: heads and bodies of requests.",
);
const SENT: Series = bytes(
    "dynomesh_sent",
    "To clients: heads and bodies of responses.",
);
const IN_FLIGHT: Series = plain("dynomesh_app_in_flight", "Requests that have a dyno.");
const ELSEWHERE: Series = plain(
    "dynomesh_app_elsewhere",
    "Requests that other sidecars have at the app's dynos, as far as they have said.",
);
const WAITING: Series = plain("dynomesh_app_waiting", "Requests in the app's queue.");
const OLDEST: Series = seconds(
    "dynomesh_app_oldest_wait",
    "How long the first in the queue has waited.",
);
const CAPACITY: Series = plain(
    "dynomesh_app_capacity",
    "Requests that the dynos that are up may have at once; none if there is one without a limit.",
);
const DYNOS: Series = plain("dynomesh_app_dynos", "Dynos by state.");

pub(super) fn write(look: &Look, sheet: &mut Sheet<'_>) -> Result {
    requests(&look.requests, sheet)?;
    let all = || look.apps.iter().chain([&look.rest]);
    for (series, figure) in FIGURES {
        sheet.gauge(
            series,
            all().map(|app| ([("app", &*app.name)], figure(app))),
        )?;
    }
    let waits = all().map(|app| ([("app", &*app.name)], app.oldest_wait.as_secs_f64()));
    sheet.gauge(&OLDEST, waits)?;
    let limited = all().filter_map(|app| Some(([("app", &*app.name)], app.capacity?)));
    sheet.gauge(&CAPACITY, limited)?;
    let dynos = all().flat_map(|app| {
        let states = states(&app.dynos).into_iter();
        states.map(|(state, n)| ([("app", &*app.name), ("state", state)], n))
    });
    sheet.gauge(&DYNOS, dynos)
}

type Figure = fn(&AppFigures) -> u32;

const FIGURES: [(&Series, Figure); 3] = [
    (&IN_FLIGHT, |app| app.in_flight),
    (&ELSEWHERE, |app| app.elsewhere),
    (&WAITING, |app| app.waiting),
];

fn states(dynos: &DynoCounts) -> [(&'static str, u32); 6] {
    [
        ("starting", dynos.starting),
        ("up", dynos.up),
        ("quarantined", dynos.quarantined),
        ("draining", dynos.draining),
        ("down", dynos.down),
        ("crashed", dynos.crashed),
    ]
}

fn requests(all: &[(Box<str>, Counted)], sheet: &mut Sheet<'_>) -> Result {
    let answers = all.iter().flat_map(|(app, counted)| {
        let answers = counted.answers.iter();
        answers.map(|answers| {
            let labels = [
                ("app", (**app).to_owned()),
                ("status", status(answers.status)),
                ("error", answers.error.clone().into()),
            ];
            (labels, answers.requests)
        })
    });
    sheet.counter(&REQUESTS, answers)?;
    let waits = all
        .iter()
        .map(|(app, counted)| ([("app", &**app)], &counted.waits));
    sheet.histogram(&WAIT, waits)?;
    let services = all
        .iter()
        .map(|(app, counted)| ([("app", &**app)], &counted.services));
    sheet.histogram(&SERVICE, services)?;
    let received = all
        .iter()
        .map(|(app, counted)| ([("app", &**app)], counted.received));
    sheet.counter(&RECEIVED, received)?;
    let sent = all
        .iter()
        .map(|(app, counted)| ([("app", &**app)], counted.sent));
    sheet.counter(&SENT, sent)
}

/// A status, a class, or nothing.
pub(in crate::web) fn status(status: u16) -> String {
    match status {
        0 => "none".into(),
        class @ 1..10 => format!("{class}xx"),
        status => status.to_string(),
    }
}
