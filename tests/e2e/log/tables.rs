//! Whose table it is: that of a sidecar, of a log, of a snapshot.

use std::time::Duration;

use dynomesh_proto::v1::LogState;
use e2e::harness::{Broker, Hand, Sidecar, broker, run_within, wait};

use super::{create, sidecars};

const LIMIT: Duration = Duration::from_secs(200);

/// Makes apps that are told apart.
async fn fill(at: &Sidecar, name: &str, count: usize) {
    // Addresses of their own, too.
    let host = name.bytes().map(u32::from).sum::<u32>() % 250 + 1;
    for number in 0..count {
        let app = format!("{name}-{number}");
        create(at, &app).await;
        at.control()
            .add_dyno(
                &app,
                "web.1",
                &format!("127.0.1.{host}:{}", 10_000 + number),
            )
            .await;
    }
}

#[test]
fn a_new_log_begins_with_the_table_of_who_has_one() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut first = Sidecar::make(&broker.url(), &prefix, "first");
        first.start_alone().await;
        fill(&first, "old", 20).await;
        let before = first.table().await;
        first.stop().await;
        first.start_again().await;
        first.until_in_sync().await;
        assert_eq!(first.table().await, before);
        assert_eq!(first.backups(), 0, "nothing was replaced");
        let second = Sidecar::start(&broker.url(), &prefix, "second").await;
        assert_eq!(second.table().await, before);
        create(&second, "new").await;
        first.until_version("new", 1).await;
        // Alone again it may be changed, and is then not what the log says.
        first.stop().await;
        first.start_alone().await;
        create(&first, "mine").await;
        first.stop().await;
        first.start_again().await;
        first.until_in_sync().await;
        first.until_same(&second).await;
        assert_eq!(first.backups(), 1);
    });
}

#[test]
fn a_log_that_exists_takes_the_place_of_a_table() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<1>().await;
        fill(&all[0], "theirs", 3).await;
        let mut late = Sidecar::make(&broker.url(), &prefix, "late");
        late.start_alone().await;
        fill(&late, "mine", 2).await;
        late.stop().await;
        late.start_again().await;
        late.until_in_sync().await;
        late.until_same(&all[0]).await;
        assert_eq!(late.status().await.apps, 3);
        assert_eq!(late.backups(), 1, "its own table is kept");
    });
}

#[test]
fn a_log_that_is_lost_is_made_again_from_the_tables() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<2>().await;
        fill(&all[0], "app", 10).await;
        all[0].until_same(&all[1]).await;
        let (before, log) = (all[0].table().await, all[0].log_status().await.log_id);
        let hand = Hand::connect(&broker.url()).await;
        hand.delete(&format!("{prefix}.route")).await;
        for sidecar in &all {
            wait::within(
                e2e::harness::BACK_WITHIN,
                "there is another log",
                async || {
                    let status = sidecar.log_status().await;
                    status.log_id != log && status.state() == LogState::InSync
                },
            )
            .await;
            assert_eq!(sidecar.table().await, before);
            assert_eq!(sidecar.backups(), 0, "nothing was replaced");
        }
        create(&all[1], "next").await;
        all[0].until_version("next", 1).await;
        all[0].until_same(&all[1]).await;
    });
}

#[test]
fn a_table_is_not_given_up_for_a_log_that_has_nothing_to_do_with_it() {
    run_within(LIMIT, async {
        let (mut all, broker, prefix) = sidecars::<1>().await;
        fill(&all[0], "app", 3).await;
        let before = all[0].table().await;
        all[0].kill().await;
        let hand = Hand::connect(&broker.url()).await;
        hand.delete(&format!("{prefix}.route")).await;
        let stranger = Sidecar::start(&broker.url(), &prefix, "stranger").await;
        assert_eq!(stranger.status().await.apps, 0);
        all[0].start_again().await;
        wait::within(e2e::harness::BACK_WITHIN, "it says so", async || {
            let problem = all[0].log_status().await.problem;
            problem.contains("another log") && problem.contains("data directory")
        })
        .await;
        assert!(all[0].status().await.ready, "it serves what it has");
        assert_eq!(all[0].table().await, before);
    });
}

#[test]
fn a_cold_start_takes_the_newest_snapshot_and_what_came_after() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut first = Sidecar::make(&broker.url(), &prefix, "first");
        first.more = vec!["--broker-snapshot-every-s".into(), "1".into()];
        first.start_again().await;
        first.until_in_sync().await;
        fill(&first, "app", 40).await;
        let written = |log: String| log.matches("a snapshot was written").count();
        let until_written = async |count| {
            wait::until("a snapshot is written", async || {
                written(first.log()) >= count
            })
            .await;
        };
        until_written(1).await;
        fill(&first, "more", 1).await;
        until_written(written(first.log()) + 1).await;
        let done = first.log_status().await.applied;
        let late = Sidecar::start(&broker.url(), &prefix, "late").await;
        late.until_same(&first).await;
        let status = late.log_status().await;
        assert!(status.applied < done / 2, "{status:?} of {done}");
        assert!(
            late.log().contains("the table is the log's"),
            "{}",
            late.log()
        );
        // What was seen to before the snapshot is known after it.
        create(&late, "last").await;
        first.until_version("last", 1).await;
        first.until_same(&late).await;
    });
}
