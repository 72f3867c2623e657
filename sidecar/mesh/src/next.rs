//! Who is next: a lease that ends goes straight to the first of the queue.
//!
//! Between two requests of a busy dyno lies a way to the sidecar and back. So the first of
//! a queue are *named* to their router: when a lease of the app ends there, the first of them
//! has it at once, and both are told together ([`Mesh::hand_on`]).
//!
//! It changes nothing about who is served when. Named are only the first, and only as many as
//! one session has without another's between them; whoever else's dyno is free first is
//! given to the same first one. If both happen at once, the one that the router chose counts
//! and the other is free again.
//!
//! What is said holds for an *edition* of the app, which ends when anything about it changes:
//! a lease of an earlier one comes back to the sidecar. A change recalls what was said as it
//! recalls leases ahead (`reserve.rs`), so that none is handed on after it is in effect.

use std::{num::NonZeroU32, sync::Arc};

use crate::{
    AppKey, AskId, DynoKey, Mesh, Outcome, Output, SessionKey, Time, queue::WaiterKey,
    session::Entry,
};

/// A waiting request has the next lease of its app that ends at its router, before those that
/// are named later; or nobody has, until somebody is named again.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// Who asked.
    pub session: SessionKey,
    /// Which ask, if one is.
    pub ask: Option<AskId>,
    /// Whose queue it is in.
    pub app: Arc<str>,
    /// Only a lease whose route says the same.
    pub edition: NonZeroU32,
    /// As in [`crate::Route`].
    pub others: u32,
    /// As in [`crate::Route`].
    pub counted: bool,
    /// As in [`crate::Answer`], as it is now.
    pub depth: u32,
    /// As in [`crate::Answer`].
    pub in_use: u32,
    /// As in [`crate::Answer`].
    pub queue_headers: bool,
}

impl Mesh {
    /// The edition of a lease that may be handed on. Where several sidecars share a queue,
    /// nobody is next at one of them.
    pub(crate) fn edition(&self, session: SessionKey, key: AppKey) -> Option<NonZeroU32> {
        let session = self.sessions.get(session);
        let session = session.filter(|session| session.lost_until.is_none())?;
        let app = &self.apps[key.0 as usize];
        let alone = app.terms().exact.is_none() && session.peer.is_none();
        alone.then(|| app.queue.edition().number())
    }

    /// Something about the app or its dynos is different from here on. No two editions are
    /// alike, of whichever apps: routers know an app by its name.
    pub(crate) fn end_edition(&mut self, key: AppKey) {
        self.edition = self.edition.next();
        let queue = &mut self.apps[key.0 as usize].queue;
        queue.begin_edition(self.edition);
    }

    /// The same, for a reason that nobody waits for: routers hear of it at once.
    pub(crate) fn renew_edition(&mut self, key: AppKey) {
        for session in self.forget_next(key) {
            if let Some(edition) = self.edition(session, key) {
                self.say_next(session, None, key, edition, 0);
            }
            // It may not have noticed yet that its link broke.
            self.apps[key.0 as usize].told_next.push(session);
        }
        self.name_next(key);
    }

    /// Names whoever is among the first of the queue by now.
    pub(crate) fn name_next(&mut self, key: AppKey) {
        let app = &self.apps[key.0 as usize];
        // If none has a request, no lease will end.
        let busy = app.requests() > 0 && !self.is_recovering();
        let Some(first) = app.queue.first().filter(|_| busy) else {
            return;
        };
        let session = self.waiters[first.0 as usize].request.session;
        let Some(edition) = self.edition(session, key) else {
            return;
        };
        let app = &mut self.apps[key.0 as usize];
        let before = app.queue.named();
        let named = app.queue.name(&mut self.waiters);
        if !named.is_empty() && !app.told_next.contains(&session) {
            app.told_next
                .retain(|session| self.sessions.get(*session).is_some());
            app.told_next.push(session);
        }
        for (at, waiter) in (before + 1..).zip(named) {
            let ask = self.waiters[waiter.0 as usize].request.ask;
            self.say_next(session, Some(ask), key, edition, at);
        }
    }

    /// `at`: its place in the queue, from 1.
    fn say_next(
        &mut self,
        session: SessionKey,
        ask: Option<AskId>,
        key: AppKey,
        edition: NonZeroU32,
        at: u32,
    ) {
        let app = &self.apps[key.0 as usize];
        self.outputs.push_back(Output::Next(Next {
            session,
            ask,
            app: app.name.clone(),
            edition,
            others: app.candidates().saturating_sub(1),
            counted: app.terms().max_requests.is_some(),
            depth: app.queue.len().saturating_sub(at),
            in_use: app.in_use,
            queue_headers: app.terms().queue_headers,
        }));
    }

    /// Whoever may believe that somebody is next is about to hear otherwise.
    pub(crate) fn forget_next(&mut self, key: AppKey) -> Vec<SessionKey> {
        self.end_edition(key);
        let mut told = std::mem::take(&mut self.apps[key.0 as usize].told_next);
        told.retain(|session| self.sessions.get(*session).is_some());
        told
    }

    /// A request is done, and its lease is that of the one that was next: `next`. Whatever
    /// this was given meanwhile is free again.
    pub fn hand_on(&mut self, session: SessionKey, ask: AskId, next: AskId, now: Time) {
        if let Some(Entry::Leased(dyno)) = self.entry(session, ask)
            && let Some(Entry::Waiting(waiter)) = self.entry(session, next)
            && self.waiters[waiter.0 as usize].request.app == self.dynos[dyno.0 as usize].app
            && self
                .edition(session, self.dynos[dyno.0 as usize].app)
                .is_some()
        {
            self.forget_entry(session, ask);
            return self.serve_next(dyno, waiter, now);
        }
        self.cancel(session, next, now);
        let dyno = match self.entry(session, ask) {
            Some(Entry::Leased(dyno)) => Some(dyno),
            Some(Entry::Away(id)) => self.leased_away(id),
            _ => None,
        };
        // Held before it is free: nobody gets it in between.
        if let Some(dyno) = dyno {
            self.hold(session, next, dyno);
        }
        self.checkin(session, ask, Outcome::Done, now);
    }

    fn entry(&self, session: SessionKey, ask: AskId) -> Option<Entry> {
        let entries = &self.sessions.get(session)?.entries;
        entries.get(&ask).copied()
    }

    /// The dyno goes from one request to the other without being free.
    fn serve_next(&mut self, dyno: DynoKey, waiter: WaiterKey, now: Time) {
        self.note_outcome(dyno, Outcome::Done, now);
        let request = self.leave_queue(waiter);
        let key = request.app;
        self.put_lease(request.session, request.ask, dyno);
        self.note_active(key, now);
        let app = &mut self.apps[key.0 as usize];
        for counters in [&mut app.counters, &mut self.counters] {
            counters.routed += 1;
            counters.queued += 1;
        }
        self.end_episode(key);
        self.name_next(key);
    }
}

#[cfg(test)]
mod tests;
