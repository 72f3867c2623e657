//! What goes over a router's session.

use std::num::NonZeroU32;

use dynomesh_proto::v1::{self, answer::Result as Reply, sidecar_message::Kind};
use mesh::{Answer, DynoInfo, Next, Outcome, Prefer, Recall, Refusal, Reserved, mark};

use super::millis;

/// The answer to an ask, as a message. `number` is what its dyno is called.
pub fn answer(answer: &Answer, number: u32) -> v1::SidecarMessage {
    let result = match &answer.result {
        Ok(route) => Reply::Route(v1::Route {
            dyno: number,
            limited: route.limited,
            others: route.others,
            counted: route.counted,
            gone: route.gone,
            again_ms: millis(route.again),
            edition: route.edition.map_or(0, NonZeroU32::get),
        }),
        Err(reason) => Reply::Refusal(refusal(*reason).into()),
    };
    let answer = v1::Answer {
        ask: answer.ask.0,
        app: match &answer.result {
            Ok(_) => String::new(),
            Err(_) => answer.app.as_deref().unwrap_or_default().into(),
        },
        queue_wait_ms: millis(answer.wait),
        queue_depth: answer.depth,
        dynos_in_use: answer.in_use,
        queue_headers: answer.queue_headers,
        retry_after_s: answer.result.as_ref().err().map_or(0, retry_after),
        result: Some(result),
    };
    v1::SidecarMessage {
        kind: Some(Kind::Answer(answer)),
    }
}

/// What was reserved, or a part of it: from `first` on, of the dynos with these
/// numbers.
pub fn reserved(
    reserved: &Reserved,
    first: u64,
    dynos: Vec<u32>,
    more: bool,
) -> v1::SidecarMessage {
    let reserved = v1::Reserved {
        first,
        dynos,
        more,
        dynos_in_use: reserved.in_use,
        queue_headers: reserved.queue_headers,
        others: reserved.others,
        limited: reserved.limited,
        again_ms: millis(reserved.again),
    };
    v1::SidecarMessage {
        kind: Some(Kind::Reserved(reserved)),
    }
}

/// A request that waits is next.
pub fn next(next: &Next) -> v1::SidecarMessage {
    let next = v1::Next {
        ask: next.ask.map_or(0, |ask| ask.0),
        app: (*next.app).into(),
        edition: next.edition.get(),
        others: next.others,
        counted: next.counted,
        queue_depth: next.depth,
        dynos_in_use: next.in_use,
        queue_headers: next.queue_headers,
    };
    v1::SidecarMessage {
        kind: Some(Kind::Next(next)),
    }
}

/// Something reserved is wanted back.
pub fn recall(recall: &Recall) -> v1::SidecarMessage {
    let recall = v1::Recall {
        recall: recall.recall.0,
        apps: recall.apps.iter().map(|app| (**app).into()).collect(),
        names: recall.names.iter().map(|name| (**name).into()).collect(),
        ruled: recall.ruled,
        pages: recall.pages,
        paged: recall.paged,
    };
    v1::SidecarMessage {
        kind: Some(Kind::Recall(recall)),
    }
}

/// Who a dyno is that is called `number` from now on.
pub fn dyno_info(number: u32, dyno: &DynoInfo) -> v1::SidecarMessage {
    let info = v1::DynoInfo {
        number,
        app: (*dyno.app).into(),
        name: (*dyno.name).into(),
        instance: (*dyno.instance).into(),
        address: dyno.address.to_string(),
        mark: mark(&dyno.instance),
    };
    v1::SidecarMessage {
        kind: Some(Kind::Dyno(info)),
    }
}

pub(super) fn refusal(reason: Refusal) -> v1::Refusal {
    match reason {
        Refusal::UnknownName => v1::Refusal::UnknownName,
        Refusal::Maintenance => v1::Refusal::Maintenance,
        Refusal::QueueFull => v1::Refusal::QueueFull,
        Refusal::QueueTimeout => v1::Refusal::QueueTimeout,
        Refusal::TooManyRequests => v1::Refusal::TooManyRequests,
        Refusal::RateLimited(_) => v1::Refusal::RateLimited,
        Refusal::NoDynos => v1::Refusal::NoDynos,
        Refusal::NeverReleased => v1::Refusal::NeverReleased,
        Refusal::Crashed => v1::Refusal::Crashed,
        Refusal::BootTimeout => v1::Refusal::BootTimeout,
        Refusal::Quarantined => v1::Refusal::Quarantined,
        Refusal::NoOtherDyno => v1::Refusal::NoOtherDyno,
        Refusal::NoOwner => v1::Refusal::NoOwner,
        Refusal::Overloaded => v1::Refusal::Overloaded,
    }
}

/// Seconds after which a request that was refused may come again; 0: nobody knows.
pub(super) fn retry_after(reason: &Refusal) -> u32 {
    match reason {
        Refusal::RateLimited(seconds) => *seconds,
        _ => 0,
    }
}

/// The same the other way. One that is not known here is the other's fault.
pub(super) fn refusal_from_proto(given: i32, retry_after_s: u32) -> Refusal {
    match v1::Refusal::try_from(given) {
        Ok(v1::Refusal::UnknownName) => Refusal::UnknownName,
        Ok(v1::Refusal::Maintenance) => Refusal::Maintenance,
        Ok(v1::Refusal::QueueFull) => Refusal::QueueFull,
        Ok(v1::Refusal::QueueTimeout) => Refusal::QueueTimeout,
        Ok(v1::Refusal::TooManyRequests) => Refusal::TooManyRequests,
        Ok(v1::Refusal::RateLimited) => Refusal::RateLimited(retry_after_s),
        Ok(v1::Refusal::NoDynos) => Refusal::NoDynos,
        Ok(v1::Refusal::NeverReleased) => Refusal::NeverReleased,
        Ok(v1::Refusal::Crashed) => Refusal::Crashed,
        Ok(v1::Refusal::BootTimeout) => Refusal::BootTimeout,
        Ok(v1::Refusal::Quarantined) => Refusal::Quarantined,
        Ok(v1::Refusal::NoOtherDyno) => Refusal::NoOtherDyno,
        Ok(v1::Refusal::NoOwner) => Refusal::NoOwner,
        Ok(v1::Refusal::Overloaded | v1::Refusal::Unspecified) | Err(_) => Refusal::Overloaded,
    }
}

/// How a lease ended. One that nobody here knows says nothing about the dyno,
/// neither good nor bad.
pub fn outcome(given: i32) -> Outcome {
    match v1::Outcome::try_from(given) {
        Ok(v1::Outcome::Done) => Outcome::Done,
        Ok(v1::Outcome::Refused) => Outcome::Refused,
        Ok(v1::Outcome::ConnectTimeout) => Outcome::ConnectTimeout,
        Ok(v1::Outcome::Unused) => Outcome::Unused,
        Ok(v1::Outcome::Failed | v1::Outcome::Unspecified) | Err(_) => Outcome::Failed,
    }
}

/// Which dyno a request would rather have; a zero says nothing.
pub fn prefer(dyno: u64, hash: u64) -> Option<Prefer> {
    match (dyno, hash) {
        (0, 0) => None,
        (0, hash) => Some(Prefer::Hash(hash)),
        (mark, _) => Some(Prefer::Dyno(mark)),
    }
}

/// The same the other way.
pub(super) fn prefer_from_core(prefer: Option<Prefer>) -> (u64, u64) {
    match prefer {
        None => (0, 0),
        Some(Prefer::Hash(hash)) => (0, hash),
        Some(Prefer::Dyno(mark)) => (mark, 0),
    }
}
