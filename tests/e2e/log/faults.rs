//! The broker goes away, in every way there is.

use std::time::Duration;

use dynomesh_proto::v1::{LogState, operation::Kind};
use e2e::{
    Mesh,
    harness::{Broker, Proxy, Sidecar, Signal, broker, run_within, wait},
};
use tonic::Code;

use super::create;

const LIMIT: Duration = Duration::from_secs(240);

/// A change is refused, with words that help.
async fn refuses(sidecar: &Sidecar) {
    let error = sidecar
        .control()
        .try_apply("shop", vec![Kind::SetMaintenance(true)])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    let words = error.message();
    assert!(words.contains("known routes are still served"), "{words}");
}

#[test]
fn a_broker_that_is_killed_costs_no_route_and_no_change() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let url = broker.url();
        let mesh = Mesh::builder().broker(&url, "mesh").start().await;
        let mut other = Sidecar::start(&url, "mesh", "other").await;
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("web.1").await;
        other.until_version("shop", 2).await;
        broker.kill().await;
        other.until_state(LogState::Away).await;
        refuses(&other).await;
        let status = other.status().await;
        assert!(status.ready, "ready, though stale: {status:?}");
        let log = status.log.unwrap();
        assert!(!log.problem.is_empty() && log.since_ms < 60_000, "{log:?}");
        let told = other.ctl("status").await;
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stdout.contains("away"), "{told:?}");
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        // From the disk, too.
        other.kill().await;
        other.start_again().await;
        wait::until("ready, though stale", async || other.status().await.ready).await;
        assert_eq!(other.status().await.apps, 1);
        refuses(&other).await;

        broker.start_again().await;
        other.until_in_sync().await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        create(&other, "next").await;
        mesh.control()
            .until_app("shop", "is there", |status| status.dynos.len() == 1)
            .await;
        wait::until("the change is there", async || {
            mesh.control().try_app("next").await.is_ok()
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn a_broker_that_is_frozen_or_blocks_is_noticed() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let a = Sidecar::start(&broker.url(), "mesh", "a").await;
        let b = Sidecar::start(&broker.url(), "mesh", "b").await;
        create(&a, "shop").await;
        b.until_version("shop", 1).await;

        broker.signal(Signal::STOP);
        a.until_state(LogState::Away).await;
        refuses(&a).await;
        broker.signal(Signal::CONT);
        a.until_in_sync().await;
        b.until_in_sync().await;
        create(&a, "thawed").await;
        b.until_version("thawed", 1).await;

        broker
            .ctl("set_vm_memory_high_watermark absolute 20MB")
            .await;
        // The broker says so to those who publish.
        let blocked = a
            .control()
            .try_apply("shop", vec![Kind::SetMaintenance(true)]);
        let error = blocked.await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        wait::until("it knows that it is blocked", async || {
            a.log_status().await.problem.contains("short of resources")
        })
        .await;
        refuses(&a).await;
        broker
            .ctl("set_vm_memory_high_watermark absolute 1GB")
            .await;
        wait::until("it is not blocked any more", async || {
            let change = vec![Kind::SetMaintenance(true)];
            a.control().try_apply("shop", change).await.is_ok()
        })
        .await;
        a.until_same(&b).await;
    });
}

#[test]
fn who_is_cut_off_catches_up() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let prefix = broker::prefix();
        let wire = Proxy::start(broker.port()).await;
        let near = Sidecar::start(&broker.url(), &prefix, "near").await;
        let far = Sidecar::start(&broker::url(wire.port()), &prefix, "far").await;
        create(&far, "shop").await;
        near.until_version("shop", 1).await;
        for round in 0..3 {
            wire.cut();
            far.until_state(LogState::Away).await;
            refuses(&far).await;
            create(&near, &format!("round-{round}")).await;
            wire.mend();
            far.until_in_sync().await;
            far.until_version(&format!("round-{round}"), 1).await;
        }
        assert_eq!(far.log_status().await.applied, 4);
        far.until_same(&near).await;
    });
}

#[test]
fn changes_under_way_when_the_wire_breaks_are_made_once() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let prefix = broker::prefix();
        let wire = Proxy::start(broker.port()).await;
        let near = Sidecar::start(&broker.url(), &prefix, "near").await;
        let far = Sidecar::start(&broker::url(wire.port()), &prefix, "far").await;
        create(&far, "shop").await;
        near.until_version("shop", 1).await;
        let mut version = 1;
        for _ in 0..5 {
            let changes: Vec<_> = (0..50)
                .map(|_| {
                    let control = far.control().clone();
                    tokio::spawn(async move {
                        let on = vec![Kind::SetMaintenance(true)];
                        control.try_apply("shop", on).await
                    })
                })
                .collect();
            wait::until("some are under way", async || {
                near.control().app("shop").await.app.unwrap().version > version
            })
            .await;
            wire.cut();
            far.until_state(LogState::Away).await;
            wire.mend();
            let mut made = 0;
            for change in changes {
                match change.await.unwrap() {
                    Ok(_) => made += 1,
                    // Those that were not handed in yet.
                    Err(error) => {
                        assert_eq!(error.code(), Code::Unavailable, "{error}");
                        assert!(error.message().contains("nothing was changed"), "{error}");
                    }
                }
            }
            version += made;
            far.until_in_sync().await;
            far.until_version("shop", version).await;
            near.until_version("shop", version).await;
        }
        far.until_same(&near).await;
    });
}
