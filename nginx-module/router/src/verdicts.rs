//! Which credentials this router knows to be right, and who waits to hear that theirs
//! are.
//!
//! What was right is known by a hash with a secret, together with what it was held
//! against, until a time: so in the steady state nobody is asked. Requests that bring
//! the same wait for one answer. While the sidecar is out of reach what is known holds,
//! and the others wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use dynomesh_proto::v1::{AuthVerdict, Authenticate, Authenticated};
use sha2::{Digest as _, Sha256};

use crate::session::Millis;

/// How much is known at once: credentials, and what each is to be told the dyno, by
/// pieces of so many bytes. What was learnt first is forgotten first.
const MOST: usize = 65_536;
const PIECE: usize = 128;

/// Credentials, what they are for, and by which text they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Who it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// Headers for the dyno.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// For logs.
    pub user: Box<str>,
}

impl Passed {
    fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let bytes: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        1 + (bytes + self.user.len()) / PIECE
    }
}

/// What became of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are right.
    Passed(Arc<Passed>),
    /// They are not, or it is not known.
    Refused {
        /// Why.
        verdict: AuthVerdict,
        /// Seconds after which it may be tried again.
        retry_after_s: u32,
    },
    /// The sidecar was out of reach for too long.
    Unheard,
}

#[derive(Debug)]
struct Known {
    passed: Arc<Passed>,
    until: Millis,
    lesson: u64,
}

/// What the sidecar is asked, and who waits for it since when.
#[derive(Debug)]
struct Asked<W> {
    key: Key,
    mark: [u8; 32],
    message: Authenticate,
    waiting: Vec<(W, Millis)>,
}

/// See the module's documentation. `W` is the caller's own name for a request.
#[derive(Debug)]
pub struct Verdicts<W> {
    outage: Duration,
    secret: Secret,
    /// Since when there is no link.
    down: Option<Millis>,
    known: HashMap<Key, Known>,
    order: VecDeque<(u64, Key)>,
    learnt: u64,
    weight: usize,
    asked: HashMap<u64, Asked<W>>,
    numbers: HashMap<Key, u64>,
    last: u64,
    ready: VecDeque<(W, Outcome)>,
}

struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl<W: Copy + PartialEq> Verdicts<W> {
    /// Nothing is known. A request may wait for `outage` without a link.
    pub fn new(outage: Duration, secret: [u8; 32], now: Millis) -> Self {
        Self {
            outage,
            secret: Secret(secret),
            down: Some(now),
            known: HashMap::new(),
            order: VecDeque::new(),
            learnt: 0,
            weight: 0,
            asked: HashMap::new(),
            numbers: HashMap::new(),
            last: 0,
            ready: VecDeque::new(),
        }
    }

    /// What is asked, by a text with this mark. All that the answer may depend on is in it.
    pub fn key(&self, mark: &[u8; 32], message: &Authenticate) -> Key {
        let mut hash = Sha256::new_with_prefix(self.secret.0);
        let mut put = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        put(mark);
        put(message.app.as_bytes());
        put(&message.credential);
        if let Some(request) = &message.request {
            put(&message.client);
            put(request.method.as_bytes());
            put(request.host.as_bytes());
            put(&request.target);
            for header in &request.headers {
                put(header.name.as_bytes());
                put(&header.value);
            }
        }
        Key(hash.finalize().into())
    }

    /// Who it is, if that is known.
    pub fn look(&self, key: Key, now: Millis) -> Option<Arc<Passed>> {
        let known = self.known.get(&key)?;
        (now < known.until).then(|| known.passed.clone())
    }

    /// A request waits for the answer: [`Verdicts::poll_ready`] gives it. Returns what
    /// is to be asked, if nobody has.
    pub fn wait(
        &mut self,
        key: Key,
        mark: &[u8; 32],
        message: Authenticate,
        (who, now): (W, Millis),
    ) -> Option<Authenticate> {
        let asked = self.numbers.get(&key);
        if let Some(asked) = asked.and_then(|number| self.asked.get_mut(number)) {
            asked.waiting.push((who, now));
            return None;
        }
        self.last += 1;
        let number = self.last;
        let message = Authenticate { number, ..message };
        let asked = Asked {
            key,
            mark: *mark,
            message: message.clone(),
            waiting: vec![(who, now)],
        };
        self.numbers.insert(key, number);
        self.asked.insert(number, asked);
        self.down.is_none().then_some(message)
    }

    /// A request does not wait any more. The answer is of use to the next one.
    pub fn leave(&mut self, key: Key, who: W) {
        self.ready.retain(|(ready, _)| *ready != who);
        let Some(number) = self.numbers.get(&key).copied() else {
            return;
        };
        if let Some(asked) = self.asked.get_mut(&number) {
            asked.waiting.retain(|(waiting, _)| *waiting != who);
            if asked.waiting.is_empty() && self.down.is_some() {
                self.forget(number);
            }
        }
    }

    fn forget(&mut self, number: u64) -> Option<Asked<W>> {
        let asked = self.asked.remove(&number)?;
        self.numbers.remove(&asked.key);
        Some(asked)
    }

    /// The sidecar is there. Returns what it is to be asked, again.
    pub fn welcome(&mut self) -> Vec<Authenticate> {
        self.down = None;
        self.drop_idle();
        let mut all: Vec<_> = self.asked.values().map(|a| a.message.clone()).collect();
        all.sort_by_key(|message| message.number);
        all
    }

    /// The link broke, or could not be made: nothing that was asked is answered.
    pub fn disconnected(&mut self, now: Millis) {
        self.down.get_or_insert(now);
        self.drop_idle();
    }

    /// What nobody waits for need not be asked again.
    fn drop_idle(&mut self) {
        let idle = self.asked.iter().filter(|(_, a)| a.waiting.is_empty());
        let idle: Vec<u64> = idle.map(|(number, _)| *number).collect();
        for number in idle {
            self.forget(number);
        }
    }

    /// An answer came.
    pub fn learn(&mut self, answer: Authenticated, now: Millis) {
        let Some(asked) = self.forget(answer.number) else {
            return;
        };
        let outcome = match answer.verdict() {
            AuthVerdict::Pass => {
                let headers = answer.headers.into_iter();
                let passed = Arc::new(Passed {
                    headers: headers.map(|h| (h.name.into(), h.value.into())).collect(),
                    user: answer.user.into(),
                });
                // Another text may have been in effect by then, and this one may be again.
                if answer.mark == asked.mark && answer.valid_ms > 0 {
                    let until = now.saturating_add(answer.valid_ms.into());
                    self.keep(asked.key, passed.clone(), until);
                }
                Outcome::Passed(passed)
            }
            verdict => Outcome::Refused {
                verdict,
                retry_after_s: answer.retry_after_s,
            },
        };
        let waiting = asked.waiting.into_iter();
        self.ready
            .extend(waiting.map(|(who, _)| (who, outcome.clone())));
    }

    fn keep(&mut self, key: Key, passed: Arc<Passed>, until: Millis) {
        self.learnt += 1;
        let lesson = self.learnt;
        self.weight += passed.weight();
        let known = Known {
            passed,
            until,
            lesson,
        };
        if let Some(old) = self.known.insert(key, known) {
            self.weight -= old.passed.weight();
        }
        self.order.push_back((lesson, key));
        while self.weight > MOST || self.order.len() > MOST {
            let Some((lesson, key)) = self.order.pop_front() else {
                return;
            };
            let current = |known: &&Known| known.lesson == lesson;
            if let Some(known) = self.known.get(&key).filter(current) {
                self.weight -= known.passed.weight();
                self.known.remove(&key);
            }
        }
    }

    /// The next request that need not wait any more, and what became of it.
    pub fn poll_ready(&mut self) -> Option<(W, Outcome)> {
        self.ready.pop_front()
    }

    /// There are such requests.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whoever has waited too long for a link is [ready](Verdicts::poll_ready).
    pub fn expire(&mut self, now: Millis) {
        let Some(since) = self.down else { return };
        let outage = u64::try_from(self.outage.as_millis()).unwrap_or(u64::MAX);
        for asked in self.asked.values_mut() {
            asked.waiting.retain(|(who, asked)| {
                let late = (*asked).max(since).saturating_add(outage) <= now;
                if late {
                    self.ready.push_back((*who, Outcome::Unheard));
                }
                !late
            });
        }
        self.drop_idle();
    }
}

#[cfg(test)]
mod tests;
