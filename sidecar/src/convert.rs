//! Between the protocol and the core: the only place that knows both.
//!
//! A zero in the protocol is "not set", which is `None` in the core. Whatever
//! comes from outside is checked here for its form, and a refusal names the
//! field; what it means in the mesh is checked by the core.

mod answer;
mod app;
mod auth;
mod change;
mod event;
mod load;
mod log;
mod manage;
mod members;
mod nodes;
mod otlp;
mod owner;
mod pages;
mod queued;
mod report;
mod rules;
mod settings;
mod snapshot;
mod sticky;
mod tally;
mod tap;
mod trace;

pub use answer::{answer, dyno_info, next, outcome, prefer, recall, reserved};
pub use app::{app_from_spec, app_in_list, app_status, counters, spec_from_app};
pub use auth::{authenticate, authenticated, check_request, ruling};
pub use change::{change_from_core, change_from_proto};
pub use event::{event, event_to_json};
pub use load::{MAX_LOADS, load_report_from_bytes, load_report_to_bytes, load_status};
pub use log::{Form, log_status, said_from_bytes, said_to_bytes};
pub use members::{members_entry_from_bytes, members_entry_to_bytes};
pub use nodes::{membership_status, nodes};
pub use otlp::{export_request, spans};
pub use owner::{
    OwnerWords, far_answer, far_answer_from_proto, introduction_to_owner, word_to_owner,
};
pub use pages::app_pages;
pub use queued::{queued_from_bytes, queued_to_bytes};
pub use rules::app_rules;
pub use snapshot::{
    Part, PartKind, SnapshotEnd, Table, TableWriter, part_from_bytes, part_from_proto,
    part_to_bytes, part_to_proto, table_from_bytes,
};
pub use sticky::give_keys;
pub use tally::{BOUNDS_MS, tally, told};
pub use tap::{
    TapFilter, Tapped, TappedRequest, tap_event, tap_event_to_bytes, tap_filter, tap_order, tapped,
};
pub use trace::{Traced, TracedRequest, traced, tracing};

/// A message that is not what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Malformed {
    /// Which field, as a path.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Malformed {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same, in a message that is itself a field.
    fn within(self, parent: &str) -> Self {
        Self {
            field: format!("{parent}.{}", self.field),
            ..self
        }
    }
}

fn non_zero(n: u32) -> Option<u32> {
    (n > 0).then_some(n)
}

/// Whole milliseconds, as far as they go.
fn millis(span: std::time::Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
