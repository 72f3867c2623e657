//! Futures on Nginx's event loop.
//!
//! A wake puts the task into a queue and posts one event; Nginx runs posted
//! events at the end of each turn of its loop. (The executor that comes with
//! `ngx` polls on the spot, inside the wake: HTTP/2 wakes while it holds its own
//! lock, and would wait for itself.)

use std::{cell::RefCell, collections::VecDeque, future::Future};

use async_task::{Runnable, Task};
use ngx::ffi::ngx_event_t;

use crate::{guard::guard_or, posted::Posted};

/// Tasks run in one go before other events have their turn.
const BURST: usize = 1_000;

struct Executor {
    queue: VecDeque<Runnable>,
    turn: Posted,
}

thread_local! {
    static EXECUTOR: RefCell<Executor> = RefCell::new(Executor::new());
}

impl Executor {
    fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            turn: Posted::new(run_posted),
        }
    }
}

fn schedule(runnable: Runnable) {
    EXECUTOR.with_borrow_mut(|executor| {
        executor.queue.push_back(runnable);
        executor.turn.post();
    });
}

/// Starts a task. Dropping what is returned ends it at the next turn.
pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    // SAFETY: a worker has one thread that ever sees tasks, wakers and their
    // data, and all are 'static.
    let (runnable, task) = unsafe { async_task::spawn_unchecked(future, schedule) };
    runnable.schedule();
    task
}

/// Runs what is ready, and what that makes ready, up to a bound.
pub(crate) fn run() {
    for _ in 0..BURST {
        let Some(runnable) = EXECUTOR.with_borrow_mut(|e| e.queue.pop_front()) else {
            return;
        };
        guard_or(false, || runnable.run());
    }
    EXECUTOR.with_borrow(|executor| executor.turn.post());
}

unsafe extern "C" fn run_posted(_: *mut ngx_event_t) {
    run();
}
