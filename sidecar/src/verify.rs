//! Looking at credentials, which takes longer than a request of somebody else may
//! wait.
//!
//! **What.** A router asks whether credentials are right for an app. A password takes
//! a tenth of a second by design, so that is done on threads of their own, a few of
//! them: who comes when too many wait is told so. Passwords that were right are
//! remembered for some minutes, as a hash with a secret, by what they had to be:
//! whoever has a right one costs next to nothing, through all workers, and after a
//! change of others' passwords. Clients that are wrong too often have to wait.
//!
//! **How.** [`Verifier::ask`] answers at once or later, once. Nothing here knows who
//! asks.
mod authorizers;
mod documents;
mod failures;
mod finding;
mod memory;
mod pool;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use auth::{Mark, Scheme};
use credentials::{Document, Login, Pass, Wrong};
use mesh::Auth;
use parking_lot::Mutex;

pub use authorizers::{Authorizers, Check, Ruling, Shown};
pub use finding::{Asked, Finding, Passed, Verdict};

use crate::panics;
use documents::Documents;
use failures::Failures;
use memory::Memory;
use pool::Pool;

/// A verdict holds for so long, if what it is about does.
const VALID: Duration = Duration::from_secs(300);
/// Threads for passwords, unless it is said: each takes a processor and up to 64 MiB.
const THREADS: usize = 2;

/// See the module's documentation.
#[derive(Debug)]
pub struct Verifier {
    desk: Arc<Desk>,
    passwords: Pool,
    tokens: Pool,
}

/// What is shared with the threads.
#[derive(Debug)]
struct Desk {
    documents: Mutex<Documents>,
    memory: Mutex<Memory>,
    failures: Mutex<Failures>,
    counts: [AtomicU64; KINDS.len()],
    authorizers: OnceLock<Arc<dyn Authorizers>>,
}

/// How far it is known whether a request may go on.
enum Judged {
    Done(Verdict),
    /// Whoever it is, somebody else has to say so.
    Consult(Arc<Document>, Box<Pass>),
}

/// What is counted: of what kind credentials were, and what came of them.
const KINDS: [(&str, &str); 12] = [
    ("password", "right"),
    ("password", "wrong"),
    ("password", "remembered"),
    ("token", "right"),
    ("token", "wrong"),
    ("key", "right"),
    ("key", "wrong"),
    ("authorizer", "allowed"),
    ("authorizer", "denied"),
    ("authorizer", "away"),
    ("any", "limited"),
    ("any", "busy"),
];

impl Default for Verifier {
    fn default() -> Self {
        let desk = Desk {
            documents: Mutex::default(),
            memory: Mutex::new(Memory::new(rand::random())),
            failures: Mutex::default(),
            counts: Default::default(),
            authorizers: OnceLock::new(),
        };
        Self {
            desk: Arc::new(desk),
            passwords: Pool::new("passwords", THREADS),
            tokens: Pool::new("tokens", 1),
        }
    }
}

impl Verifier {
    /// So many threads look at passwords.
    pub fn allow(&self, threads: usize) {
        self.passwords.allow(threads);
    }

    /// These are the authorizers that apps may name. Only the first ones count.
    pub fn have_asked(&self, authorizers: Arc<dyn Authorizers>) {
        let _ = self.desk.authorizers.set(authorizers);
    }

    /// What was looked at so far: of which kind, what came of it, how often.
    pub fn counts(&self) -> impl Iterator<Item = ((&'static str, &'static str), u64)> {
        let counts = self.desk.counts.iter().map(|count| count.load(Relaxed));
        KINDS.into_iter().zip(counts)
    }

    /// Looks at credentials for an app, which has this to say. The answer is returned,
    /// or given to `reply` later.
    pub fn ask(
        &self,
        asked: Asked,
        auth: Auth,
        reply: impl FnOnce(Finding) + Send + 'static,
    ) -> Option<Finding> {
        let Some(mark) = auth.mark().copied() else {
            let verdict = Verdict::Pass(Passed::default());
            return Some(Finding {
                mark: None,
                verdict,
            });
        };
        let finding = move |verdict| Finding {
            mark: Some(mark),
            verdict,
        };
        let reply = move |verdict| reply(finding(verdict));
        match self.desk.at_once(&asked, &mark) {
            Some(Judged::Done(verdict)) => return Some(finding(verdict)),
            Some(Judged::Consult(document, pass)) => {
                self.desk.consult(asked, document, *pass, reply);
                return None;
            }
            None => {}
        }
        let pool = match Scheme::of(&asked.credential) {
            Some(Scheme::Basic) => &self.passwords,
            _ => &self.tokens,
        };
        let (app, desk) = (asked.app.clone(), self.desk.clone());
        let job = move || {
            match panics::as_error(|| desk.judge(&asked, &auth)) {
                Ok(Judged::Done(verdict)) => reply(verdict),
                Ok(Judged::Consult(document, pass)) => desk.consult(asked, document, *pass, reply),
                Err(_) => {
                    // What it says may have the credentials in it.
                    tracing::error!(app = &*asked.app, "looking at credentials panicked");
                    reply(Verdict::Away);
                }
            }
        };
        match pool.put(app, Box::new(job)) {
            true => None,
            false => {
                self.desk.count("any", "busy");
                Some(finding(Verdict::Busy))
            }
        }
    }
}

impl Desk {
    /// What can be said without work.
    fn at_once(&self, asked: &Asked, mark: &Mark) -> Option<Judged> {
        let document = self.documents.lock().get(&asked.app, mark)?;
        let login = document.login(&asked.credential).ok()?;
        self.recall(&document, login)
    }

    /// A password that was right a while ago.
    fn recall(&self, document: &Arc<Document>, login: Login<'_>) -> Option<Judged> {
        let known = self.memory.lock().knows(&login.parts(), Instant::now());
        if !known || !login.may_be_remembered() {
            return None;
        }
        let pass = document.admit(login.user).ok()?;
        self.count("password", "remembered");
        Some(judged(document, pass))
    }

    /// What an app says, read if need be: not under the lock, others wait for that.
    fn document(&self, app: &Arc<str>, auth: &Auth) -> Option<Arc<Document>> {
        let mark = auth.mark()?;
        let known = self.documents.lock().get(app, mark);
        if known.is_some() {
            return known;
        }
        match Document::parse(auth.lines()) {
            Ok(document) => {
                let document = Arc::new(document.without_exceptions());
                self.documents.lock().put(app, mark, document.clone());
                Some(document)
            }
            Err(problem) => {
                tracing::error!(app = &**app, "who may use it can't be read: {problem}");
                None
            }
        }
    }

    fn judge(&self, asked: &Asked, auth: &Auth) -> Judged {
        let Some(document) = self.document(&asked.app, auth) else {
            return Judged::Done(Verdict::Away);
        };
        let login = document.login(&asked.credential);
        if let Ok(login) = login
            && let Some(known) = self.recall(&document, login)
        {
            return known;
        }
        let limited = self.failures.lock().limited(asked, Instant::now());
        if let Some(after) = limited {
            self.count("any", "limited");
            return Judged::Done(Verdict::Limited(after));
        }
        if !document.policy.wants_credentials() {
            return judged(&document, Pass::default());
        }
        let kind = match Scheme::of(&asked.credential) {
            Some(Scheme::Basic) => "password",
            Some(Scheme::Key) => "key",
            Some(Scheme::Bearer) | None => "token",
        };
        match self.look(&document, &asked.credential) {
            Ok(pass) => {
                self.count(kind, "right");
                judged(&document, pass)
            }
            Err(why) => {
                tracing::debug!(app = &*asked.app, client = ?asked.client, "refused: {why}");
                if why.is_suspicious() {
                    self.failures.lock().note(asked, Instant::now());
                }
                self.count(kind, "wrong");
                Judged::Done(Verdict::Wrong)
            }
        }
    }

    fn look(&self, document: &Document, credential: &[u8]) -> Result<Pass, Wrong> {
        match Scheme::of(credential) {
            Some(Scheme::Basic) => self.look_at_password(document, credential),
            Some(Scheme::Key) => document.key(credential),
            Some(Scheme::Bearer) | None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                document.token(credential, now.unwrap_or_default().as_secs())
            }
        }
    }

    fn look_at_password(&self, document: &Document, credential: &[u8]) -> Result<Pass, Wrong> {
        let login = document.login(credential)?;
        if !login.is_right() {
            return Err(Wrong::Password);
        }
        let until = Instant::now() + VALID;
        self.memory.lock().learn(&login.parts(), until);
        document.admit(login.user)
    }

    fn count(&self, kind: &str, result: &str) {
        let at = KINDS.iter().position(|known| *known == (kind, result));
        if let Some(count) = at.and_then(|at| self.counts.get(at)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

fn judged(document: &Arc<Document>, pass: Pass) -> Judged {
    match document.policy.authorizer {
        Some(_) => Judged::Consult(document.clone(), Box::new(pass)),
        None => Judged::Done(Verdict::Pass(passed(pass))),
    }
}

fn passed(pass: Pass) -> Passed {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let left = pass.until.map(|until| until.saturating_sub(now));
    let headers = pass.headers.into_iter();
    Passed {
        valid: left.map_or(VALID, |left| Duration::from_secs(left).min(VALID)),
        headers: headers
            .map(|(name, value)| (String::from(&*name.spelled), value))
            .collect(),
        user: pass.user,
    }
}

#[cfg(test)]
mod tests;
