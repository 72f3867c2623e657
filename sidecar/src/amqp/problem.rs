//! What ends a session with the broker.

use std::{fmt, future::Future, time::Duration};

use lapin::ErrorKind;
use tokio::time::timeout;

/// Whatever the broker is asked for, it has this long.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// In words for operators.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    words: String,
    /// What the broker sent can't be read by any means.
    pub(super) is_unreadable: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            words: text.into(),
            is_unreadable: false,
        }
    }

    /// With what was being done.
    pub(super) fn while_(self, what: &str) -> Self {
        Self {
            words: format!("{what}: {}", self.words),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<lapin::Error> for Problem {
    fn from(error: lapin::Error) -> Self {
        Self {
            words: error.to_string(),
            is_unreadable: matches!(error.kind(), ErrorKind::ParsingError(_)),
        }
    }
}

/// Asks the broker for something.
pub(super) async fn within<T, E: Into<Problem>>(
    what: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    match timeout(WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| error.into().while_(what)),
        Err(_) => Err(Problem::new(format!("{what}: no answer within {WITHIN:?}"))),
    }
}
