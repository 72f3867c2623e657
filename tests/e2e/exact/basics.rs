//! What is so while nothing goes wrong.

use std::collections::BTreeSet;

use dynomesh_proto::v1::{AppStatus, Exact, Settings, operation::Kind};
use e2e::harness::{Broker, broker, run_within, wait};

use crate::limits::rates;

use super::{
    LIMIT, app, hosts, more_of_all, none_had_two, owner, settings, start_loads, stop_all,
    until_nothing_is_left,
};

#[test]
fn no_dyno_is_double_booked_by_four_routers() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 4).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Strict), 8).await;
        let loads = start_loads(&hosts, 50, &["/sleep/2", "/", "/body/20000"]);
        for load in &loads {
            load.more(2_000).await;
        }
        let reports = stop_all(loads).await;
        let mut requests = 0;
        for report in reports {
            assert_eq!(report.failures(), 0, "{report:?}");
            requests += report.requests;
        }
        assert_eq!(none_had_two(&dynos).await, requests);
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

/// The owner finds the dyno, whichever router asks.
#[test]
fn a_value_leads_to_one_dyno_from_everywhere() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 3).await;
        // Who comes next finds the dyno whether it is known to be free already or not.
        let roomy = Settings {
            dyno_limit: 10,
            ..settings(Exact::Strict)
        };
        let (app, _dynos) = app(&hosts, roomy, 4).await;
        app.apply(vec![Kind::PutSticky("header:x-user".into())])
            .await;
        for host in &hosts {
            let known = |status: &AppStatus| {
                let app = status.app.as_ref();
                app.is_some_and(|app| app.sticky == "header:x-user")
            };
            host.control().until_app("shop", "sticky", known).await;
        }
        let mut places = BTreeSet::new();
        for user in 0..12 {
            let mut of_user = BTreeSet::new();
            for host in &hosts {
                let request = host.request("GET", &app.host(), "/");
                let request = request.header("X-User", &format!("user-{user}"));
                of_user.insert(request.send().await.dyno().to_owned());
            }
            assert_eq!(of_user.len(), 1, "user {user} was at {of_user:?}");
            places.extend(of_user);
        }
        assert!(places.len() > 1, "{places:?}");
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

/// Each client too, wherever it comes to.
#[test]
fn one_rate_for_all_routers() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 2).await;
        let settings = Settings {
            max_rate: rates::only(7),
            max_client_rate: rates::only(4),
            ..settings(Exact::Strict)
        };
        let (app, _dynos) = app(&hosts, settings, 4).await;
        let mut served = [0; 2];
        for _ in 0..3 {
            for host in &hosts {
                for (client, served) in ["127.0.0.1", "127.0.0.2"].iter().zip(&mut served) {
                    let codes = rates::curl(host, &app.host(), client, 2).await;
                    *served += codes.iter().filter(|code| **code == 200).count();
                    assert!(
                        codes.iter().all(|code| [200, 429].contains(code)),
                        "{codes:?}"
                    );
                }
            }
        }
        assert_eq!(served, [4, 3]);
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn first_come_first_served_wherever_they_come() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 3).await;
        let few = Settings {
            queue_depth: 40,
            ..settings(Exact::Strict)
        };
        let (app, dynos) = app(&hosts, few, 1).await;
        let owner = owner(&hosts, "shop").await;
        let at_owner = hosts[owner].control();
        let request = hosts[0].request("GET", &app.host(), "/hold");
        let mut conns = vec![request.start().await.unwrap()];
        dynos[0].until_now(1).await;
        let ids: Vec<_> = (1..=40).map(|number| format!("nr-{number}")).collect();
        for (number, id) in ids.iter().enumerate() {
            let host = &hosts[number % hosts.len()];
            let request = host.request("GET", &app.host(), "/").id(id);
            conns.push(request.start().await.unwrap());
            wait::until("it waits at the owner", async || {
                let status = at_owner.app("shop").await;
                status.waiting as usize == number + 1
            })
            .await;
        }
        // The one that is too many, at each of them.
        for host in &hosts {
            let response = host.get(&app.host(), "/").await;
            assert_eq!(response.status(), 503);
            assert_eq!(response.header("x-mesh-error"), Some("H11"));
        }
        dynos[0].release().await;
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        let seen = dynos[0].figures().await.seen;
        let seen: Vec<_> = seen.into_iter().map(|seen| seen.id).collect();
        assert_eq!(seen, ids);
        none_had_two(&dynos).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn a_client_that_leaves_leaves_the_queue_of_another_sidecar() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 2).await;
        let (app, dynos) = app(&hosts, settings(Exact::Strict), 1).await;
        let owner = owner(&hosts, "shop").await;
        let other = &hosts[1 - owner];
        let request = other.request("GET", &app.host(), "/hold");
        let mut held = request.start().await.unwrap();
        dynos[0].until_now(1).await;
        let waiting = async |count: u32| {
            wait::until("so many wait", async || {
                hosts[owner].control().app("shop").await.waiting == count
            })
            .await;
        };
        let request = other.request("GET", &app.host(), "/");
        let leaves = request.start().await.unwrap();
        waiting(1).await;
        drop(leaves);
        waiting(0).await;
        // Whoever is served and leaves has the dyno until it has finished.
        let stays = other.request("GET", &app.host(), "/").start().await;
        let mut stays = stays.unwrap();
        waiting(1).await;
        dynos[0].release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(stays.response().await.unwrap().status(), 200);
        none_had_two(&dynos).await;
        until_nothing_is_left(&hosts).await;
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn what_an_app_asks_for_can_be_changed() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 2).await;
        let (_app, dynos) = app(&hosts, settings(Exact::Unspecified), 4).await;
        let loads = start_loads(&hosts, 8, &["/sleep/1", "/"]);
        for exact in ["strict", "available", "off", "strict"] {
            // Where each host decides, one may be served before all others.
            more_of_all(&loads, 400).await;
            let set = hosts[0].ctl(&format!("app set shop --exact {exact}")).await;
            assert_eq!(set.code, 0, "{set:?}");
            assert!(
                hosts[0].ctl("app show shop").await.stdout.contains(exact),
                "it is shown"
            );
        }
        for load in &loads {
            load.more(500).await;
        }
        for report in stop_all(loads).await {
            assert_eq!(report.failures(), 0, "{report:?}");
        }
        until_nothing_is_left(&hosts).await;
        for dyno in &dynos {
            assert_eq!(dyno.figures().await.now, 0);
        }
        for host in hosts {
            host.finish().await;
        }
    });
}

#[test]
fn one_that_is_alone_decides() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let hosts = hosts(&broker.url(), &prefix, 1).await;
        let (app, dynos) = app(&hosts, settings(Exact::Strict), 1).await;
        assert_eq!(hosts[0].get(&app.host(), "/").await.status(), 200);
        none_had_two(&dynos).await;
        for host in hosts {
            host.finish().await;
        }
    });
}
