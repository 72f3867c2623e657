//! Changes that wait until the broker is back.

use std::time::Duration;

use dynomesh_proto::v1::{Applied, Change, LogState, operation::Kind};
use e2e::harness::{Broker, Proxy, Sidecar, broker, run_within, wait};
use tonic::Code;

use super::{change, create};

const LIMIT: Duration = Duration::from_secs(240);
/// As control.proto says.
const MOST: usize = 1_000;

async fn until_queue(at: &Sidecar, waiting: u32, made: u64, dropped: u64) {
    let what = format!("{waiting} queued, {made} made, {dropped} dropped");
    wait::within(Duration::from_secs(60), &what, async || {
        let log = at.log_status().await;
        (log.queued, log.queued_made, log.queued_dropped) == (waiting, made, dropped)
    })
    .await;
}

/// One that adds a name, which can be done once.
fn name(number: usize) -> Change {
    let app = ["shop", "blog"][number % 2];
    change(app, 0, [Kind::AddDomain(format!("n{number}.test"))])
}

fn is_queued(applied: &Applied) -> bool {
    applied.error.is_none() && applied.queued.len() == 32 && applied.version == 0
}

#[test]
fn what_is_queued_is_made_in_order_when_the_broker_is_back() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let mut at = Sidecar::start(&broker.url(), "mesh", "at").await;
        let other = Sidecar::start(&broker.url(), "mesh", "other").await;
        create(&at, "shop").await;
        // While it takes changes, they are made.
        let made = at.ctl("domain add shop now.test --queue").await;
        assert!(made.stdout.contains("(version 2)"), "{made:?}");
        other.until_version("shop", 2).await;
        broker.kill().await;
        at.until_state(LogState::Away).await;

        let refused = at.ctl("domain add shop later.test").await;
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.stderr.contains("--queue"), "{refused:?}");
        let malformed = at.ctl("domain add shop no..name --queue").await;
        assert_eq!(malformed.code, 1, "{malformed:?}");
        let told = at.ctl("app create next --domain next.test --queue").await;
        assert!(
            told.code == 0 && told.stdout.starts_with("queued"),
            "{told:?}"
        );
        let json = at.ctl("domain add next later.test --queue --json").await;
        let id = json.json::<serde_json::Value>()["queued"].clone();
        assert_eq!(id.as_str().map(str::len), Some(32), "{json:?}");
        // Of two that are for one version the second one has lost by then.
        let on = change("shop", 2, [Kind::SetMaintenance(true)]);
        let off = change("shop", 2, [Kind::SetMaintenance(false)]);
        let queued = at.control().queue(vec![on, off]).await;
        assert!(queued.iter().all(is_queued), "{queued:?}");
        assert!(at.control().try_app("next").await.is_err(), "not made yet");
        until_queue(&at, 4, 0, 0).await;
        assert!(at.ctl("status").await.stdout.contains("4 waiting"));

        at.kill().await;
        at.start_again().await;
        until_queue(&at, 4, 0, 0).await;
        broker.start_again().await;
        until_queue(&at, 0, 3, 1).await;
        other.until_version("next", 2).await;
        let next = other.control().app("next").await.app.unwrap();
        assert_eq!(next.domains, ["next.test", "later.test"]);
        let shop = other.control().app("shop").await.app.unwrap();
        assert!(shop.maintenance && shop.version == 3, "{shop:?}");
        at.until_same(&other).await;
        let log = at.log();
        let lost = &queued[1].queued;
        let dropped = log
            .lines()
            .find(|line| line.contains("a queued change is dropped"));
        let dropped = dropped.unwrap_or_else(|| panic!("{log}"));
        assert!(
            dropped.contains("WARN") && dropped.contains(lost),
            "{dropped}"
        );
        assert!(dropped.contains("version 3"), "{dropped}");
        // Nothing of it comes again.
        at.kill().await;
        at.start_again().await;
        at.until_in_sync().await;
        until_queue(&at, 0, 0, 0).await;
        at.until_same(&other).await;
    });
}

#[test]
fn what_is_queued_is_made_once_however_often_the_wire_breaks() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let prefix = broker::prefix();
        let wire = Proxy::start(broker.port()).await;
        let near = Sidecar::start(&broker.url(), &prefix, "near").await;
        let mut far = Sidecar::start(&broker::url(wire.port()), &prefix, "far").await;
        create(&far, "shop").await;
        create(&far, "blog").await;
        near.until_version("blog", 1).await;
        wire.cut();
        far.until_state(LogState::Away).await;
        let queued = far.control().queue((1..=MOST).map(name).collect()).await;
        let refused: Vec<_> = queued
            .iter()
            .filter(|applied| !is_queued(applied))
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
        let more = far.control().queue(vec![name(0)]).await;
        let error = more[0].error.clone().unwrap();
        assert_eq!(Code::from(error.code), Code::ResourceExhausted, "{error:?}");
        assert!(error.message.contains("in sync"), "{error:?}");

        let version = async || near.control().app("shop").await.app.unwrap().version;
        for round in 1..=4 {
            wire.mend();
            let some = round * 75;
            wait::within(Duration::from_secs(60), "some are made", async || {
                version().await > some
            })
            .await;
            wire.cut();
            if round == 2 {
                far.kill().await;
                far.start_again().await;
            }
            far.until_state(LogState::Away).await;
        }
        wire.mend();
        far.until_in_sync().await;
        wait::within(Duration::from_secs(60), "nothing is queued", async || {
            far.log_status().await.queued == 0
        })
        .await;
        let status = far.log_status().await;
        assert_eq!(status.queued_dropped, 0, "{status:?}");
        far.until_same(&near).await;
        near.until_version("blog", 501).await;
        assert_eq!(version().await, 501);
    });
}
