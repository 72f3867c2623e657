//! What goes wrong, and what follows.

use std::{
    future::ready,
    net::SocketAddr,
    time::{Duration, Instant},
};

use e2e::{client::Request, harness::Signal};
use futures_util::future::join_all;
use rand::{RngExt, rngs::StdRng};
use tokio::{sync::watch, time::sleep};

use super::cluster::Cluster;

/// After so long a service manager starts a silent sidecar anew: `WatchdogSec=` in
/// `packaging/meshd.service`.
const WATCHDOG: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    OwnerKilled,
    OwnerFrozen,
    OwnerFrozenForAMoment,
    OwnerRestarted,
    OtherKilled,
    WorkerKilled,
    WorkerFrozen,
    RouterKilled,
    OwnerCutFromBroker,
    OtherCutFromBroker,
    OwnerCutFromOthers,
    OwnerCutFromAll,
    BrokerFrozen,
    BrokerKilled,
}

use Fault::*;

impl Fault {
    pub(super) const ALL: [Self; 14] = [
        OwnerKilled,
        OwnerFrozen,
        OwnerFrozenForAMoment,
        OwnerRestarted,
        OtherKilled,
        WorkerKilled,
        WorkerFrozen,
        RouterKilled,
        OwnerCutFromBroker,
        OtherCutFromBroker,
        OwnerCutFromOthers,
        OwnerCutFromAll,
        BrokerFrozen,
        BrokerKilled,
    ];

    /// By its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| format!("{it:?}") == name)
    }

    pub(super) fn is_long(self) -> bool {
        self == BrokerKilled
    }

    /// Requests that a router had may die with it.
    pub(super) fn breaks_requests(self) -> bool {
        matches!(self, WorkerKilled | RouterKilled)
    }

    /// While nobody may decide, and for longer than anybody waits for it, requests are
    /// told so.
    pub(super) fn refuses_requests(self) -> bool {
        matches!(
            self,
            OwnerFrozen
                | OwnerFrozenForAMoment
                | OwnerCutFromBroker
                | OtherCutFromBroker
                | OwnerCutFromOthers
                | OwnerCutFromAll
                | BrokerFrozen
                | BrokerKilled
        )
    }

    /// It happens and is over. Says how long requests took at each router at the most, that
    /// came after its beginning, or where it lasts by itself after its end.
    pub(super) async fn happen(self, cluster: &mut Cluster, random: &mut StdRng) -> Vec<Duration> {
        let owner = cluster.owner().await;
        eprintln!("{self:?}: r{owner} is the owner");
        let routers = cluster.routers();
        let other = (owner + random.random_range(1..routers.len())) % routers.len();
        let moment = Duration::from_millis(random.random_range(100..4_000));
        match self {
            OwnerKilled | OtherKilled => {
                let at = if self == OwnerKilled { owner } else { other };
                cluster.host(at).kill_meshd().await;
                return longest(&routers, cluster.host(at).start_meshd()).await;
            }
            OwnerRestarted => {
                let host = cluster.host(owner);
                let restart = async {
                    host.stop_meshd().await;
                    host.start_meshd().await;
                };
                return longest(&routers, restart).await;
            }
            OwnerFrozen => {
                let host = cluster.host(owner);
                host.signal_meshd(Signal::STOP);
                let restart = async {
                    sleep(WATCHDOG).await;
                    host.crash_meshd().await;
                };
                return longest(&routers, restart).await;
            }
            OwnerFrozenForAMoment => {
                cluster.host(owner).signal_meshd(Signal::STOP);
                sleep(moment).await;
                cluster.host(owner).signal_meshd(Signal::CONT);
            }
            WorkerKilled => {
                let nginx = &cluster.hosts()[other].nginx;
                nginx.kill_worker(nginx.workers()[0]);
            }
            WorkerFrozen => {
                let nginx = &cluster.hosts()[other].nginx;
                let worker = nginx.workers()[0];
                nginx.signal_worker(worker, Signal::STOP);
                sleep(moment).await;
                nginx.signal_worker(worker, Signal::CONT);
            }
            RouterKilled => cluster.host(other).crash_nginx().await,
            OwnerCutFromBroker => {
                cluster.wires[owner].to_broker.cut();
                sleep(moment).await;
                cluster.wires[owner].to_broker.mend();
            }
            OtherCutFromBroker => {
                cluster.wires[other].to_broker.cut();
                sleep(moment).await;
                cluster.wires[other].to_broker.mend();
            }
            OwnerCutFromOthers => {
                cluster.wires[owner].from_others.cut();
                sleep(moment).await;
                cluster.wires[owner].from_others.mend();
            }
            OwnerCutFromAll => {
                let wires = &cluster.wires[owner];
                wires.to_broker.cut();
                wires.from_others.cut();
                sleep(moment).await;
                wires.to_broker.mend();
                wires.from_others.mend();
            }
            BrokerFrozen => {
                cluster.broker.signal(Signal::STOP);
                sleep(moment).await;
                cluster.broker.signal(Signal::CONT);
            }
            BrokerKilled => {
                cluster.broker.kill().await;
                cluster.broker.start_again().await;
            }
        }
        longest(&routers, ready(())).await
    }
}

/// The longest that a request took to be served at each router, of those that came one after
/// the other from now on until `meanwhile` was over, and of the one after that.
async fn longest(routers: &[SocketAddr], meanwhile: impl Future<Output = ()>) -> Vec<Duration> {
    let (over, is_over) = watch::channel(false);
    let each = routers.iter().map(async |router| {
        let mut longest = Duration::ZERO;
        loop {
            let last = *is_over.borrow();
            longest = longest.max(served(*router).await);
            if last {
                return longest;
            }
        }
    });
    let meanwhile = async {
        meanwhile.await;
        over.send_replace(true);
    };
    tokio::join!(join_all(each), meanwhile).0
}

async fn served(router: SocketAddr) -> Duration {
    let began = Instant::now();
    let request = Request::new(router, "GET", "shop.test", "/");
    // Each waits for as long as requests do, so these are few.
    while !matches!(request.try_send().await, Ok(answer) if answer.status() == 200) {
        sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}
