//! What sidecars tell each other of requests.

use std::time::Duration;

use dynomesh_proto::v1::{self, report::Kind};
use mesh::ScaleHint;

use super::{Malformed, event::scale};
use crate::driver::{Matter, Report, Word};

/// A report from its message.
pub(super) fn report_from_proto(report: v1::Report) -> Result<Report, Malformed> {
    let kind = report.kind;
    let kind = kind.ok_or_else(|| Malformed::new("report", "is of no kind known here"))?;
    let word = match kind {
        Kind::NeedDyno(need) => Word::Need {
            app: need.app.into(),
            waiting: need.waiting,
        },
        Kind::More(scale) => Word::More(ScaleHint {
            app: scale.app.into(),
            waiting: scale.waiting,
            oldest_wait: Duration::from_millis(scale.oldest_wait_ms.into()),
            in_flight: scale.in_flight,
            dynos: scale.dynos,
            wanted: scale.wanted,
        }),
        Kind::Quiet(matter) => Word::Quiet(from_proto(matter)),
        Kind::Busy(matter) => Word::Busy(from_proto(matter)),
        Kind::Settled(matter) => Word::Settled(from_proto(matter)),
    };
    let seen = report.seen;
    Ok(Report { seen, word })
}

/// The same the other way.
pub(super) fn report_from_core(report: &Report) -> v1::Report {
    let kind = match &report.word {
        Word::Need { app, waiting } => Kind::NeedDyno(v1::NeedDyno {
            app: (**app).into(),
            waiting: *waiting,
        }),
        Word::More(hint) => Kind::More(scale(hint)),
        Word::Quiet(matter) => Kind::Quiet(to_proto(matter)),
        Word::Busy(matter) => Kind::Busy(to_proto(matter)),
        Word::Settled(matter) => Kind::Settled(to_proto(matter)),
    };
    let (seen, kind) = (report.seen, Some(kind));
    v1::Report { seen, kind }
}

fn from_proto(matter: v1::Matter) -> Matter {
    Matter {
        app: matter.app.into(),
        instance: matter.instance.into(),
    }
}

fn to_proto(matter: &Matter) -> v1::Matter {
    v1::Matter {
        app: (*matter.app).into(),
        instance: (*matter.instance).into(),
    }
}
