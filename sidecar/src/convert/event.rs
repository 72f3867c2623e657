//! What watchers are told.

use dynomesh_proto::v1::{self, event::Kind};
use mesh::{Event, ScaleHint};

use super::{change_from_core, millis};
use crate::driver::Notice;

/// A notice as a message.
pub fn event(notice: &Notice) -> v1::Event {
    let kind = match notice {
        Notice::Changed(change) => Kind::Changed(change_from_core(change)),
        Notice::Event(Event::NeedDyno { app, waiting }) => Kind::NeedDyno(v1::NeedDyno {
            app: (**app).into(),
            waiting: *waiting,
        }),
        Notice::Event(Event::Idle { app }) => Kind::Idle(v1::Idle {
            app: (**app).into(),
        }),
        Notice::Event(Event::Scale(hint)) => Kind::Scale(scale(hint)),
        Notice::Event(Event::Drained(dyno)) => Kind::Drained(v1::Drained {
            app: (*dyno.app).into(),
            dyno: (*dyno.name).into(),
            instance: (*dyno.instance).into(),
        }),
        Notice::Event(Event::Quarantined(dyno, span)) => Kind::Quarantined(v1::Quarantined {
            app: (*dyno.app).into(),
            dyno: (*dyno.name).into(),
            instance: (*dyno.instance).into(),
            for_ms: millis(*span),
        }),
    };
    v1::Event { kind: Some(kind) }
}

/// An event as JSON, as managers at the broker get it.
///
/// # Errors
/// It has none.
pub fn event_to_json(event: &Event) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&self::event(&Notice::Event(event.clone())))
}

/// A hint as a message.
pub(super) fn scale(hint: &ScaleHint) -> v1::Scale {
    v1::Scale {
        app: (*hint.app).into(),
        waiting: hint.waiting,
        oldest_wait_ms: millis(hint.oldest_wait),
        in_flight: hint.in_flight,
        dynos: hint.dynos,
        wanted: hint.wanted,
    }
}
