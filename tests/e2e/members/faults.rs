//! Members die, freeze and are cut off, and so does the broker.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::{LogState, MemberStanding};
use e2e::harness::{Broker, Proxy, Sidecar, Signal, broker, run_within, wait};
use tokio::time::sleep_until;

use super::{LIMIT, granted, make, nodes, three, until_agreed, until_agreed_within, watch::Watch};
use crate::log::secure::Authority;

/// The others have everything of a dead member by then.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);

async fn until_it_grants_nothing(sidecar: &Sidecar) {
    wait::until("it may grant for nothing", async || {
        granted(&nodes(sidecar).await).next().is_none()
    })
    .await;
}

#[test]
fn who_dies_is_replaced_within_3_s_and_comes_back() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut all = three(&broker.url(), &prefix).await;
        let watch = Watch::new(&all);
        let [a, b, c] = &mut all[..] else {
            unreachable!()
        };
        let dead = Instant::now();
        b.kill().await;
        until_agreed_within(TAKEN_WITHIN, &[a, c]).await;
        println!("taken over after {:?}", dead.elapsed());
        b.start_again().await;
        until_agreed(&[a, b, c]).await;
        watch.check().await;
    });
}

#[test]
fn who_is_frozen_is_out_and_never_grants_what_is_anothers() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut all = three(&broker.url(), &prefix).await;
        let watch = Watch::new(&all);
        let [a, b, c] = &mut all[..] else {
            unreachable!()
        };
        let life = nodes(b).await.members[1].life.clone();
        let frozen = tokio::time::Instant::now();
        b.signal(Signal::STOP);
        until_agreed_within(TAKEN_WITHIN, &[a, c]).await;
        // Long enough for the broker to break off with it.
        sleep_until(frozen + Duration::from_secs(5)).await;
        b.signal(Signal::CONT);
        let said = until_agreed(&[a, b, c]).await;
        assert_ne!(said[0].members[1].life, life, "as somebody new");
        // For a moment only, again and again.
        for _ in 0..3 {
            let frozen = tokio::time::Instant::now();
            b.signal(Signal::STOP);
            sleep_until(frozen + Duration::from_millis(1_200)).await;
            b.signal(Signal::CONT);
            until_agreed(&[a, b, c]).await;
        }
        watch.check().await;
    });
}

#[test]
fn who_is_cut_off_grants_nothing_before_others_do() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let wire = Proxy::start(broker.port()).await;
        let authority = Authority::new("ours");
        let mut all: Vec<_> = ["a", "b"]
            .map(|node| make(&broker.url(), &prefix, node, &authority))
            .into();
        let url = broker::url(wire.port());
        all.push(make(&url, &prefix, "far", &authority));
        for sidecar in &mut all {
            sidecar.start_again().await;
        }
        let [a, b, far] = &all[..] else {
            unreachable!()
        };
        until_agreed(&[a, b, far]).await;
        let watch = Watch::new(&all);
        for _ in 0..3 {
            wire.cut();
            until_it_grants_nothing(far).await;
            let said = nodes(far).await.membership.unwrap();
            assert!(!said.problem.is_empty(), "{said:?}");
            until_agreed_within(TAKEN_WITHIN, &[a, b]).await;
            wire.mend();
            until_agreed(&[a, b, far]).await;
        }
        watch.check().await;
    });
}

#[test]
fn without_a_broker_nobody_grants_and_with_it_all_do() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let all = three(&broker.url(), "mesh").await;
        let [a, b, c] = &all[..] else { unreachable!() };
        let watch = Watch::new(&all);
        for _ in 0..2 {
            broker.kill().await;
            let dead = Instant::now();
            for sidecar in &all {
                until_it_grants_nothing(sidecar).await;
                let nodes = nodes(sidecar).await.membership.unwrap();
                assert_eq!(nodes.standing(), MemberStanding::Member);
            }
            println!("nobody grants after {:?}", dead.elapsed());
            broker.start_again().await;
            let back = Instant::now();
            until_agreed_within(Duration::from_secs(10), &[a, b, c]).await;
            println!("all grant {:?} after the broker is back", back.elapsed());
        }
        // Frozen, and short of memory.
        broker.signal(Signal::STOP);
        until_it_grants_nothing(a).await;
        broker.signal(Signal::CONT);
        until_agreed(&[a, b, c]).await;
        broker
            .ctl("set_vm_memory_high_watermark absolute 20MB")
            .await;
        until_it_grants_nothing(a).await;
        let said = nodes(a).await.membership.unwrap();
        assert!(said.problem.contains("short of resources"), "{said:?}");
        broker
            .ctl("set_vm_memory_high_watermark absolute 1GB")
            .await;
        until_agreed(&[a, b, c]).await;
        a.until_state(LogState::InSync).await;
        watch.check().await;
    });
}
