//! Traces: requests that a collector of OpenTelemetry's is told of.
//!
//! Routers are told how many they may trace, each the same part of what all may. What
//! they tell waits for whoever carries it to the collector; what there is no room for is
//! lost, and counted: no request waits for it.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use mesh::SessionKey;
use tokio::sync::mpsc;

use super::{
    Driver,
    outbox::{Outbox, Reply},
};
use crate::convert::{Traced, TracedRequest};

/// Requests that the collector may be behind.
const BACKLOG: usize = 4_096;

/// What routers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceOrder {
    /// So many of a million requests that are in no trace begin one.
    pub sample: u32,
    /// At most so many requests a second.
    pub per_second: u32,
}

/// What becomes of requests that are traced, ...
pub const TRACED: [&str; 3] = ["told", "limited", "lost"];
/// ... and of their spans.
pub const SPANS: [&str; 3] = ["sent", "refused", "lost"];

/// What became of spans, as in [`SPANS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see there")]
pub enum SpanEnd {
    Sent,
    Refused,
    Lost,
}

/// How many, as in [`TRACED`] and [`SPANS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceCounts {
    /// Requests.
    pub requests: [u64; TRACED.len()],
    /// Spans.
    pub spans: [u64; SPANS.len()],
}

#[derive(Debug)]
struct Open {
    /// Of all routers together.
    order: TraceOrder,
    /// What each may have, as it was told.
    part: AtomicU32,
    to: mpsc::Sender<TracedRequest>,
    requests: [AtomicU64; TRACED.len()],
    spans: [AtomicU64; SPANS.len()],
    said_limited: AtomicBool,
    said_lost: AtomicBool,
}

/// Nothing is traced unless it is opened.
#[derive(Debug, Default)]
pub(super) struct Desk(OnceLock<Open>);

impl Desk {
    /// Routers have come or gone, and this one has come. All are told when their part is
    /// another one: not with each that comes, or many that come at once would take long.
    pub(super) fn share(
        &self,
        routers: &HashMap<SessionKey, Arc<Outbox>>,
        new: Option<&Arc<Outbox>>,
    ) {
        let Some(open) = self.0.get() else { return };
        let parts = u32::try_from(routers.len().next_power_of_two()).unwrap_or(u32::MAX);
        let part = open.order.per_second.div_ceil(parts);
        let reply = Reply::Tracing(TraceOrder {
            per_second: part,
            ..open.order
        });
        if open.part.swap(part, Relaxed) != part {
            routers
                .values()
                .for_each(|router| router.tell(reply.clone()));
        } else if let Some(new) = new {
            new.tell(reply);
        }
    }
}

impl Open {
    fn take(&self, traced: Traced) {
        let (mut told, mut lost) = (0, traced.lost);
        for request in traced.requests {
            match self.to.try_send(request) {
                Ok(()) => told += 1,
                Err(_) => lost += 1,
            }
        }
        for (count, more) in self.requests.iter().zip([told, traced.limited, lost]) {
            count.fetch_add(more, Relaxed);
        }
        if traced.limited > 0 && !self.said_limited.swap(true, Relaxed) {
            tracing::warn!(
                "more requests are to be traced than otlp-rate lets: those beyond are not, \
                 and dynomesh_traced_requests_total counts them"
            );
        }
        if lost > 0 && !self.said_lost.swap(true, Relaxed) {
            tracing::warn!(
                "more requests are traced than are taken: some are lost, and \
                 dynomesh_traced_requests_total counts them"
            );
        }
    }
}

impl Driver {
    /// Requests are traced from now on: routers that come are told so. Gives what they
    /// tell; `None`: somebody has it already.
    pub fn trace(&self, order: TraceOrder) -> Option<mpsc::Receiver<TracedRequest>> {
        let (to, from) = mpsc::channel(BACKLOG);
        let open = Open {
            order,
            part: AtomicU32::new(0),
            to,
            requests: Default::default(),
            spans: Default::default(),
            said_limited: AtomicBool::new(false),
            said_lost: AtomicBool::new(false),
        };
        self.traces.0.set(open).is_ok().then_some(from)
    }

    /// A router tells of requests.
    pub(super) fn take_traced(&self, traced: Traced) {
        if let Some(open) = self.traces.0.get() {
            open.take(traced);
        }
    }

    /// The collector has so many more spans, or has not.
    pub fn count_spans(&self, end: SpanEnd, more: u64) {
        if let Some(open) = self.traces.0.get() {
            open.spans[end as usize].fetch_add(more, Relaxed);
        }
    }

    /// What became of all; `None`: nothing is traced.
    pub fn trace_counts(&self) -> Option<TraceCounts> {
        let open = self.traces.0.get()?;
        let load = |count: &AtomicU64| count.load(Relaxed);
        Some(TraceCounts {
            requests: open.requests.each_ref().map(load),
            spans: open.spans.each_ref().map(load),
        })
    }
}
