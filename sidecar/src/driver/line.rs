//! What waits for a link to take it: filled by whoever drives the core, taken by the
//! link's stream itself, without a task between.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Messages for one link, in order. It breaks when too many wait: nothing of it may be
/// left out, and the next link begins anew.
#[derive(Debug)]
pub struct Line<T> {
    contents: Mutex<Contents<T>>,
    ended: Notify,
}

#[derive(Debug)]
struct Contents<T> {
    waiting: VecDeque<T>,
    most: usize,
    is_broken: bool,
    waker: Option<Waker>,
}

impl<T> Line<T> {
    /// One on which at most so many wait.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let contents = Mutex::new(Contents {
            waiting: VecDeque::new(),
            most,
            is_broken: false,
            waker: None,
        });
        let ended = Notify::new();
        Self { contents, ended }
    }

    /// Adds one. Returns whom to wake, when no lock is held any more.
    #[must_use = "nobody takes it otherwise"]
    pub fn put(&self, message: T) -> Option<Waker> {
        let mut contents = self.contents.lock();
        if contents.waiting.len() >= contents.most {
            self.end(&mut contents);
        }
        if !contents.is_broken {
            contents.waiting.push_back(message);
        }
        contents.waker.take()
    }

    fn end(&self, contents: &mut Contents<T>) {
        contents.is_broken = true;
        contents.waiting = VecDeque::new();
        self.ended.notify_one();
    }

    /// The link is to end.
    pub fn break_off(&self) {
        let mut contents = self.contents.lock();
        self.end(&mut contents);
        let waker = contents.waker.take();
        drop(contents);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Everything that was put is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contents.lock().waiting.is_empty()
    }

    /// It takes nothing any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.contents.lock().is_broken
    }

    /// Returns when it is. For one caller.
    pub async fn broken(&self) {
        while !self.is_broken() {
            self.ended.notified().await;
        }
    }

    /// The next one; `None`: it is broken.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut contents = self.contents.lock();
        if contents.is_broken {
            return Poll::Ready(None);
        }
        match contents.waiting.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None => {
                let known = contents.waker.as_ref();
                if !known.is_some_and(|known| known.will_wake(cx.waker())) {
                    contents.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &Line<u32>) -> Poll<Option<u32>> {
        line.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn messages_come_in_order_and_somebody_is_woken_once() {
        let line = Line::new(2);
        assert!(line.put(1).is_none(), "nobody waits");
        assert!(line.put(2).is_none());
        assert_eq!(next(&line), Poll::Ready(Some(1)));
        assert_eq!(next(&line), Poll::Ready(Some(2)));
        assert_eq!(next(&line), Poll::Pending);
        assert!(line.put(3).is_some());
        assert!(line.put(4).is_none());
        assert_eq!(next(&line), Poll::Ready(Some(3)));
    }

    #[test]
    fn a_line_that_nobody_takes_from_breaks_and_keeps_nothing() {
        let line = Line::new(2);
        assert!((0..2).all(|n| line.put(n).is_none()));
        assert!(!line.is_broken());
        assert!(line.put(2).is_none());
        assert!(line.is_broken());
        assert_eq!(next(&line), Poll::Ready(None));
        assert!(line.put(3).is_none());
        assert_eq!(next(&line), Poll::Ready(None));
    }
}
