//! Many clients at once, each a keep-alive connection that asks again as soon as
//! it has its answer; optionally they hang up at random.

mod client;
mod report;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

pub use report::Report;
use report::Tally;

/// What to ask, and how much of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to connect.
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// Asked for in turn by each connection.
    pub targets: Vec<String>,
    /// More headers, as `Name: value`.
    pub headers: Vec<String>,
    /// Connections at once.
    pub connections: usize,
    /// Stop after this many requests in all.
    pub requests: Option<u64>,
    /// Requests begun earlier than this are made and not counted: by then every
    /// connection is open and the congestion control of each has found its pace.
    pub warm_up: Duration,
    /// Stop so long after that.
    pub duration: Option<Duration>,
    /// Hang up after a random time up to this, instead of waiting for the answer.
    pub abort_within: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// How long a request may take.
    pub timeout: Duration,
    /// Answers are wanted from dynos whose names begin like this, from others they
    /// count as strange.
    pub dynos: Option<String>,
}

impl Options {
    /// One connection that asks for `/`, until it is stopped.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str) -> Self {
        Self {
            address,
            host: host.to_owned(),
            targets: vec!["/".to_owned()],
            headers: Vec::new(),
            connections: 1,
            requests: None,
            warm_up: Duration::ZERO,
            duration: None,
            abort_within: None,
            seed: 1,
            timeout: Duration::from_secs(30),
            dynos: None,
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    options: Options,
    /// Requests begun.
    begun: AtomicU64,
    /// Requests that ended, in whatever way.
    ended: AtomicU64,
    /// Requests that were answered after the warm-up, while others were begun.
    in_time: AtomicU64,
    stop: AtomicBool,
    started: Instant,
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// It has lasted as long as it shall.
    fn is_over(&self) -> bool {
        let Options {
            warm_up, duration, ..
        } = &self.options;
        duration.is_some_and(|limit| self.started.elapsed() >= *warm_up + limit)
    }

    /// A request was answered.
    fn answered(&self) {
        if self.started.elapsed() >= self.options.warm_up && !self.is_over() {
            self.in_time.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of the next request, unless it is time to stop.
    fn next(&self) -> Option<u64> {
        if self.is_stopped() || self.is_over() {
            return None;
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        match self.options.requests {
            Some(limit) if number >= limit => None,
            _ => Some(number),
        }
    }
}

/// A load that is going on. It ends when it is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    connections: JoinSet<Tally>,
}

impl Load {
    /// Starts on the runtime of the caller.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared {
            options,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            in_time: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            started: Instant::now(),
        });
        let connections = (0..shared.options.connections)
            .map(|number| client::run(shared.clone(), number as u64))
            .collect();
        Self {
            shared,
            connections,
        }
    }

    /// Requests that have ended so far.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests have ended.
    pub async fn more(&self, requests: u64) {
        let goal = self.ended() + requests;
        crate::harness::wait::until("more requests have ended", async || self.ended() >= goal)
            .await;
    }

    /// Lets each connection finish what it asked, and sums up.
    pub async fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    /// Waits for the end that the options gave, and sums up.
    pub async fn finish(mut self) -> Report {
        let mut sum = Tally::default();
        while let Some(tally) = self.connections.join_next().await {
            match tally {
                Ok(tally) => sum.add(&tally),
                Err(error) => sum.error(&io::Error::other(error).to_string()),
            }
        }
        let Shared { options, .. } = &*self.shared;
        let counted = self.shared.started.elapsed();
        let mut report = sum.report(counted.saturating_sub(options.warm_up), self.ended());
        // The last ones of many clients take long to come to an end, and nobody comes
        // after them: that is no load any more.
        if let Some(duration) = options.duration.filter(|_| !self.shared.is_stopped()) {
            let in_time = self.shared.in_time.load(Ordering::Relaxed);
            report.rps = in_time as f64 / duration.as_secs_f64();
        }
        report
    }
}

/// Runs a load to the end that its options give.
pub async fn run(options: Options) -> Report {
    Load::start(options).finish().await
}
