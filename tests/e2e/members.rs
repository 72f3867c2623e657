//! Sidecars that are members, over a real RabbitMQ: who decides for what.

mod basics;
mod faults;
mod watch;

use std::time::Duration;

use dynomesh_proto::v1::{MemberStanding, NodesResponse};
use e2e::harness::{Sidecar, wait};

use crate::log::secure::{Authority, write_files};

const LIMIT: Duration = Duration::from_secs(150);
/// The parts of all apps.
const SHARDS: usize = 256;

/// One that is a member as soon as it is started.
fn make(url: &str, prefix: &str, node: &str, authority: &Authority) -> Sidecar {
    let mut sidecar = Sidecar::make(url, prefix, node);
    let (chain, key) = authority.issue();
    let files = [
        ("--peer-tls-ca", "ca.pem", authority.pem()),
        ("--tls-cert", "cert.pem", chain),
        ("--tls-key", "key.pem", key),
    ];
    write_files(&mut sidecar, files);
    let own = ["--peer-tcp", "127.0.0.1:0", "--peer-address", "localhost:0"];
    sidecar.more.extend(own.map(ToOwned::to_owned));
    sidecar
}

/// Three that are members.
async fn three(url: &str, prefix: &str) -> Vec<Sidecar> {
    let authority = Authority::new("ours");
    let mut all: Vec<_> = ["a", "b", "c"]
        .map(|node| make(url, prefix, node, &authority))
        .into();
    for sidecar in &mut all {
        sidecar.start_again().await;
    }
    until_agreed(&all.iter().collect::<Vec<_>>()).await;
    all
}

async fn nodes(sidecar: &Sidecar) -> NodesResponse {
    let nodes = sidecar.control().try_nodes().await;
    nodes.unwrap_or_else(|error| panic!("members: {error}"))
}

/// The shards that it says it may grant for.
fn granted(nodes: &NodesResponse) -> impl Iterator<Item = usize> + '_ {
    (0..SHARDS).filter(|shard| nodes.may_grant[shard / 8] >> (shard % 8) & 1 == 1)
}

/// What all say, if that is the same: each is a member, the members are these and
/// nobody else, and each shard has one who decides for it.
async fn agreed(sidecars: &[&Sidecar]) -> Option<Vec<NodesResponse>> {
    let mut all = Vec::new();
    for sidecar in sidecars {
        all.push(sidecar.control().try_nodes().await.ok()?);
    }
    let mut deciders = [0; SHARDS];
    for nodes in &all {
        granted(nodes).for_each(|shard| deciders[shard] += 1);
    }
    let shares = |nodes: &NodesResponse| -> Vec<_> {
        let members = nodes.members.iter();
        members
            .map(|it| {
                (
                    it.name.clone(),
                    it.life.clone(),
                    it.address.clone(),
                    it.shards,
                )
            })
            .collect()
    };
    let standing = |nodes: &NodesResponse| {
        let own = nodes.membership.as_ref();
        own.map(|own| (own.standing(), own.epoch))
    };
    let first = (shares(&all[0]), standing(&all[0]));
    let same = all.iter().all(|it| (shares(it), standing(it)) == first);
    let is_so = same
        && first.0.len() == sidecars.len()
        && first.1.is_some_and(|(it, _)| it == MemberStanding::Member)
        && deciders == [1; SHARDS];
    is_so.then_some(all)
}

async fn until_agreed(sidecars: &[&Sidecar]) -> Vec<NodesResponse> {
    until_agreed_within(wait::LIMIT, sidecars).await
}

async fn until_agreed_within(limit: Duration, sidecars: &[&Sidecar]) -> Vec<NodesResponse> {
    let what = format!("{} sidecars agree who decides for what", sidecars.len());
    wait::some(limit, &what, async || agreed(sidecars).await).await
}
