//! What this router knows of the rules for names.
//!
//! The first request for a name waits for its rules, those after it find them here,
//! until the sidecar says that they may be others. While no app has rules, nobody
//! waits and nothing is asked. While the sidecar is out of reach, a router goes by
//! what it knows; a name that it does not know waits.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use auth::Policy;
use dynomesh_proto::v1::{AppRules, Handling};
use rules::RuleSet;

use crate::{session::Millis, sticky::Sticky};

/// How much is known at once: names, and rules of each. What was learnt first is
/// forgotten first.
const MOST: usize = 262_144;

/// The rules of an app, read once.
#[derive(Debug)]
pub struct Ruled {
    /// Whose they are.
    pub app: Arc<str>,
    /// What they say.
    pub rules: RuleSet,
    /// What holds for the requests that it serves.
    pub handling: Handling,
    /// Who may use the app; `None`: anybody.
    pub gate: Option<Gate>,
    /// Which of them prefer which dyno.
    pub sticky: Option<Sticky>,
    /// Of their text.
    mark: u64,
}

/// Who may use an app.
#[derive(Debug)]
pub struct Gate {
    /// Another one when anything is different, also what is secret.
    pub mark: [u8; 32],
    /// What a request has to bring.
    pub policy: Policy,
}

/// What is known for a name.
#[derive(Clone, Debug)]
pub enum Known {
    /// There are no rules, and anybody may use it.
    None,
    /// There are these.
    Rules(Arc<Ruled>),
    /// There are some that can't be read: a sidecar of another version took them. It
    /// is not known what they forbid.
    Unreadable,
}

impl Known {
    fn weight(&self) -> usize {
        match self {
            Self::Rules(ruled) => {
                let gate = ruled.gate.as_ref();
                1 + ruled.rules.len() + gate.map_or(0, |gate| gate.policy.weight())
            }
            Self::None | Self::Unreadable => 1,
        }
    }
}

/// What a name has to do before its request goes on.
#[derive(Clone, Debug)]
pub enum Look {
    /// It is known.
    Known(Known),
    /// It has to [wait](Rulebook::wait).
    Unknown,
}

/// What is known for a name, and which lesson that was.
#[derive(Debug)]
struct Entry {
    known: Known,
    lesson: u64,
}

/// The link, as far as rules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Since when.
    Down(Millis),
    Up,
}

/// Requests that wait for the rules of a name: who, and since when.
type Waiting<W> = Vec<(W, Millis)>;

/// See the module's documentation. `W` is the caller's own name for a request.
#[derive(Debug)]
pub struct Rulebook<W> {
    outage: Duration,
    link: Link,
    /// Some app has rules. `None`: nobody has said.
    ruled: Option<bool>,
    /// Names come from clients, so they are hashed with a secret.
    known: HashMap<Arc<str>, Entry>,
    /// In which they were learnt; some are not known any more, or learnt anew.
    order: VecDeque<(u64, Arc<str>)>,
    /// Counts what was learnt.
    learnt: u64,
    weight: usize,
    /// Names of one app share what was read.
    of_apps: HashMap<Arc<str>, Weak<Ruled>>,
    waiting: HashMap<Arc<str>, Waiting<W>>,
    /// Requests that need not wait any more.
    ready: VecDeque<W>,
    hasher: RandomState,
}

impl<W: Copy + PartialEq> Rulebook<W> {
    /// Nothing is known. A request may wait for `outage` without a link.
    pub fn new(outage: Duration, now: Millis) -> Self {
        Self {
            outage,
            link: Link::Down(now),
            ruled: None,
            known: HashMap::new(),
            order: VecDeque::new(),
            learnt: 0,
            weight: 0,
            of_apps: HashMap::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// No app has rules, so nobody has to look.
    pub fn is_closed(&self) -> bool {
        self.ruled == Some(false)
    }

    /// What is known for a name.
    pub fn look(&self, name: &str) -> Look {
        if self.is_closed() {
            return Look::Known(Known::None);
        }
        let entry = self.known.get(canonical(name));
        entry.map_or(Look::Unknown, |entry| Look::Known(entry.known.clone()))
    }

    /// A request waits for the rules of a name: [`Rulebook::poll_ready`] gives it.
    /// Returns the name to ask for, if nobody has.
    pub fn wait(&mut self, name: &str, who: W, now: Millis) -> Option<Arc<str>> {
        let name: Arc<str> = canonical(name).into();
        let waiting = self.waiting.entry(name.clone()).or_default();
        waiting.push((who, now));
        let first = waiting.len() == 1;
        (first && self.link == Link::Up).then_some(name)
    }

    /// A request does not wait any more.
    pub fn leave(&mut self, name: &str, who: W) {
        self.ready.retain(|ready| *ready != who);
        let name = canonical(name);
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.retain(|(waiting, _)| *waiting != who);
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
    }

    /// The sidecar is there, and says whether some app has rules. Returns the names
    /// to ask for.
    pub fn welcome(&mut self, ruled: bool) -> Vec<Arc<str>> {
        self.link = Link::Up;
        self.ruled = Some(ruled);
        self.known.clear();
        self.order.clear();
        self.weight = 0;
        if ruled {
            return self.waiting.keys().cloned().collect();
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.ready
            .extend(waiting.into_values().flatten().map(|(who, _)| who));
        Vec::new()
    }

    /// The link broke, or could not be made.
    pub fn disconnected(&mut self, now: Millis) {
        if self.link == Link::Up {
            self.link = Link::Down(now);
        }
    }

    /// The rules for these names are not known any more.
    pub fn forget(&mut self, names: &[String], ruled: bool) {
        self.ruled = Some(ruled || self.ruled == Some(true));
        for name in names {
            match name.strip_prefix('*') {
                Some(end) => self.known.retain(|known, _| !known.ends_with(end)),
                None => _ = self.known.remove(&**name),
            }
        }
        self.weight = self.known.values().map(|entry| entry.known.weight()).sum();
    }

    /// These are the rules for a name. Says which are unreadable, and why.
    ///
    /// # Errors
    /// Why they can't be read.
    pub fn learn(&mut self, message: &AppRules) -> Result<(), String> {
        let name: Arc<str> = canonical(&message.name).into();
        let (known, result) = match self.read(message) {
            Ok(None) => (Known::None, Ok(())),
            Ok(Some(ruled)) => (Known::Rules(ruled), Ok(())),
            Err(problem) => (Known::Unreadable, Err(problem)),
        };
        self.weight += known.weight();
        self.learnt += 1;
        let lesson = self.learnt;
        if let Some(old) = self.known.insert(name.clone(), Entry { known, lesson }) {
            self.weight -= old.known.weight();
        }
        self.order.push_back((lesson, name.clone()));
        self.shrink();
        let waiting = self.waiting.remove(&name).unwrap_or_default();
        self.ready.extend(waiting.into_iter().map(|(who, _)| who));
        result
    }

    fn read(&mut self, message: &AppRules) -> Result<Option<Arc<Ruled>>, String> {
        let handling = message.handling.unwrap_or_default();
        let sticky = Sticky::read(&message.sticky);
        let plain = handling == Handling::default() && sticky.is_none();
        if message.lines.is_empty() && message.auth.is_none() && plain {
            return Ok(None);
        }
        let auth = message.auth.as_ref().map(|auth| (&auth.mark, &auth.lines));
        let mark = self.hasher.hash_one((&message.lines, auth));
        let before = self.of_apps.get(&*message.app).and_then(Weak::upgrade);
        let same = |ruled: &Arc<Ruled>| {
            ruled.mark == mark && ruled.handling == handling && ruled.sticky == sticky
        };
        if let Some(ruled) = before.filter(same) {
            return Ok(Some(ruled));
        }
        let rules = RuleSet::parse(&message.lines);
        let rules = rules
            .map_err(|problem| format!("rules of app {} can't be read: {problem}", message.app))?;
        let app: Arc<str> = message.app.as_str().into();
        let ruled = Arc::new(Ruled {
            app: app.clone(),
            rules,
            handling,
            gate: gate(message)?,
            sticky,
            mark,
        });
        if self.of_apps.len() > 2 * self.known.len() + 64 {
            self.of_apps.retain(|_, ruled| ruled.strong_count() > 0);
        }
        self.of_apps.insert(app, Arc::downgrade(&ruled));
        let silent = ruled.rules.is_empty() && ruled.gate.is_none() && plain;
        Ok((!silent).then_some(ruled))
    }

    /// Forgets until it is not too much.
    fn shrink(&mut self) {
        while self.weight > MOST || self.order.len() > MOST {
            let Some((lesson, name)) = self.order.pop_front() else {
                return;
            };
            let current = |entry: &&Entry| entry.lesson == lesson;
            if let Some(entry) = self.known.get(&name).filter(current) {
                self.weight -= entry.known.weight();
                self.known.remove(&name);
            }
        }
    }

    /// The next request that need not wait any more.
    pub fn poll_ready(&mut self) -> Option<W> {
        self.ready.pop_front()
    }

    /// There are such requests.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A request that has waited too long for a link.
    pub fn poll_expired(&mut self, now: Millis) -> Option<W> {
        let Link::Down(since) = self.link else {
            return None;
        };
        let outage = u64::try_from(self.outage.as_millis()).unwrap_or(u64::MAX);
        let late = |(_, asked): &(W, Millis)| (*asked).max(since).saturating_add(outage) <= now;
        let (name, who) = self.waiting.iter().find_map(|(name, waiting)| {
            let (who, _) = waiting.iter().find(|waiting| late(waiting))?;
            Some((name.clone(), *who))
        })?;
        self.leave(&name, who);
        Some(who)
    }
}

fn gate(message: &AppRules) -> Result<Option<Gate>, String> {
    let Some(auth) = &message.auth else {
        return Ok(None);
    };
    let problem = |what: String| format!("who may use app {} can't be read: {what}", message.app);
    let policy = Policy::parse(&auth.lines).map_err(|what| problem(what.to_string()))?;
    let mark = auth.mark.as_array().copied();
    let mark = mark.ok_or_else(|| problem("it has no mark".into()))?;
    Ok(Some(Gate { mark, policy }))
}

/// As the sidecar has names: a dot at the end is none.
fn canonical(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests;
