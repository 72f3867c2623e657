//! What is asked, and what is answered.

use std::{net::IpAddr, sync::Arc, time::Duration};

use auth::Mark;

use super::Shown;

/// Credentials that somebody wants to know of whether they are right.
pub struct Asked {
    /// For this app.
    pub app: Arc<str>,
    /// An `Authorization`, whole, or a key, as [`auth::Look::Ask`] has it.
    pub credential: Box<[u8]>,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// For an authorizer.
    pub shown: Shown,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Asked");
        shown.field("app", &self.app).finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it was judged by. `None`: anybody may use the app.
    pub mark: Option<Mark>,
    /// Whether they are right.
    pub verdict: Verdict,
}

/// Whether credentials are right.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// They are.
    Pass(Passed),
    /// They are not.
    Wrong,
    /// They are, and an authorizer does not let it.
    Denied,
    /// Too many were wrong; these were not looked at. After so long they may be.
    Limited(Duration),
    /// Too many others are looked at.
    Busy,
    /// Nobody can say.
    Away,
}

/// Who it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passed {
    /// For so long.
    pub valid: Duration,
    /// Headers for the dyno.
    pub headers: Vec<(String, String)>,
    /// For logs.
    pub user: String,
}
