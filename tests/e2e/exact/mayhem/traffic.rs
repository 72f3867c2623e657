//! Requests that come whatever happens, and what became of them.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use e2e::{client::Request, harness::wait};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    super::load::{Figures, arrivals},
    fault::Fault,
};

/// More than any test lasts.
const SECONDS: f64 = 3_600.0;

/// How many failed, by how.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(BTreeMap<String, u64>);

impl Failures {
    pub(super) fn since(&self, before: &Self) -> Self {
        let more = |(how, count): (&String, &u64)| {
            let more = count - before.0.get(how).copied().unwrap_or_default();
            (more > 0).then(|| (how.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// Nothing failed that this fault does not excuse.
    pub(super) fn are_those_of(&self, fault: Fault) {
        for how in self.0.keys() {
            let excused = match how.as_str() {
                "H99" => fault.refuses_requests(),
                how if how.starts_with('H') => false,
                _ => fault.breaks_requests(),
            };
            assert!(excused, "{fault:?}: {self}");
        }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing failed");
        }
        write!(f, "failed: {:?}", self.0)
    }
}

#[derive(Debug, Default)]
struct Books {
    waits: Vec<f64>,
    failures: Failures,
}

/// It comes until it is stopped.
pub(super) struct Traffic {
    books: Arc<Mutex<Books>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Traffic {
    pub(super) fn start(routers: &[SocketAddr], seed: u64) -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(come(routers.to_vec(), seed, books.clone(), stopped));
        Self { books, stop, task }
    }

    /// Waits until so many more were answered.
    pub(super) async fn more(&self, requests: usize) {
        let answered = || self.books.lock().unwrap().waits.len();
        let goal = answered() + requests;
        wait::until("more requests were answered", async || answered() >= goal).await;
    }

    pub(super) fn failures(&self) -> Failures {
        self.books.lock().unwrap().failures.clone()
    }

    /// No more come; returns when all that came have ended.
    pub(super) async fn stop(self) -> Figures {
        self.stop.send_replace(true);
        self.task.await.expect("clients do not panic");
        let waits = std::mem::take(&mut self.books.lock().unwrap().waits);
        eprintln!("{} requests were answered", waits.len());
        let queued = waits.iter().filter(|wait| **wait > 0.0).count();
        Figures::of(waits, queued)
    }
}

async fn come(
    routers: Vec<SocketAddr>,
    seed: u64,
    books: Arc<Mutex<Books>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let (began, mut under_way) = (Instant::now(), JoinSet::new());
    for (number, arrival) in arrivals(SECONDS, 2013).into_iter().enumerate() {
        tokio::select! {
            () = sleep_until(began + Duration::from_secs_f64(arrival.at)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        // They stop when nobody waits for them, as the dynos of a router that is gone do.
        let target = format!("/busy/{}", (arrival.service * 1e3).round() as u64);
        let to = routers[random.random_range(0..routers.len())];
        under_way.spawn(ask(
            Request::new(to, "GET", "shop.test", &target).id(&number.to_string()),
            books.clone(),
        ));
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

async fn ask(request: Request, books: Arc<Mutex<Books>>) {
    let answer = request.try_send().await;
    let mut books = books.lock().unwrap();
    let how = match answer {
        Ok(answer) if answer.status() == 200 => {
            let waited = answer.header("x-mesh-queue-wait-time");
            books
                .waits
                .push(waited.and_then(|it| it.parse().ok()).unwrap());
            return;
        }
        Ok(answer) => answer
            .header("x-mesh-error")
            .unwrap_or("no code")
            .to_owned(),
        Err(error) => error.kind().to_string(),
    };
    *books.failures.0.entry(how).or_default() += 1;
}
