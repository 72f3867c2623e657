//! Hosts whose wires can be cut: to the broker, and from other sidecars.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use dynomesh_proto::v1::Exact;
use e2e::{
    Dyno, Mesh,
    harness::{Broker, Proxy, broker},
};

use super::super::{app, host, owner, settings, until_agreed};
use crate::log::secure::Authority;

/// A broker, hosts, and an app that is exact and strict.
pub(super) struct Cluster {
    hosts: Vec<Mesh>,
    /// Of each host.
    pub(super) wires: Vec<Wires>,
    pub(super) broker: Broker,
    pub(super) dynos: Vec<Dyno>,
}

pub(super) struct Wires {
    pub(super) to_broker: Proxy,
    pub(super) from_others: Proxy,
}

impl Cluster {
    pub(super) async fn start(count: usize, dynos: usize) -> Self {
        let broker = Broker::start().await;
        let authority = Authority::new("ours");
        let (mut hosts, mut wires) = (Vec::new(), Vec::new());
        for number in 0..count {
            let port = free_port();
            let wire = Wires {
                to_broker: Proxy::start(broker.port()).await,
                from_others: Proxy::start(port).await,
            };
            let peers = [
                "--peer-tcp".to_owned(),
                format!("127.0.0.1:{port}"),
                "--peer-address".to_owned(),
                format!("localhost:{}", wire.from_others.port()),
                // What is cut is noticed soon.
                "--broker-heartbeat-s".to_owned(),
                "2".to_owned(),
            ];
            let host = host(&authority, number)
                .workers(2)
                .broker(&broker::url(wire.to_broker.port()), "mesh")
                .sidecar(&peers.each_ref().map(String::as_str));
            hosts.push(host.start().await);
            wires.push(wire);
        }
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        let (_app, dynos) = app(&hosts, queue_headers(), dynos).await;
        Self {
            hosts,
            wires,
            broker,
            dynos,
        }
    }

    pub(super) fn hosts(&self) -> &[Mesh] {
        &self.hosts
    }

    pub(super) fn host(&mut self, at: usize) -> &mut Mesh {
        &mut self.hosts[at]
    }

    /// Where requests may be sent.
    pub(super) fn routers(&self) -> Vec<SocketAddr> {
        self.hosts.iter().map(|host| host.nginx.address).collect()
    }

    /// Which host decides.
    pub(super) async fn owner(&self) -> usize {
        owner(&self.hosts, "shop").await
    }

    pub(super) async fn until_agreed(&self) {
        until_agreed(&self.hosts.iter().collect::<Vec<_>>()).await;
    }

    pub(super) async fn finish(self) {
        for host in self.hosts {
            host.finish_with_alerts(&["exited on signal 9"]).await;
        }
    }
}

fn queue_headers() -> dynomesh_proto::v1::Settings {
    dynomesh_proto::v1::Settings {
        queue_headers: true,
        ..settings(Exact::Strict)
    }
}

/// One that a sidecar has again after a restart.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
