//! Who may use an app, in the log: the same everywhere, and refused everywhere when it
//! is wrong.

use std::time::Duration;

use e2e::harness::{Hand, run_within, wait};
use serde_json::json;

use super::{create, sidecars};
use crate::auth::user;

const LIMIT: Duration = Duration::from_secs(150);

fn entry(lines: &[&str]) -> String {
    let operation = json!({"putAuth": {"lines": lines}});
    json!({"change": {"app": "shop", "operations": [operation]}}).to_string()
}

#[test]
fn who_may_use_an_app_is_the_same_everywhere() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        create(&all[0], "shop").await;
        let hand = Hand::connect(&broker.url()).await;
        let (route, kind) = (format!("{prefix}.route"), "route.entry.v1");
        let ann = user("ann");
        let good = ["basic", &ann];
        hand.publish(&route, "x", kind, "1", &entry(&good)).await;
        let wrong = entry(&["basic", "user ann secret"]);
        hand.publish(&route, "x", kind, "2", &wrong).await;
        for sidecar in &all {
            sidecar.until_version("shop", 2).await;
            wait::until("the wrong one is skipped", async || {
                sidecar.log_status().await.skipped == 1
            })
            .await;
            let app = sidecar.control().app("shop").await.app.unwrap();
            assert_eq!(app.auth, good);
        }
        all[0].until_same(&all[1]).await;
    });
}
