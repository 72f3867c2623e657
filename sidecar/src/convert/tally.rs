//! What routers say of requests that have ended. Nothing depends on it, so what is odd
//! is not refused: it is cut to what it may be.

use dynomesh_proto::v1::{self, sidecar_message};

use crate::driver::{Answers, BUCKETS, Counted, Spread, Tally, Whose};

pub use dynomesh_proto::BOUNDS_MS;

/// Apps in a tally: those that may be told apart, and all others.
const MOST_APPS: usize = 4_097;
/// Kinds of answers of one app.
const MOST_ANSWERS: usize = 256;
/// Bytes of a code.
const MOST_BYTES: usize = 16;
/// Bytes of the name of an app.
const MOST_NAME: usize = 128;

/// A tally from its message.
pub fn tally(tally: v1::Tally) -> Tally {
    Tally {
        number: tally.number,
        rows: tally.apps.into_iter().take(MOST_APPS).map(row).collect(),
    }
}

/// It has been counted.
pub fn told(number: u64) -> v1::SidecarMessage {
    v1::SidecarMessage {
        kind: Some(sidecar_message::Kind::Told(v1::Told { number })),
    }
}

fn row(app: v1::AppTally) -> (Whose, Counted) {
    let whose = match app.app {
        _ if app.others => Whose::Others,
        name if name.is_empty() => Whose::Nobody,
        name if name.len() > MOST_NAME => Whose::Others,
        name => Whose::App(name.into()),
    };
    let counted = Counted {
        answers: app
            .answered
            .into_iter()
            .take(MOST_ANSWERS)
            .map(answers)
            .collect(),
        waits: spread(&app.waits.unwrap_or_default()),
        services: spread(&app.services.unwrap_or_default()),
        received: app.bytes_received,
        sent: app.bytes_sent,
    };
    (whose, counted)
}

fn answers(answered: v1::Answered) -> Answers {
    let is_code = answered.error.len() <= MOST_BYTES
        && answered
            .error
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Answers {
        status: u16::try_from(answered.status).map_or(0, |status| status.min(999)),
        error: if is_code {
            answered.error.into()
        } else {
            "unknown".into()
        },
        requests: answered.requests.into(),
    }
}

fn spread(spread: &v1::Spread) -> Spread {
    let count = |at: usize| spread.counts.get(at).copied().unwrap_or(0).into();
    Spread {
        counts: std::array::from_fn::<_, BUCKETS, _>(count),
        sum_ms: spread.sum_ms,
    }
}
