//! Which reports count: each sidecar comes to the same by the entries alone. When
//! something is said (again) is up to each one's clock.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use super::Matter;

/// A dyno that was asked for is asked for again after this, if none is starting.
const AGAIN: Duration = Duration::from_secs(5);
/// Whoever still needs what another one does not says so within this.
const OBJECT_WITHIN: Duration = Duration::from_secs(1);
/// Questions asked at once.
const AT_ONCE: usize = 256;
/// What was over here and not there is asked for again after this: whoever said no
/// says when it is over, unless it ends before.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// See the module's documentation. Each map has at most one place for each app
/// and each dyno that drains.
#[derive(Debug, Default)]
pub(in crate::driver) struct Consensus {
    needs: HashMap<Box<str>, Need>,
    /// Where the latest hint that counted is.
    hints: HashMap<Box<str>, u64>,
    questions: HashMap<Matter, Question>,
    /// What is over here, and when that is asked (again); the same by time.
    over: HashMap<Matter, Instant>,
    due: BTreeSet<(Instant, Matter)>,
    /// What this sidecar has yet to say no to.
    objections: HashSet<Matter>,
}

#[derive(Debug, Default)]
struct Need {
    /// The latest that counted: where it is, and when it came here.
    counted: Option<(u64, Instant)>,
    /// How many waited as it was said.
    waiting: u32,
    /// No dyno has come since.
    open: bool,
    /// When this sidecar has published one.
    said: Option<Instant>,
}

#[derive(Debug)]
struct Question {
    offset: u64,
    since: Instant,
    /// It is for this sidecar to settle it.
    own: bool,
}

impl Consensus {
    /// Shall this sidecar say that an app needs a dyno?
    pub(in crate::driver) fn claims(&mut self, app: &str, now: Instant) -> bool {
        let need = self.needs.entry(app.into()).or_default();
        let is_new = |at: Instant| now.saturating_duration_since(at) < AGAIN;
        let counted = need.counted.is_some_and(|(_, at)| need.open && is_new(at));
        let claims = !counted && !need.said.is_some_and(is_new);
        if claims {
            need.said = Some(now);
        }
        claims
    }

    /// Somebody said at `offset` that an app needs a dyno, who had seen the log up
    /// to `seen`. Of several who did not know of each other the first one counts.
    pub(in crate::driver) fn need(
        &mut self,
        app: &str,
        waiting: u32,
        seen: u64,
        offset: u64,
    ) -> bool {
        let need = self.needs.entry(app.into()).or_default();
        let counts = need.counted.is_none_or(|(at, _)| at <= seen);
        if counts {
            need.counted = Some((offset, Instant::now()));
            (need.open, need.waiting) = (true, waiting);
        }
        counts
    }

    /// The same of a hint that more are wanted.
    pub(in crate::driver) fn more(&mut self, app: &str, seen: u64, offset: u64) -> bool {
        let counts = self.hints.get(app).is_none_or(|at| *at <= seen);
        if counts {
            self.hints.insert(app.into(), offset);
        }
        counts
    }

    /// The app has a dyno that is up or starting.
    pub(in crate::driver) fn has_dyno(&mut self, app: &str) {
        if let Some(need) = self.needs.get_mut(app) {
            (need.open, need.said) = (false, None);
        }
    }

    /// There is no such app any more.
    pub(in crate::driver) fn forget(&mut self, app: &str) {
        self.needs.remove(app);
        self.hints.remove(app);
        let mine = |matter: &Matter| &*matter.app == app;
        self.questions.retain(|matter, _| !mine(matter));
        self.over.retain(|matter, _| !mine(matter));
        self.due.retain(|(_, matter)| !mine(matter));
    }

    /// A dyno was asked for, and none has come.
    pub(in crate::driver) fn is_open(&self, app: &str) -> bool {
        self.needs.get(app).is_some_and(|need| need.open)
    }

    /// Apps for which a dyno was asked for of late, and none has come.
    pub(in crate::driver) fn open(&self) -> Vec<(Box<str>, u32)> {
        let holds = |need: &Need| {
            let late = need.counted.is_some_and(|(_, at)| at.elapsed() < 2 * AGAIN);
            need.open && late
        };
        let open = self.needs.iter().filter(|(_, need)| holds(need));
        open.map(|(app, need)| (app.clone(), need.waiting))
            .collect()
    }

    /// It is over here: to be asked at this time.
    pub(in crate::driver) fn over(&mut self, matter: Matter, at: Instant) {
        if let Some(old) = self.over.insert(matter.clone(), at) {
            self.due.remove(&(old, matter.clone()));
        }
        self.due.insert((at, matter));
    }

    /// It is not, any more.
    pub(in crate::driver) fn not_over(&mut self, matter: &Matter) {
        if let Some(at) = self.over.remove(matter) {
            self.due.remove(&(at, matter.clone()));
        }
    }

    /// Everything that is over here is to be asked now.
    pub(in crate::driver) fn over_again(&mut self, now: Instant) {
        self.over.values_mut().for_each(|at| *at = now);
        let all = self.over.keys().map(|matter| (now, matter.clone()));
        self.due = all.collect();
    }

    /// What is to be asked now.
    pub(in crate::driver) fn questions_due(&mut self, now: Instant) -> Vec<Matter> {
        let mut asked = Vec::new();
        while asked.len() < AT_ONCE
            && self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, matter)) = self.due.pop_first()
        {
            let again = now + ASK_AGAIN;
            self.over.insert(matter.clone(), again);
            self.due.insert((again, matter.clone()));
            asked.push(matter);
        }
        asked
    }

    /// This sidecar says no, as soon as it can.
    pub(in crate::driver) fn objects(&mut self, matter: Matter) {
        self.objections.insert(matter);
    }

    /// What it says no to.
    pub(in crate::driver) fn objections_due(&mut self) -> HashSet<Matter> {
        std::mem::take(&mut self.objections)
    }

    /// What nobody has said no to, so that this sidecar may settle it.
    pub(in crate::driver) fn settled_by_now(&mut self, now: Instant) -> Vec<Matter> {
        let age = |question: &Question| now.saturating_duration_since(question.since);
        // Whoever asked is gone.
        self.questions
            .retain(|_, question| age(question) < ASK_AGAIN);
        let mut settled = Vec::new();
        for (matter, question) in &mut self.questions {
            if question.own && age(question) >= OBJECT_WITHIN {
                question.own = false;
                settled.push(matter.clone());
            }
        }
        settled
    }

    /// Where the question is.
    pub(in crate::driver) fn asked(&self, matter: &Matter) -> Option<u64> {
        self.questions.get(matter).map(|question| question.offset)
    }

    /// Somebody asks. As with needs, of several at once the first one counts.
    pub(in crate::driver) fn ask(
        &mut self,
        matter: &Matter,
        seen: u64,
        offset: u64,
        own: bool,
    ) -> bool {
        let counts = self.asked(matter).is_none_or(|at| at <= seen);
        if counts {
            let since = Instant::now();
            let question = Question { offset, since, own };
            self.questions.insert(matter.clone(), question);
        }
        counts
    }

    /// Somebody says no.
    pub(in crate::driver) fn object(&mut self, matter: &Matter) {
        self.questions.remove(matter);
    }

    /// Nobody said no to the question at `offset`: is that so?
    pub(in crate::driver) fn settle(&mut self, matter: &Matter, offset: u64) -> bool {
        let settled = self.asked(matter) == Some(offset);
        if settled {
            self.questions.remove(matter);
            self.not_over(matter);
        }
        settled
    }

    /// Another table has taken the place of this one.
    pub(in crate::driver) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
