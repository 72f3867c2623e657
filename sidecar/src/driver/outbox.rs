//! Answers for a session that did not cause them itself: somebody else's dyno
//! became free, or time passed.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use mesh::{Answer, Output, SessionKey};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Closed, Notice, state::State};

/// A session with more undelivered answers than this is broken off. Each answer
/// ends one of its asks and a router that does not read is not read from, so
/// only a fault gets here.
pub(super) const MOST: usize = 131_072;

/// One session's answers, filled by whoever drives the core.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    answers: VecDeque<Answer>,
    closed: Option<Closed>,
    waker: Option<Waker>,
}

impl Outbox {
    /// The next answer, or why there will be none, or `None` for now: then
    /// `waker` is called.
    pub(super) fn take(&self, waker: &Waker) -> Option<Result<Answer, Closed>> {
        let mut contents = self.0.lock();
        if let Some(closed) = contents.closed {
            return Some(Err(closed));
        }
        let answer = contents.answers.pop_front();
        if answer.is_none()
            && !contents
                .waker
                .as_ref()
                .is_some_and(|old| old.will_wake(waker))
        {
            contents.waker = Some(waker.clone());
        }
        answer.map(Ok)
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

    /// Adds an answer. Returns whom to wake.
    fn put(&self, answer: Answer) -> Option<Waker> {
        let mut contents = self.0.lock();
        if contents.answers.len() >= MOST {
            contents.closed.get_or_insert(Closed::TooSlow);
        } else {
            contents.answers.push_back(answer);
        }
        contents.waker.take()
    }
}

/// A session's own queue, for the answers that its own messages cause.
pub(super) type Own<'a> = (SessionKey, &'a mut VecDeque<Answer>);

/// Distributes what the core says, and remembers whom to wake when the lock is
/// free again.
pub(super) struct Delivery<'a> {
    own: Option<Own<'a>>,
    notices: &'a broadcast::Sender<Notice>,
    wakers: Vec<Waker>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(own: Option<Own<'a>>, notices: &'a broadcast::Sender<Notice>) -> Self {
        Self {
            own,
            notices,
            wakers: Vec::new(),
        }
    }

    pub(super) fn distribute(&mut self, state: &mut State) {
        while let Some(output) = state.mesh.poll_output() {
            match output {
                Output::Answer(answer) => self.answer(state, answer),
                Output::Event(event) => {
                    // An error means that nobody watches.
                    let _ = self.notices.send(Notice::Event(event));
                }
            }
        }
    }

    fn answer(&mut self, state: &State, answer: Answer) {
        match &mut self.own {
            Some((key, queue)) if *key == answer.session => queue.push_back(answer),
            _ => {
                let outbox: Option<&Arc<Outbox>> = state.sessions.get(&answer.session);
                self.wakers
                    .extend(outbox.and_then(|outbox| outbox.put(answer)));
            }
        }
    }

    pub(super) fn wake(self) {
        for waker in self.wakers {
            waker.wake();
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
        let answer = Answer {
            session,
            ask: AskId(1),
            app: None,
            wait: Duration::ZERO,
            depth: 0,
            in_use: 0,
            queue_headers: false,
            result: Err(Refusal::UnknownName),
        };
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
