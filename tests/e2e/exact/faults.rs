//! What is so when something goes wrong.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::Exact;
use e2e::{
    Mesh,
    harness::{Broker, Hand, Signal, broker, run_within, wait},
};

use super::{
    LIMIT, app, hosts, none_had_two, owner, settings, start_loads, stop_all, until_agreed,
    until_nothing_is_left,
};

/// A sidecar that is stopped as planned, and started again, is seen by no client.
#[test]
fn a_planned_restart_of_the_owner_fails_nobody() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut hosts = hosts(&broker.url(), &prefix, 3).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Strict), 6).await;
        let loads = start_loads(&hosts, 10, &["/sleep/3", "/"]);
        for _ in 0..2 {
            for load in &loads {
                load.more(300).await;
            }
            let owner = owner(&hosts, "shop").await;
            hosts[owner].stop_meshd().await;
            for (_, load) in loads.iter().enumerate().filter(|(at, _)| *at != owner) {
                load.more(100).await;
            }
            hosts[owner].start_meshd().await;
            until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        }
        for load in &loads {
            load.more(300).await;
        }
        for report in stop_all(loads).await {
            assert_eq!(report.failures(), 0, "{report:?}");
            println!("longest {} us", report.max);
        }
        none_had_two(&dynos).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

/// What comes then has earlier places than what was there before.
#[test]
fn a_log_of_members_that_is_deleted_is_begun_again_for_apps_too() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut hosts = hosts(&broker.url(), &prefix, 3).await;
        let (app, dynos) = app(&hosts, settings(Exact::Strict), 6).await;
        // The last change of the members is a late one.
        hosts[0].crash_meshd().await;
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        let epoch = async |host: &Mesh| {
            let nodes = host.control().try_nodes().await.unwrap();
            nodes.membership.map_or(0, |it| it.epoch)
        };
        let before = epoch(&hosts[1]).await;
        let hand = Hand::connect(&broker.url()).await;
        hand.delete(&format!("{prefix}.members")).await;
        wait::until("it is begun again", async || {
            (1..before).contains(&epoch(&hosts[1]).await)
        })
        .await;
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        for host in &hosts {
            wait::until("it is served", async || {
                host.get(&app.host(), "/").await.status() == 200
            })
            .await;
        }
        let loads = start_loads(&hosts, 10, &["/sleep/3", "/"]);
        for load in &loads {
            load.more(200).await;
        }
        for report in stop_all(loads).await {
            assert_eq!(report.failures(), 0, "{report:?}");
        }
        none_had_two(&dynos).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn an_owner_that_is_killed_double_books_nothing() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut hosts = hosts(&broker.url(), &prefix, 3).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Strict), 6).await;
        let loads = start_loads(&hosts, 10, &["/sleep/3", "/"]);
        for _ in 0..2 {
            for load in &loads {
                load.more(300).await;
            }
            let owner = owner(&hosts, "shop").await;
            hosts[owner].crash_meshd().await;
            let killed = Instant::now();
            for load in &loads {
                load.more(100).await;
            }
            let back = killed.elapsed();
            println!("all are served again after {back:?}");
            assert!(back < Duration::from_secs(5), "{back:?}");
            until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        }
        for report in stop_all(loads).await {
            assert_eq!(report.failures(), 0, "{report:?}");
        }
        none_had_two(&dynos).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn a_sidecar_that_stands_still_double_books_nothing() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut hosts = hosts(&broker.url(), &prefix, 3).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Strict), 6).await;
        let loads = start_loads(&hosts, 10, &["/sleep/3", "/"]);
        for load in &loads {
            load.more(300).await;
        }
        let owner = owner(&hosts, "shop").await;
        hosts[owner].signal_meshd(Signal::STOP);
        let another = (owner + 1) % hosts.len();
        wait::until("it is out", async || {
            let nodes = hosts[another].control().try_nodes().await;
            nodes.is_ok_and(|nodes| nodes.members.len() == 2)
        })
        .await;
        hosts[owner].signal_meshd(Signal::CONT);
        let awake = Instant::now();
        for load in &loads {
            load.more(100).await;
        }
        let back = awake.elapsed();
        println!("all are served again after {back:?}");
        assert!(back < Duration::from_secs(5), "{back:?}");
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        // Whoever waited for it for longer than for any sidecar was told so.
        for report in stop_all(loads).await {
            let told = report.statuses.get(&503).copied().unwrap_or(0);
            assert_eq!(report.failures(), told, "{report:?}");
        }
        none_had_two(&dynos).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn without_the_broker_strict_is_refused_and_available_is_served() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let hosts = hosts(&broker.url(), "mesh", 2).await;
        let (app, _dynos) = app(&hosts, settings(Exact::Strict), 2).await;
        let other = hosts[0].app_with("loose", settings(Exact::Available)).await;
        let _dynos = other.dynos(2).await;
        for host in &hosts {
            host.control()
                .until_app("loose", "has its dynos", |it| it.dynos.len() == 2)
                .await;
        }
        let owned = async |host: &Mesh| host.metrics().await.sum("dynomesh_owned_shards", &[]);
        assert_eq!(owned(&hosts[0]).await + owned(&hosts[1]).await, 256.0);
        broker.kill().await;
        for host in &hosts {
            wait::until("it may decide for nothing", async || {
                owned(host).await == 0.0
            })
            .await;
        }
        for host in &hosts {
            let strict = host.get(&app.host(), "/").await;
            assert_eq!(strict.status(), 503);
            assert_eq!(strict.header("x-mesh-error"), Some("H99"));
            assert_eq!(host.get(&other.host(), "/").await.status(), 200);
        }
        // Who was its owner may have been asked by the other one.
        let mut loose = 0.0;
        for host in &hosts {
            let metrics = host.metrics().await;
            loose += metrics.sum("dynomesh_loose_total", &[]);
            assert_eq!(metrics.sum("dynomesh_members", &[]), 2.0);
        }
        assert_eq!(loose, 2.0);
        broker.start_again().await;
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        for host in &hosts {
            assert_eq!(host.get(&app.host(), "/").await.status(), 200);
            assert_eq!(host.get(&other.host(), "/").await.status(), 200);
        }
        for host in hosts {
            host.finish().await;
        }
    });
}

/// Nobody knows what an owner that is gone gave to its own routers.
#[test]
fn what_a_dead_owner_gave_is_kept_free_until_it_is_known_to_be_dead() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let mut hosts = hosts(&broker.url(), &prefix, 3).await;
        let (app, dynos) = app(&hosts, settings(Exact::Strict), 2).await;
        let owner = owner(&hosts, "shop").await;
        let others = [(owner + 1) % 3, (owner + 2) % 3];
        // One that the owner gave to its own router, and one to another.
        let own = hosts[owner].request("GET", &app.host(), "/hold");
        let mut own = own.start().await.unwrap();
        wait::until("it has a dyno", async || app.status().await.in_flight == 1).await;
        let far = hosts[others[0]].request("GET", &app.host(), "/hold");
        let mut far = far.start().await.unwrap();
        dynos[0].until_now(1).await;
        dynos[1].until_now(1).await;
        hosts[owner].kill_meshd().await;
        let at = &hosts[others[0]];
        wait::until("it is gone", async || {
            let nodes = at.control().try_nodes().await;
            nodes.is_ok_and(|nodes| nodes.gone == [format!("r{owner}")])
        })
        .await;
        let refused = hosts[others[1]].get(&app.host(), "/").await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.header("x-mesh-error"), Some("H99"));

        let told = at.ctl(&format!("nodes forget r{owner}")).await;
        assert_eq!(told.code, 0, "{told:?}");
        let again = at.ctl(&format!("nodes forget r{}", others[1])).await;
        assert_ne!(again.code, 0, "{again:?}");
        wait::until("it is forgotten", async || {
            let nodes = at.control().try_nodes().await;
            nodes.is_ok_and(|nodes| nodes.gone.is_empty())
        })
        .await;
        // It was no truth: of the two dynos it is known who has one, and the other one is
        // taken for free.
        let next = hosts[others[1]].request("GET", &app.host(), "/");
        let mut next = next.start().await.unwrap();
        let busy = async || {
            let mut all = Vec::new();
            for dyno in &dynos {
                all.push(dyno.figures().await.max);
            }
            all.sort_unstable();
            all
        };
        wait::until("one has two", async || busy().await == [1, 2]).await;
        for dyno in &dynos {
            dyno.release().await;
        }
        for conn in [&mut own, &mut far, &mut next] {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        hosts[owner].start_meshd().await;
        until_agreed(&hosts.iter().collect::<Vec<_>>()).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}
