//! Requests that come at a rate, whatever became of those before.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep_until};

use crate::client::{Conn, Request};

/// Requests under way at once; one more is not sent, and counted.
const MAX_UNDER_WAY: usize = 4_096;

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// How long each took that was answered by a dyno, in ms, in order.
    pub(super) times: Vec<f64>,
    /// By status.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Without an answer.
    pub(super) errors: u64,
    /// Not sent.
    pub(super) held_back: u64,
}

impl Came {
    /// Without a good answer.
    pub(super) fn failures(&self) -> u64 {
        let bad = self.statuses.iter().filter(|(status, _)| **status != 200);
        bad.map(|(_, count)| count).sum::<u64>() + self.errors + self.held_back
    }

    /// 99 % took no longer, in ms.
    pub(super) fn p99(&self) -> f64 {
        let at = self.times.len() * 99 / 100;
        self.times.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Connections that nobody uses at this moment, and what came of requests.
#[derive(Default)]
struct Shared {
    idle: Mutex<HashMap<SocketAddr, Vec<Conn>>>,
    came: Mutex<Came>,
}

/// For so long, so many a second: for these hosts in turn, at these servers in turn.
pub(super) async fn pace(
    servers: &[SocketAddr],
    hosts: &[String],
    rate: f64,
    time: Duration,
) -> Came {
    let shared = Arc::new(Shared::default());
    let (began, mut under_way) = (tokio::time::Instant::now(), JoinSet::new());
    for number in 0.. {
        let due = Duration::from_secs_f64(number as f64 / rate);
        if due > time {
            break;
        }
        sleep_until(began + due).await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= MAX_UNDER_WAY {
            lock(&shared.came).held_back += 1;
            continue;
        }
        // Each host at each server.
        let host = &hosts[number / servers.len() % hosts.len()];
        let server = servers[number % servers.len()];
        under_way.spawn(one(
            shared.clone(),
            server,
            Request::new(server, "GET", host, "/"),
        ));
    }
    while under_way.join_next().await.is_some() {}
    let mut came = std::mem::take(&mut *lock(&shared.came));
    came.times.sort_by(f64::total_cmp);
    came
}

async fn one(shared: Arc<Shared>, server: SocketAddr, request: Request) {
    let idle = lock(&shared.idle).entry(server).or_default().pop();
    let began = Instant::now();
    let answered = async {
        let mut conn = match idle {
            Some(conn) => conn,
            None => Conn::open(server).await?,
        };
        conn.send(request.head()).await?;
        let answer = conn.response().await?;
        Ok::<_, std::io::Error>((answer.status(), conn))
    };
    let answered = answered.await;
    let took = began.elapsed().as_secs_f64() * 1e3;
    let mut came = lock(&shared.came);
    let Ok((status, conn)) = answered else {
        came.errors += 1;
        return;
    };
    *came.statuses.entry(status).or_default() += 1;
    if status == 200 {
        came.times.push(took);
    }
    drop(came);
    lock(&shared.idle).entry(server).or_default().push(conn);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Right also after a panic: each change of it is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
