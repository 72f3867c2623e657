//! Who is a member, and what is seen of it.

use dynomesh_proto::v1::{MemberStanding, NodesResponse};
use e2e::harness::{Broker, Hand, Sidecar, Signal, broker, run_within, wait};
use lapin::BasicProperties;
use std::time::{Duration, Instant};

use super::{LIMIT, SHARDS, granted, make, nodes, three, until_agreed};
use crate::log::secure::Authority;

#[test]
fn all_know_the_same_members_and_each_shard_has_one() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let all = three(&broker.url(), &prefix).await;
        let [a, b, c] = &all[..] else { unreachable!() };
        let said = until_agreed(&[a, b, c]).await;
        let names: Vec<_> = said[0].members.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let shares = said[0].members.iter().map(|it| it.shards as usize);
        assert_eq!(shares.clone().sum::<usize>(), SHARDS);
        assert!(shares.clone().all(|share| share > SHARDS / 6), "fair");
        for (nodes, share) in said.iter().zip(shares) {
            assert_eq!(granted(nodes).count(), share);
        }
        // The port is the one that was bound.
        let addresses = said[0].members.iter().map(|it| &*it.address);
        for address in addresses {
            let port = address.strip_prefix("localhost:").unwrap();
            assert_ne!(port.parse::<u16>().unwrap(), 0);
        }

        let told = a.ctl("nodes").await;
        assert!(told.stdout.starts_with("one of 3, epoch "), "{told:?}");
        let json: serde_json::Value = a.ctl("nodes --json").await.json();
        assert_eq!(json["members"].as_array().map(Vec::len), Some(3));
        assert!(
            a.ctl("status")
                .await
                .stdout
                .contains("\nmembers         one of 3")
        );

        // Each has a link to each other one.
        for sidecar in [a, b, c] {
            wait::until("both others ask it", async || {
                sidecar
                    .log()
                    .matches("another sidecar asks this one")
                    .count()
                    == 2
            })
            .await;
        }

        // Who can't be reached is none, and says why.
        let apart = Sidecar::start(&broker.url(), &prefix, "apart").await;
        let told = apart.ctl("nodes").await.stdout;
        assert!(
            told.contains("takes no part") && told.contains("peer-tcp"),
            "{told}"
        );
        until_agreed(&[a, b, c]).await;
    });
}

#[test]
fn who_stops_hands_over_at_once() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut all = three(&broker.url(), &prefix).await;
        for _ in 0..2 {
            let [a, b, c] = &mut all[..] else {
                unreachable!()
            };
            let asked = Instant::now();
            b.signal(Signal::TERM);
            until_agreed(&[a, c]).await;
            let took = asked.elapsed();
            println!("handed over after {took:?}");
            assert!(took < Duration::from_millis(700), "{took:?}");
            b.ended().await;
            assert!(asked.elapsed() < Duration::from_millis(1_500));
            assert!(!b.log().contains("do not know that this one stops"));
            b.start_again().await;
            until_agreed(&[a, b, c]).await;
        }
    });
}

#[test]
fn two_of_one_name_are_told_so() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let authority = Authority::new("ours");
        let [mut one, mut other] =
            [(); 2].map(|()| make(&broker.url(), &prefix, "same", &authority));
        one.start_again().await;
        until_agreed(&[&one]).await;
        other.start_again().await;
        let is_told = |it: &Sidecar| it.log().matches("has the same name").count() == 1;
        wait::until("the first one says so", async || is_told(&one)).await;
        other.stop().await;
        until_agreed(&[&one]).await;
        assert!(is_told(&one), "once");
    });
}

#[test]
fn what_is_no_entry_is_counted_and_harms_nobody() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let all = three(&broker.url(), &prefix).await;
        let [a, b, c] = &all[..] else { unreachable!() };
        let epoch = |nodes: &NodesResponse| nodes.membership.as_ref().unwrap().epoch;
        let before = epoch(&nodes(a).await);
        let stream = format!("{prefix}.members");
        let hand = Hand::connect(&broker.url()).await;
        let typed = |kind: &str| BasicProperties::default().with_type(kind.into());
        for (kind, body) in [
            ("members.entry.v1", &b"\xff\xff"[..]),
            ("members.entry.v1", b""),
            ("members.entry.v9", b""),
            ("members.entry.v1", &[0; 100_000]),
        ] {
            hand.publish_with("", &stream, typed(kind), body).await;
        }
        // So many that segments of the stream end, and the first ones are gone.
        for _ in 0..120 {
            hand.publish_with("", &stream, typed("noise"), &[0; 100_000])
                .await;
        }
        for sidecar in [a, b, c] {
            wait::until("it has skipped them", async || {
                nodes(sidecar).await.membership.unwrap().skipped == 124
            })
            .await;
        }
        let after = until_agreed(&[a, b, c]).await;
        assert_eq!(epoch(&after[0]), before);
    });
}

#[test]
fn a_stream_that_is_deleted_is_begun_again() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let all = three(&broker.url(), &prefix).await;
        let [a, b, c] = &all[..] else { unreachable!() };
        let lives = |nodes: &NodesResponse| -> Vec<_> {
            nodes.members.iter().map(|it| it.life.clone()).collect()
        };
        let before = lives(&nodes(a).await);
        let hand = Hand::connect(&broker.url()).await;
        hand.delete(&format!("{prefix}.members")).await;
        wait::until("they are new members", async || {
            let is_new = |life: &String| !before.contains(life);
            let nodes = nodes(a).await;
            let standing = nodes.membership.as_ref().unwrap().standing();
            standing == MemberStanding::Member && lives(&nodes).iter().all(is_new)
        })
        .await;
        until_agreed(&[a, b, c]).await;
    });
}
