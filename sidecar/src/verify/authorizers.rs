//! Whom the operator named. Somebody else knows how they are asked.

use std::{net::IpAddr, sync::Arc, time::Duration};

use auth::{Authorizer, MAX_HEADER};
use credentials::{Document, Pass};

use super::{Asked, Desk, Passed, Verdict, passed};

/// A request as it is shown to an authorizer.
#[derive(Clone, Default)]
pub struct Shown {
    /// Its method.
    pub method: String,
    /// The name that it is for.
    pub host: String,
    /// With the query, as the client wrote it.
    pub target: Vec<u8>,
    /// Those that the app wants shown.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What an authorizer is asked.
pub struct Check {
    /// For this app.
    pub app: Arc<str>,
    /// Who it is, if that is known.
    pub user: String,
    /// What is known of that, as JSON.
    pub claims: String,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// What was sent.
    pub shown: Shown,
}

/// What an authorizer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It may go on.
    Allowed {
        /// For the dyno.
        headers: Vec<(String, String)>,
        /// For so long.
        valid: Duration,
    },
    /// It may not.
    Denied {
        /// It is not who it says.
        unknown: bool,
    },
    /// Too many others are asked about.
    Busy,
    /// There was no answer, or nobody has this name.
    Away,
}

/// Asks them.
pub trait Authorizers: std::fmt::Debug + Send + Sync {
    /// Asks the one of this name, and gives the answer to `reply`, once.
    fn ask(&self, name: &str, check: Check, reply: Box<dyn FnOnce(Ruling) + Send>);
}

impl Desk {
    /// Has the app's authorizer asked about a request, of which it is known who it is.
    pub(super) fn consult(
        self: &Arc<Self>,
        mut asked: Asked,
        document: Arc<Document>,
        pass: Pass,
        reply: impl FnOnce(Verdict) + Send + 'static,
    ) {
        let Some(authorizer) = &document.policy.authorizer else {
            return reply(Verdict::Pass(passed(pass)));
        };
        let check = Check {
            app: asked.app.clone(),
            user: pass.user.clone(),
            claims: match &pass.claims {
                claims if claims.is_null() => String::new(),
                claims => claims.to_string(),
            },
            client: asked.client,
            shown: std::mem::take(&mut asked.shown),
        };
        let name = authorizer.name.clone();
        let (desk, pass) = (self.clone(), passed(pass));
        let heed = move |ruling| reply(desk.heed(&asked, &document, pass, ruling));
        match self.authorizers.get() {
            Some(authorizers) => authorizers.ask(&name, check, Box::new(heed)),
            None => heed(Ruling::Away),
        }
    }

    fn heed(&self, asked: &Asked, document: &Document, pass: Passed, ruling: Ruling) -> Verdict {
        let policy = &document.policy;
        let Some(authorizer) = &policy.authorizer else {
            return Verdict::Away;
        };
        match ruling {
            Ruling::Allowed { headers, valid } => {
                self.count("authorizer", "allowed");
                Verdict::Pass(with(pass, authorizer, headers, valid))
            }
            Ruling::Denied { unknown } => {
                self.count("authorizer", "denied");
                if !unknown || !policy.wants_credentials() {
                    return Verdict::Denied;
                }
                let now = std::time::Instant::now();
                self.failures.lock().note(asked, now);
                Verdict::Wrong
            }
            Ruling::Busy | Ruling::Away if authorizer.open => {
                self.count("authorizer", "away");
                let valid = Duration::ZERO;
                Verdict::Pass(Passed { valid, ..pass })
            }
            Ruling::Busy => Verdict::Busy,
            Ruling::Away => {
                self.count("authorizer", "away");
                Verdict::Away
            }
        }
    }
}

/// With what the authorizer says, as far as the app lets it.
fn with(
    mut pass: Passed,
    authorizer: &Authorizer,
    headers: Vec<(String, String)>,
    valid: Duration,
) -> Passed {
    let visible = |b: u8| b.is_ascii_graphic() || b == b' ';
    for (name, value) in headers {
        let own = |known: &&rules::Name| known.lower.eq_ignore_ascii_case(&name);
        let known = authorizer.sets.iter().find(own);
        let plain = value.len() <= MAX_HEADER && value.bytes().all(visible);
        match known.filter(|_| plain && value.trim() == value) {
            Some(known) => pass.headers.push((String::from(&*known.spelled), value)),
            None => tracing::debug!(name, "the app does not let its authorizer set this header"),
        }
    }
    pass.valid = pass.valid.min(valid);
    pass
}
