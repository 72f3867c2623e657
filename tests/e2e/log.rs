//! Several sidecars that share one route log over a real RabbitMQ.

mod addresses;
mod auth;
mod basics;
mod faults;
mod hand;
mod load;
mod peer;
mod queue;
mod rules;
pub(crate) mod secure;
mod soak;
mod tables;

use dynomesh_proto::v1::{Change, Operation, Settings, operation::Kind};
use e2e::harness::{Broker, Sidecar, broker};

/// So many sidecars, in step with a log of their own in the broker that tests
/// share.
async fn sidecars<const N: usize>() -> (Vec<Sidecar>, &'static Broker, String) {
    let broker = Broker::shared().await;
    let prefix = broker::prefix();
    let mut sidecars = Vec::new();
    for number in 0..N {
        let node = format!("n{number}");
        sidecars.push(Sidecar::start(&broker.url(), &prefix, &node).await);
    }
    (sidecars, broker, prefix)
}

/// Makes an app that answers to `NAME.test`.
async fn create(at: &Sidecar, app: &str) -> u64 {
    let domain = format!("{app}.test");
    at.control()
        .create_app(app, Settings::default(), &[&domain])
        .await
}

fn change(app: &str, base_version: u64, kinds: impl IntoIterator<Item = Kind>) -> Change {
    Change {
        app: app.to_owned(),
        base_version,
        operations: kinds
            .into_iter()
            .map(|kind| Operation { kind: Some(kind) })
            .collect(),
    }
}
