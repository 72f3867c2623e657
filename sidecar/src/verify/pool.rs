//! A few threads for what takes long, with an end to how many wait. Apps take turns:
//! one with many wrong passwords delays itself.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    thread,
};

use parking_lot::{Condvar, Mutex};

/// Jobs that wait, of all apps ...
const MOST: usize = 1_024;
/// ... and of one.
const MOST_OF_APP: usize = 128;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads are started when they are needed, and end with this.
#[derive(Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: &'static str,
    state: Mutex<State>,
    there_is_work: Condvar,
}

#[derive(Default)]
struct State {
    /// None of them is empty.
    jobs: HashMap<Arc<str>, VecDeque<Job>>,
    /// Whose turn it is.
    turns: VecDeque<Arc<str>>,
    waiting: usize,
    threads: usize,
    idle: usize,
    most: usize,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} wait for {} threads", self.waiting, self.threads)
    }
}

impl Pool {
    pub(super) fn new(name: &'static str, most: usize) -> Self {
        let state = Mutex::new(State {
            most,
            ..State::default()
        });
        Self(Arc::new(Shared {
            name,
            state,
            there_is_work: Condvar::new(),
        }))
    }

    pub(super) fn allow(&self, threads: usize) {
        self.0.state.lock().most = threads;
    }

    /// Does it when it is its turn. `false`: too many wait.
    pub(super) fn put(&self, app: Arc<str>, job: Job) -> bool {
        let mut state = self.0.state.lock();
        let of_app = state.jobs.get(&app).map_or(0, VecDeque::len);
        if state.waiting >= MOST || of_app >= MOST_OF_APP {
            return false;
        }
        if of_app == 0 {
            state.turns.push_back(app.clone());
        }
        state.jobs.entry(app).or_default().push_back(job);
        state.waiting += 1;
        if state.waiting > state.idle && state.threads < state.most {
            let shared = self.0.clone();
            let thread = thread::Builder::new().name(shared.name.into());
            match thread.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) => tracing::error!("cannot start a thread: {error}"),
            }
        }
        self.0.there_is_work.notify_one();
        // Without a thread nobody would ever do it.
        state.threads > 0 || !state.take_back()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.there_is_work.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            match state.next() {
                Some(job) => parking_lot::MutexGuard::unlocked(&mut state, job),
                None => {
                    state.idle += 1;
                    self.there_is_work.wait(&mut state);
                    state.idle -= 1;
                }
            }
        }
    }
}

impl State {
    fn next(&mut self) -> Option<Job> {
        let app = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&app)?;
        let job = jobs.pop_front()?;
        self.waiting -= 1;
        match jobs.is_empty() {
            true => _ = self.jobs.remove(&app),
            false => self.turns.push_back(app),
        }
        Some(job)
    }

    /// All that wait, which are the last one: there was never a thread.
    fn take_back(&mut self) -> bool {
        self.jobs.clear();
        self.turns.clear();
        self.waiting = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn apps_take_turns_and_too_many_are_refused() {
        let pool = Pool::new("test", 1);
        let (go, gate) = mpsc::channel::<()>();
        let (done, order) = mpsc::channel();
        let started = done.clone();
        assert!(pool.put(
            "first".into(),
            Box::new(move || {
                started.send("first").expect("a receiver");
                gate.recv().expect("a sender");
            })
        ));
        assert_eq!(order.recv(), Ok("first"));
        let job = |name: &'static str| -> Job {
            let done = done.clone();
            Box::new(move || done.send(name).expect("a receiver"))
        };
        for _ in 0..MOST_OF_APP {
            assert!(pool.put("busy".into(), job("busy")));
        }
        assert!(!pool.put("busy".into(), job("busy")));
        assert!(pool.put("other".into(), job("other")));
        go.send(()).expect("a receiver");
        let first: Vec<_> = order.iter().take(3).collect();
        assert_eq!(first, ["busy", "other", "busy"]);
        assert_eq!(order.iter().take(MOST_OF_APP - 2).count(), MOST_OF_APP - 2);
        assert!(pool.put("busy".into(), job("again")));
        assert_eq!(order.recv(), Ok("again"));
    }
}
