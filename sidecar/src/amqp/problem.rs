//! What ends a session with the broker.

use std::{fmt, future::Future, time::Duration};

use tokio::time::timeout;

/// Whatever the broker is asked for, it has this long.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// In words for operators.
#[derive(Clone, Debug)]
pub(super) struct Problem(String);

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// With what was being done.
    pub(super) fn while_(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lapin::Error> for Problem {
    fn from(error: lapin::Error) -> Self {
        Self(error.to_string())
    }
}

/// Asks the broker for something.
pub(super) async fn within<T, E: Into<Problem>>(
    what: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    match timeout(WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| error.into().while_(what)),
        Err(_) => Err(Problem(format!("{what}: no answer within {WITHIN:?}"))),
    }
}
