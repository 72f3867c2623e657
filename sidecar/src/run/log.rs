//! The thread that speaks with the broker.

use std::{sync::Arc, thread::JoinHandle};

use anyhow::Context as _;
use mesh::NodeId;
use tokio::runtime::Builder;

use super::{peers::Peers, spawn};
use crate::{
    amqp,
    config::{Broker, BrokerPem, Config, TapFormat},
    convert::Form,
    driver::{Driver, Position, Proposals},
};

/// Starts it, if there is a broker.
pub(super) fn start(
    config: &Config,
    driver: &Arc<Driver>,
    proposals: Option<Proposals>,
    position: Option<Position>,
    node_id: u64,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let (Some(broker), Some(proposals)) = (&config.broker, proposals) else {
        return Ok(None);
    };
    let options = options(broker, &config.node)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let driver = driver.clone();
    let peers = Peers::new(config)?;
    let serving = move || {
        let stop = StopAtEnd(driver.clone());
        runtime.block_on(async {
            let load = amqp::share_load(&options, &driver, NodeId(node_id));
            let log = async {
                let offered = peers.table(&driver, position).await;
                amqp::serve(
                    options.clone(),
                    driver.clone(),
                    proposals,
                    position,
                    offered,
                )
                .await;
            };
            let events = amqp::announce_events(&options, &driver);
            let taps = amqp::tell_requests(&options, &driver);
            tokio::join!(load, log, events, taps, driver.send_queued())
        });
        drop(stop);
    };
    spawn("log", serving).map(Some)
}

/// Stops everything, also when a panic ends this thread.
pub(super) struct StopAtEnd(pub(super) Arc<Driver>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

pub(super) fn options(broker: &Broker, node: &str) -> anyhow::Result<amqp::Options> {
    let pem = broker.tls.as_ref().map(|tls| tls.load()).transpose()?;
    let tls = pem.map(|BrokerPem { ca, identity }| amqp::Tls {
        ca,
        identity: identity.map(|(chain, key)| (chain, key.expose().into())),
    });
    Ok(amqp::Options {
        host: broker.host.clone(),
        port: broker.port,
        vhost: broker.vhost.clone(),
        user: broker.user.clone(),
        password: broker.password.expose().into(),
        prefix: broker.prefix.clone(),
        heartbeat_s: broker.heartbeat_s,
        tls,
        snapshot_every: broker.snapshot_every,
        tap_form: match broker.tap_format {
            TapFormat::Json => Form::Json,
            TapFormat::Protobuf => Form::Protobuf,
        },
        node: node.into(),
    })
}
