//! What goes wrong, and what follows.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use e2e::{client::Request, harness::Signal};
use futures_util::future::join_all;
use rand::{RngExt, rngs::StdRng};
use tokio::time::sleep;

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

    /// It happens and is over. Says how long after its beginning, or where it lasts after
    /// its end, every router had a request answered that came after that.
    pub(super) async fn happen(self, cluster: &mut Cluster, random: &mut StdRng) -> Duration {
        let owner = cluster.owner().await;
        let routers = cluster.routers();
        let other = (owner + random.random_range(1..routers.len())) % routers.len();
        let moment = Duration::from_millis(random.random_range(100..4_000));
        // It begins when it is waited for.
        let again = served_again(&routers);
        match self {
            OwnerKilled => {
                let host = cluster.host(owner);
                host.kill_meshd().await;
                return tokio::join!(again, host.start_meshd()).0;
            }
            OtherKilled => {
                let host = cluster.host(other);
                host.kill_meshd().await;
                return tokio::join!(again, host.start_meshd()).0;
            }
            OwnerRestarted => {
                let host = cluster.host(owner);
                let restart = async {
                    host.stop_meshd().await;
                    host.start_meshd().await;
                };
                return tokio::join!(again, restart).0;
            }
            OwnerFrozen => {
                let host = cluster.host(owner);
                host.signal_meshd(Signal::STOP);
                let restart = async {
                    sleep(WATCHDOG).await;
                    host.crash_meshd().await;
                };
                return tokio::join!(again, restart).0;
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
                (wires.to_broker.cut(), wires.from_others.cut());
                sleep(moment).await;
                (wires.to_broker.mend(), wires.from_others.mend());
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
        again.await
    }
}

/// Returns when a request was served at each router that came after this was called.
async fn served_again(routers: &[SocketAddr]) -> Duration {
    let began = Instant::now();
    join_all(routers.iter().map(async |router| {
        let request = Request::new(*router, "GET", "shop.test", "/");
        // Each waits for as long as requests do, so these are few.
        while !matches!(request.try_send().await, Ok(answer) if answer.status() == 200) {
            sleep(Duration::from_millis(10)).await;
        }
    }))
    .await;
    began.elapsed()
}
