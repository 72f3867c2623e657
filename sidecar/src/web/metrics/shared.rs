//! What a sidecar has that shares the route log and its load; otherwise nothing.

use std::fmt::Result;

use mesh::Totals;

use super::sheet::{BARE, Series, Sheet, plain, seconds};
use crate::driver::{LoadView, LogView, MembersView, Part, Sync};

const STATE: Series = plain(
    "dynomesh_log_state",
    "1 for how it stands to the route log.",
);
const SINCE: Series = seconds(
    "dynomesh_log_state_age",
    "For how long it stands like that.",
);
const OFFSET: Series = plain("dynomesh_log_offset", "The last entry that was seen to.");
const ENTRIES: Series = plain("dynomesh_log_entries", "Entries, by what became of them.");
const UNDER_WAY: Series = plain(
    "dynomesh_log_under_way",
    "Changes of own callers that were published and are not made yet.",
);
const QUEUED: Series = plain(
    "dynomesh_log_queued",
    "Changes that wait for the broker on disk.",
);

const NODES: Series = plain("dynomesh_load_nodes", "Other sidecars that are heard.");
const MESSAGES: Series = plain(
    "dynomesh_load_messages",
    "Messages about load: sent, and of others by what became of them.",
);
const INTERVAL: Series = seconds(
    "dynomesh_load_interval",
    "Shortest time between two of its own.",
);

const STANDING: Series = plain(
    "dynomesh_member_state",
    "1 for what it is among the members.",
);
const MEMBERS: Series = plain(
    "dynomesh_members",
    "Members that it knows, itself included if it is one.",
);
const GONE: Series = plain(
    "dynomesh_members_gone",
    "Who was a member and has not come back.",
);
const EPOCH: Series = plain(
    "dynomesh_members_epoch",
    "The place in their stream of the last change of members.",
);
const OWNED: Series = plain(
    "dynomesh_owned_shards",
    "Shards that it may decide for at this moment, of 256.",
);
const AWAY: Series = plain(
    "dynomesh_away",
    "Requests of its routers of which another sidecar decides: that wait or have a dyno.",
);
const LOOSE: Series = plain(
    "dynomesh_loose",
    "Requests that got a dyno without the app's owner: each may be one too many for it.",
);

pub(super) fn log(log: Option<&LogView>, sheet: &mut Sheet<'_>) -> Result {
    let states = [
        ("away", Sync::Away),
        ("catching_up", Sync::CatchingUp),
        ("in_sync", Sync::InSync),
    ];
    let states = log.into_iter().flat_map(|log| {
        states.map(|(name, sync)| ([("state", name)], u32::from(log.standing.sync == sync)))
    });
    sheet.gauge(&STATE, states)?;
    let since = log.map(|log| (BARE, log.since.as_secs_f64()));
    sheet.gauge(&SINCE, since)?;
    let offset = log.and_then(|log| log.position);
    sheet.gauge(&OFFSET, offset.map(|position| (BARE, position.offset)))?;
    let entries = log.into_iter().flat_map(|log| {
        [
            ("applied", log.applied),
            ("refused", log.refused),
            ("duplicate", log.duplicates),
            ("skipped", log.skipped),
        ]
        .map(|(result, n)| ([("result", result)], n))
    });
    sheet.counter(&ENTRIES, entries)?;
    sheet.gauge(&UNDER_WAY, log.map(|log| (BARE, log.under_way)))?;
    sheet.gauge(&QUEUED, log.map(|log| (BARE, log.queue.waiting as u64)))
}

pub(super) fn load(load: Option<&LoadView>, sheet: &mut Sheet<'_>) -> Result {
    let nodes = load.map(|load| (BARE, load.nodes.len() as u64));
    sheet.gauge(&NODES, nodes)?;
    let messages = load.into_iter().flat_map(|load| {
        [
            ("sent", load.sent),
            ("taken", load.taken),
            ("out_of_step", load.out_of_step),
            ("ignored", load.ignored),
            ("skipped", load.skipped),
        ]
        .map(|(result, n)| ([("result", result)], n))
    });
    sheet.counter(&MESSAGES, messages)?;
    let interval = load.map(|load| (BARE, load.interval.as_secs_f64()));
    sheet.gauge(&INTERVAL, interval)
}

pub(super) fn members(view: &MembersView, totals: &Totals, sheet: &mut Sheet<'_>) -> Result {
    let takes_part = view.part != Part::None;
    let some = |value: u64| takes_part.then_some((BARE, value));
    let states = [
        ("joining", Part::Joining),
        ("member", Part::Member),
        ("left", Part::Left),
    ];
    let states = states.into_iter().filter(|_| takes_part);
    sheet.gauge(
        &STANDING,
        states.map(|(name, part)| ([("state", name)], u32::from(view.part == part))),
    )?;
    sheet.gauge(&MEMBERS, some(view.members.len() as u64))?;
    sheet.gauge(&GONE, some(view.gone.len() as u64))?;
    let epoch = view.epoch.filter(|_| takes_part);
    sheet.gauge(&EPOCH, epoch.map(|epoch| (BARE, epoch)))?;
    sheet.gauge(&OWNED, some(view.may_grant.len() as u64))?;
    sheet.gauge(&AWAY, some(totals.away as u64))?;
    sheet.counter(&LOOSE, some(totals.counters.loose))
}
