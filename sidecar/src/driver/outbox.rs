//! What is for a session that did not cause it itself: somebody else's dyno became
//! free, time passed, an app changed.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use mesh::{Answer, Next, Output, Pages, Recall, Reserved, SessionKey, Terms};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{
    Closed, Notice,
    log::Way,
    recalls::Deferred,
    state::State,
    tally::Board,
    tap::{self, TapOrder},
    traces::TraceOrder,
};
use crate::verify::Finding;

/// A session with more undelivered answers than this is broken off. Each answer
/// ends one of its asks and a router that does not read is not read from, so
/// only a fault gets here.
pub(super) const MOST: usize = 131_072;

/// What routers go by for a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruled {
    /// As it was asked.
    pub name: Box<str>,
    /// `None`: no app has the name.
    pub terms: Option<Terms>,
}

/// What the core says to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To an ask.
    Answer(Answer),
    /// To a reservation.
    Reserved(Reserved),
    /// To nothing: a request that waits is next.
    Next(Next),
    /// To nothing: something is wanted back.
    Recall(Recall),
    /// To a tally with this number.
    Told(u64),
    /// To who asked for the rules of a name.
    Rules(Ruled),
    /// To nothing: somebody looks at requests, or does so no more.
    Tap(TapOrder),
    /// To nothing: so many requests are traced.
    Tracing(TraceOrder),
    /// To who asked for the pages of this app.
    Pages(Box<str>, Pages),
    /// To who asked about credentials, with this number.
    Authenticated(u64, Finding),
}

/// One session's answers, filled by whoever drives the core.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    replies: VecDeque<Reply>,
    closed: Option<Closed>,
    waker: Option<Waker>,
}

impl Outbox {
    /// The next answer, or why there will be none, or `None` for now: then
    /// `waker` is called.
    pub(super) fn take(&self, waker: &Waker) -> Option<Result<Reply, Closed>> {
        let mut contents = self.0.lock();
        if let Some(closed) = contents.closed {
            return Some(Err(closed));
        }
        let reply = contents.replies.pop_front();
        if reply.is_none()
            && !contents
                .waker
                .as_ref()
                .is_some_and(|old| old.will_wake(waker))
        {
            contents.waker = Some(waker.clone());
        }
        reply.map(Ok)
    }

    /// There is nothing in it at this moment.
    fn is_empty(&self) -> bool {
        self.0.lock().replies.is_empty()
    }

    /// Why the session is over, if it is.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.0.lock().closed
    }

    /// The session is over.
    pub(super) fn close(&self, reason: Closed) {
        let mut contents = self.0.lock();
        contents.closed.get_or_insert(reason);
        let waker = contents.waker.take();
        drop(contents);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds a reply, and wakes whoever waits for one.
    pub(super) fn tell(&self, reply: Reply) {
        if let Some(waker) = self.put(reply) {
            waker.wake();
        }
    }

    /// Adds a reply. Returns whom to wake.
    fn put(&self, reply: Reply) -> Option<Waker> {
        let mut contents = self.0.lock();
        if contents.replies.len() >= MOST {
            contents.closed.get_or_insert(Closed::TooSlow);
        } else {
            contents.replies.push_back(reply);
        }
        contents.waker.take()
    }
}

/// A session that calls, and its own queue: replies that its own messages cause cost no lock
/// and wake nobody.
pub(super) struct Own<'a> {
    pub(super) key: SessionKey,
    pub(super) queue: &'a mut VecDeque<Reply>,
    pub(super) outbox: &'a Outbox,
}

/// Distributes what the core says, and remembers whom to wake when the lock is
/// free again.
pub(super) struct Delivery<'a> {
    own: Option<Own<'a>>,
    notices: &'a broadcast::Sender<Notice>,
    /// To the other sidecars.
    way: Option<&'a Way>,
    board: &'a Board,
    taps: &'a tap::Board,
    wakers: Vec<Waker>,
    /// Changes that are in effect everywhere now.
    in_effect: Vec<Deferred>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        own: Option<Own<'a>>,
        (notices, board, taps): (&'a broadcast::Sender<Notice>, &'a Board, &'a tap::Board),
        way: Option<&'a Way>,
    ) -> Self {
        Self {
            own,
            notices,
            way,
            board,
            taps,
            wakers: Vec::new(),
            in_effect: Vec::new(),
        }
    }

    pub(super) fn distribute(&mut self, state: &mut State) {
        while let Some(output) = state.mesh.poll_output() {
            match output {
                Output::Answer(answer) => {
                    if self.taps.is_on() {
                        self.taps.note(&answer, state);
                    }
                    self.reply(state, answer.session, Reply::Answer(answer));
                }
                Output::Reserved(reserved) => {
                    self.reply(state, reserved.session, Reply::Reserved(reserved));
                }
                Output::Next(next) => {
                    self.reply(state, next.session, Reply::Next(next));
                }
                Output::Recall(recall) => {
                    self.reply(state, recall.session, Reply::Recall(recall));
                }
                Output::Recalled(recall) => {
                    self.in_effect
                        .extend(state.recalls.over(recall, &state.mesh));
                }
                Output::ToPeer(peer, word) => {
                    self.wakers.extend(state.lines.tell(peer, word));
                }
                Output::Event(event) => {
                    self.board.count_event(&event);
                    let told = match self.way {
                        Some(way) => way.tell(event),
                        None => Some(event),
                    };
                    if let Some(event) = told {
                        // An error means that nobody watches.
                        let _ = self.notices.send(Notice::Event(event));
                    }
                }
            }
        }
    }

    fn reply(&mut self, state: &State, session: SessionKey, reply: Reply) {
        match &mut self.own {
            // What lies in the outbox is older and read later.
            Some(own) if own.key == session && own.outbox.is_empty() => {
                own.queue.push_back(reply);
            }
            _ => {
                let outbox: Option<&Arc<Outbox>> = state.sessions.get(&session);
                let waker = match (outbox, reply) {
                    (Some(outbox), reply) => outbox.put(reply),
                    (None, Reply::Answer(answer)) => state.lines.answer(answer),
                    (None, _) => None,
                };
                self.wakers.extend(waker);
            }
        }
    }

    pub(super) fn wake(self) {
        for waker in self.wakers {
            waker.wake();
        }
        for change in self.in_effect {
            change.reply();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh::{AskId, Limits, Mesh, Refusal, Time, WorkerId};

    use super::*;

    #[test]
    fn a_session_that_does_not_read_is_broken_off() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let session = mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        let answer = Reply::Answer(Answer {
            session,
            ask: AskId(1),
            app: None,
            wait: Duration::ZERO,
            depth: 0,
            in_use: 0,
            queue_headers: false,
            result: Err(Refusal::UnknownName),
        });
        let outbox = Outbox::default();
        for _ in 0..MOST {
            outbox.put(answer.clone());
        }
        assert_eq!(outbox.closed(), None);
        outbox.put(answer.clone());
        assert_eq!(outbox.closed(), Some(Closed::TooSlow));
        assert_eq!(outbox.take(Waker::noop()), Some(Err(Closed::TooSlow)));
    }
}
