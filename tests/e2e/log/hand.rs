//! What people and other programs write into the log.

use std::{fs, path::Path, time::Duration};

use dynomesh_proto::v1::DynoState;
use e2e::harness::{Hand, Sidecar, publish_unreadable, run_within, wait};
use lapin::BasicProperties;

use super::{create, sidecars};

const LIMIT: Duration = Duration::from_secs(150);

/// A line to publish an entry with, in its parts.
struct Line {
    key: String,
    payload: String,
    properties: serde_json::Value,
}

/// The first one of this document.
fn line(file: &str) -> Line {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(file).unwrap();
    let start = text.find("rabbitmqadmin publish").unwrap();
    let line = text[start..].split("\n\n").next().unwrap();
    let value = |key: &str, end: &str| {
        let (_, rest) = line.split_once(&format!("{key}=")).unwrap();
        let rest = rest.strip_prefix('\'').unwrap_or(rest);
        rest.split(end).next().unwrap().trim().to_owned()
    };
    assert_eq!(value("exchange", " "), "mesh.route");
    Line {
        key: value("routing_key", " "),
        payload: value("payload", "'"),
        properties: serde_json::from_str(&value("properties", "'")).unwrap(),
    }
}

#[test]
fn the_line_of_the_readme_works() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        let line = line("README.md");
        let hand = Hand::connect(&broker.url()).await;
        let text = |name: &str| line.properties[name].as_str().unwrap();
        assert_eq!(text("content_type"), "application/json");
        for _ in 0..2 {
            // Twice: its message_id says that it is the same.
            hand.publish(
                &format!("{prefix}.route"),
                &line.key,
                text("type"),
                text("message_id"),
                &line.payload,
            )
            .await;
        }
        for sidecar in &all {
            sidecar.until_version("shop", 1).await;
            wait::until("the second one is a duplicate", async || {
                sidecar.log_status().await.duplicates == 1
            })
            .await;
        }
        let app = all[1].control().app("shop").await.app.unwrap();
        assert_eq!(app.domains, ["shop.example.com"]);
        assert_eq!(app.dynos.len(), 1);
        all[0].until_same(&all[1]).await;
    });
}

#[test]
fn the_line_for_managers_works_whatever_it_finds() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        let line = line("docs/managers.md");
        let hand = Hand::connect(&broker.url()).await;
        for number in 1..=2 {
            hand.publish(
                &format!("{prefix}.route"),
                &line.key,
                line.properties["type"].as_str().unwrap(),
                &format!("manager-{number}"),
                &line.payload,
            )
            .await;
            all[1].until_version("shop", number).await;
            let app = all[1].control().app("shop").await.app.unwrap();
            assert_eq!(app.domains, ["shop.example.com"]);
            assert_eq!(app.dynos.len(), 1);
            assert_eq!(app.dynos[0].state(), DynoState::Starting);
            assert!(app.settings.unwrap_or_default().wake);
        }
        // A domain of another app is left to it.
        create(&all[0], "blog").await;
        let more = line.payload.replace("shop.example.com", "blog.test");
        let kind = "route.entry.v1";
        hand.publish(&format!("{prefix}.route"), &line.key, kind, "more", &more)
            .await;
        all[0].until_version("shop", 3).await;
        let app = all[0].control().app("shop").await.app.unwrap();
        assert_eq!(app.domains, ["shop.example.com"]);
        all[0].until_same(&all[1]).await;
    });
}

#[test]
fn what_is_no_entry_is_skipped_and_kept() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<1>().await;
        let hand = Hand::connect(&broker.url()).await;
        let route = format!("{prefix}.route");
        let good = r#"{"change":{"app":"shop","operations":[{"createApp":{}}]}}"#;
        let foreign = r#"{"logId":"00000000000000000000000000000001","change":{"app":"a","operations":[{"createApp":{}}]}}"#;
        let kind = "route.entry.v1";
        let huge = format!("{{\"changeId\":\"{}\"}}", "x".repeat(5 << 20));
        hand.publish(&route, "x", kind, "1", "{").await;
        hand.publish(&route, "x", "route.entry.v9", "2", good).await;
        hand.publish(&route, "x", "other", "3", good).await;
        hand.publish(&route, "x", kind, "4", foreign).await;
        hand.publish(&route, "x", kind, "5", &huge).await;
        let bare = BasicProperties::default();
        hand.publish_with(&route, "x", bare, b"\xff\0").await;
        hand.publish(&route, "x", kind, "7", good).await;
        // What is right behind it is made.
        all[0].until_version("shop", 1).await;
        let status = all[0].log_status().await;
        assert_eq!((status.applied, status.skipped), (1, 6), "{status:?}");
        let dead = format!("{prefix}.dead");
        for reason in [
            "malformed",
            "unknown-version",
            "wrong-type",
            "foreign-log",
            "too-large",
            "wrong-type",
        ] {
            let what = format!("a dead letter: {reason}");
            let letter = wait::some(wait::LIMIT, &what, async || hand.take(&dead).await).await;
            assert_eq!(letter.reason, reason, "{letter:?}");
        }
        assert_eq!(hand.take(&dead).await, None);
        assert_eq!(create(&all[0], "next").await, 1);
    });
}

#[test]
fn what_cannot_even_be_read_is_gone_around() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        create(&all[0], "before").await;
        all[1].until_version("before", 1).await;
        let route = format!("{prefix}.route");
        publish_unreadable(broker.port(), &route).unwrap();
        let hand = Hand::connect(&broker.url()).await;
        let after = r#"{"change":{"app":"after","operations":[{"createApp":{}}]}}"#;
        hand.publish(&route, "x", "route.entry.v1", "1", after)
            .await;
        for sidecar in &all {
            sidecar.until_version("after", 1).await;
            sidecar.until_in_sync().await;
            assert!(sidecar.log().contains("can't be read"), "{}", sidecar.log());
        }
        create(&all[1], "next").await;
        all[0].until_version("next", 1).await;
        all[0].until_same(&all[1]).await;
        // Who comes late gets around it, too.
        let late = Sidecar::start(&broker.url(), &prefix, "late").await;
        late.until_same(&all[0]).await;
    });
}
