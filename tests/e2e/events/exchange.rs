//! Managers that know the broker alone.

use std::time::Instant;

use dynomesh_proto::v1::AppStatus;
use e2e::harness::{Hand, Program, Signal};
use lapin::{message::Delivery, types::AMQPValue};
use rustix::process::{Pid, kill_process_group};
use serde_json::{Value, json};

use super::*;

/// Three hosts, and what is needed to look into their broker.
async fn hosts<const N: usize>() -> (Vec<Mesh>, Hand, String, String) {
    let (url, prefix) = (Broker::shared().await.url(), broker::prefix());
    let meshes = meshes_at::<N>(&url, &prefix).await;
    let hand = Hand::connect(&url).await;
    (meshes, hand, url, prefix)
}

async fn until_asleep(mesh: &Mesh) {
    let asleep = |status: &AppStatus| status.app.as_ref().is_some_and(|app| app.dynos.is_empty());
    mesh.control().until_app("shop", "it sleeps", asleep).await;
}

async fn until_woken_by_requests(mesh: &Mesh) {
    let wakes = |status: &AppStatus| {
        let settings = status.app.as_ref().and_then(|app| app.settings);
        settings.unwrap_or_default().wake
    };
    mesh.control().until_app("shop", "it wakes", wakes).await;
}

/// The next message of a queue.
async fn next(hand: &Hand, queue: &str) -> Delivery {
    let limit = Duration::from_secs(15);
    wait::some(limit, "a message", async || hand.take_whole(queue).await).await
}

fn body(message: &Delivery) -> Value {
    serde_json::from_slice(&message.data).unwrap()
}

fn id(message: &Delivery) -> String {
    let id = message.properties.message_id().as_ref();
    id.map(ToString::to_string).unwrap_or_default()
}

/// Who has published it.
fn node(message: &Delivery) -> String {
    let headers = message.properties.headers().clone().unwrap_or_default();
    match headers.inner().get("x-mesh-node") {
        Some(AMQPValue::LongString(node)) => node.to_string(),
        _ => String::new(),
    }
}

#[test]
fn a_manager_without_a_sidecar_wakes_an_app_and_lets_it_sleep() {
    run_within(LIMIT, async {
        let (meshes, _hand, url, prefix) = hosts::<3>().await;
        let manager = Manager::start_at_broker(&meshes[0], &url, &prefix, PROMPT).await;
        for mesh in &meshes {
            until_woken_by_requests(mesh).await;
        }
        for mesh in &meshes {
            let start = Instant::now();
            assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
            println!("first byte after {:?}", start.elapsed());
            until_asleep(mesh).await;
        }
        assert_eq!(manager.log().matches("starting").count(), 3);
        manager.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn a_thousand_first_requests_at_three_hosts_are_one_message() {
    const EACH: u32 = 334;
    run_within(LIMIT, async {
        let (meshes, hand, url, prefix) = hosts::<3>().await;
        let deep = Settings {
            queue_depth: EACH,
            ..Settings::default()
        };
        create(&meshes, deep).await;
        let events = format!("{prefix}.events");
        let queue = hand.bind(&events, "app.shop.need_dyno").await;
        let manager = Manager::start_at_broker(&meshes[0], &url, &prefix, GATED).await;
        until_version(&meshes, 2).await;
        // What the manager does not name is as it was.
        let app = meshes[2].control().app("shop").await.app.unwrap();
        assert_eq!(app.settings.unwrap_or_default().queue_depth, EACH);
        let mut conns = crowd(&meshes, EACH).await;
        fs::write(meshes[0].dir().join("gate"), "").unwrap();
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        assert_eq!(manager.log().matches("starting").count(), 1);
        let first = next(&hand, &queue).await;
        assert_eq!(body(&first)["needDyno"]["app"], "shop");
        assert!(hand.take_whole(&queue).await.is_none());
        manager.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn a_manager_goes_on_when_the_broker_is_back() {
    run_within(Duration::from_secs(240), async {
        let mut broker = Broker::start().await;
        let mesh = mesh(&broker.url(), "mesh", 0).await;
        let apps = format!("{PROMPT}min = 1\n");
        let manager = Manager::start_at_broker(&mesh, &broker.url(), "mesh", &apps).await;
        until_woken_by_requests(&mesh).await;
        assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
        let before = manager.processes();
        broker.kill().await;
        wait::until("it notices", async || {
            manager.log().contains("trying again")
        })
        .await;
        // Nobody can be told of this now.
        let group = Pid::from_raw(before[0]).unwrap();
        kill_process_group(group, Signal::KILL).unwrap();
        wait::until("another one runs", async || {
            let now = manager.processes();
            now.len() == 1 && now != before
        })
        .await;
        broker.start_again().await;
        let fresh = |status: &AppStatus| {
            let dynos = status.app.as_ref().map(|app| app.dynos.as_slice());
            matches!(dynos, Some([dyno]) if dyno.state() == DynoState::Up)
        };
        wait::within(
            Duration::from_secs(40),
            "it is connected again",
            async || manager.log().matches("connected to the broker").count() == 2,
        )
        .await;
        until_in_sync(&mesh).await;
        mesh.control().until_app("shop", "it has one", fresh).await;
        wait::until("the new one serves", async || {
            mesh.get("shop.test", "/").await.status() == 200
        })
        .await;
        manager.finish().await;
        finish(vec![mesh]).await;
    });
}

#[test]
fn what_is_no_event_is_a_dead_letter_and_in_nobodys_way() {
    run_within(LIMIT, async {
        let (meshes, hand, url, prefix) = hosts::<1>().await;
        let manager = Manager::start_at_broker(&meshes[0], &url, &prefix, PROMPT).await;
        until_woken_by_requests(&meshes[0]).await;
        let events = format!("{prefix}.events");
        for (kind, body) in [
            ("event.v1", "{"),
            ("event.v9", "{\"idle\":{\"app\":\"shop\"}}"),
            ("event.v1", "{\"drained\":7}"),
        ] {
            hand.publish(&events, "app.shop.idle", kind, "", body).await;
        }
        assert_eq!(meshes[0].get("shop.test", "/").await.status(), 200);
        let dead = format!("{prefix}.dead");
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(next(&hand, &dead).await.data);
        }
        assert!(bodies.contains(&b"{".to_vec()), "{bodies:?}");
        until_asleep(&meshes[0]).await;
        assert_eq!(hand.waiting(&Manager::queue(&prefix)).await, 0);
        manager.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn a_manager_whose_queue_is_another_ones_says_so() {
    run_within(LIMIT, async {
        let (meshes, _hand, url, prefix) = hosts::<2>().await;
        let first = Manager::start_at_broker(&meshes[0], &url, &prefix, PROMPT).await;
        until_woken_by_requests(&meshes[0]).await;
        let (second, _) = Manager::run_at_broker(&meshes[1], &url, &prefix, PROMPT);
        wait::until("it says why it can't", async || {
            second.log().contains("somebody else listens")
        })
        .await;
        assert_eq!(meshes[1].get("shop.test", "/").await.status(), 200);
        assert_eq!(first.log().matches("starting").count(), 1);
        // It takes over when the first one ends.
        first.finish().await;
        wait::until("it is connected", async || {
            second.log().contains("connected to the broker")
        })
        .await;
        assert_eq!(meshes[1].get("shop.test", "/").await.status(), 200);
        second.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn a_need_is_published_by_another_one_when_the_first_who_did_is_gone() {
    run_within(LIMIT, async {
        let (mut meshes, hand, _url, prefix) = hosts::<2>().await;
        create(&meshes, Settings::default()).await;
        let queue = hand.bind(&format!("{prefix}.events"), "app.#").await;
        let mut conns = crowd(&meshes, 1).await;
        let first = node(&next(&hand, &queue).await);
        let (gone, other) = match first.as_str() {
            "n0" => (0, "n1"),
            _ => (1, "n0"),
        };
        meshes[gone].kill_meshd().await;
        let again = next(&hand, &queue).await;
        assert_eq!(
            (node(&again).as_str(), &body(&again)["needDyno"]["waiting"]),
            (other, &json!(1))
        );
        conns.clear();
        finish(meshes).await;
    });
}

#[test]
fn a_manager_that_is_killed_leaves_no_dyno_in_the_table() {
    run_within(LIMIT, async {
        let (meshes, _hand, url, prefix) = hosts::<2>().await;
        let with = |min: u32| format!("{PROMPT}min = {min}\nmax = 3\n");
        let count = async |count: usize| {
            let up = |status: &AppStatus| {
                let dynos = status.app.as_ref().map(|app| &app.dynos);
                dynos.is_some_and(|dynos| {
                    dynos.len() == count && dynos.iter().all(|dyno| dyno.state() == DynoState::Up)
                })
            };
            meshes[1].control().until_app("shop", "its dynos", up).await;
        };
        let mut manager = Manager::start_at_broker(&meshes[0], &url, &prefix, &with(3)).await;
        count(3).await;
        let control = meshes[1].control();
        // One that is none of its business.
        control.add_dyno("shop", "other", "127.0.0.1:1").await;
        manager.kill().await;
        let manager = Manager::start_at_broker(&meshes[0], &url, &prefix, &with(1)).await;
        count(2).await;
        let app = control.app("shop").await.app.unwrap();
        let names: Vec<_> = app.dynos.iter().map(|dyno| &*dyno.name).collect();
        assert!(
            names.contains(&"other") && names.contains(&"web.1"),
            "{names:?}"
        );
        manager.finish().await;
        finish(meshes).await;
    });
}

/// All that a manager in any language needs: a queue, and the log.
#[test]
fn a_manager_by_hand_hears_everything_and_says_all_it_has() {
    run_within(LIMIT, async {
        let (meshes, hand, _url, prefix) = hosts::<2>().await;
        let (events, route) = (format!("{prefix}.events"), format!("{prefix}.route"));
        let queue = hand.bind(&events, "app.shop.*").await;
        let dyno = Program::new("shop", "web.1").start().await;
        let say = async |number: u32, dynos: Value| {
            let manage = json!({"manage": {
                "wake": true, "idleTimeoutMs": 1_000, "scaleWaitMs": 100, "dynoLimit": 1,
                "domains": ["shop.test"], "dynoPrefix": "web.", "dynos": dynos,
            }});
            let entry = json!({"change": {"app": "shop", "operations": [manage]}});
            let (id, entry) = (format!("hand-{number}"), entry.to_string());
            hand.publish(&route, "route.app.shop", "route.entry.v1", &id, &entry)
                .await;
        };
        let one = |state: &str| json!([{"name": "web.1", "instance": "i-1", "address": dyno.address, "state": state}]);
        say(1, json!([])).await;
        until_woken_by_requests(&meshes[1]).await;
        let long = meshes[1].request("GET", "shop.test", "/sleep/1500");
        let mut conns = [long.start().await.unwrap(), long.start().await.unwrap()];
        let first = next(&hand, &queue).await;
        assert_eq!(body(&first)["needDyno"]["app"], "shop");
        assert_eq!(first.routing_key.as_str(), "app.shop.need_dyno");
        let properties = &first.properties;
        let text = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
        assert_eq!(text(properties.content_type()), "application/json");
        assert_eq!(text(properties.kind()), "event.v1");
        // Nobody started one.
        let second = next(&hand, &queue).await;
        assert_eq!(second.routing_key.as_str(), "app.shop.need_dyno");
        assert_ne!(id(&second), id(&first));
        say(2, one("DYNO_STATE_UP")).await;
        let hint = next(&hand, &queue).await;
        assert_eq!(hint.routing_key.as_str(), "app.shop.scale");
        assert_eq!(body(&hint)["scale"]["wanted"], 2, "{}", body(&hint));
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        let after = |what: &'static str| {
            let (hand, queue) = (&hand, &queue);
            async move {
                loop {
                    let message = next(hand, queue).await;
                    match message.routing_key.as_str() {
                        "app.shop.scale" if what != "scale" => {}
                        key => {
                            assert_eq!(key, format!("app.shop.{what}"));
                            return body(&message);
                        }
                    }
                }
            }
        };
        assert_eq!(after("idle").await, json!({"idle": {"app": "shop"}}));
        say(3, one("DYNO_STATE_DRAINING")).await;
        let drained = json!({"app": "shop", "dyno": "web.1", "instance": "i-1"});
        assert_eq!(after("drained").await, json!({"drained": drained}));
        say(4, json!([])).await;
        until_asleep(&meshes[0]).await;
        finish(meshes).await;
    });
}
