//! Rules in the log: the same everywhere, and refused everywhere when they are wrong.

use std::time::Duration;

use e2e::harness::{Hand, run_within, wait};

use super::{create, sidecars};

const LIMIT: Duration = Duration::from_secs(150);

fn entry(line: &str) -> String {
    format!(
        r#"{{"change": {{"app": "shop", "operations": [{{"putRules": {{"lines": ["{line}"]}}}}]}}}}"#
    )
}

#[test]
fn rules_are_the_same_everywhere() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        create(&all[0], "shop").await;
        let hand = Hand::connect(&broker.url()).await;
        let (route, kind) = (format!("{prefix}.route"), "route.entry.v1");
        let good = "when path ^= /old then redirect 301 /new";
        hand.publish(&route, "x", kind, "1", &entry(good)).await;
        let wrong = entry("when moon is full then deny");
        hand.publish(&route, "x", kind, "2", &wrong).await;
        for sidecar in &all {
            sidecar.until_version("shop", 2).await;
            wait::until("the wrong one is skipped", async || {
                sidecar.log_status().await.skipped == 1
            })
            .await;
            let app = sidecar.control().app("shop").await.app.unwrap();
            assert_eq!(app.rules, [good]);
            assert_eq!(app.version, 2);
        }
        let dead = format!("{prefix}.dead");
        let letter = wait::some(wait::LIMIT, "a dead letter", async || {
            hand.take(&dead).await
        })
        .await;
        assert_eq!(letter.reason, "malformed", "{letter:?}");
        all[0].until_same(&all[1]).await;
    });
}
