//! What one host does is load for the others.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::{DynoRequests, LoadReport, LoadStatus, Policy, Settings};
use e2e::{
    Mesh,
    harness::{Broker, Control, Hand, broker, run_within, wait},
};
use lapin::BasicProperties;
use prost::Message as _;

use super::{create, sidecars};

const LIMIT: Duration = Duration::from_secs(150);
/// Who is not heard for so long has no requests.
const GONE_WITHIN: Duration = Duration::from_secs(2);

fn least_load() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

/// What others do at each dyno of `shop`.
async fn elsewhere(at: &Control) -> Vec<u32> {
    let status = at.app("shop").await;
    status.dynos.iter().map(|dyno| dyno.elsewhere).collect()
}

async fn until_elsewhere(at: &Control, wanted: &[u32]) {
    let what = format!("{wanted:?} elsewhere");
    wait::until(&what, async || elsewhere(at).await == wanted).await;
}

async fn load_status(at: &Control) -> LoadStatus {
    at.status().await.load.expect("it shares load")
}

/// Two hosts, and the broker's name for what they share.
async fn hosts(url: &str, prefix: &str) -> (Mesh, Mesh) {
    let builder = |node: &str| Mesh::builder().broker(url, prefix).node(node);
    let (near, far) = (builder("near").start().await, builder("far").start().await);
    for host in [&near, &far] {
        wait::until("it sees the other one", async || {
            let nodes = load_status(host.control()).await.nodes;
            nodes.len() == 1 && nodes[0].in_step
        })
        .await;
    }
    (near, far)
}

#[test]
fn the_least_loaded_dyno_is_so_for_both_hosts() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let (near, far) = hosts(&broker.url(), &prefix).await;
        let app = near.app_with("shop", least_load()).await;
        let dynos = app.dynos(2).await;
        far.control()
            .until_app("shop", "has its dynos", |status| status.dynos.len() == 2)
            .await;
        let slow = near.request("GET", &app.host(), "/hold");
        let mut slow = slow.start().await.unwrap();
        app.until_load(1, 0).await;
        let loads = app.status().await.dynos;
        let busy = loads.iter().position(|dyno| dyno.load == 1).unwrap();
        let wanted = if busy == 0 { [1, 0] } else { [0, 1] };
        until_elsewhere(far.control(), &wanted).await;
        // By chance it would be half of them.
        for _ in 0..20 {
            assert_eq!(far.get(&app.host(), "/").await.status(), 200);
        }
        let figures = (
            dynos[busy].figures().await.total,
            dynos[1 - busy].figures().await.total,
        );
        assert_eq!(figures, (1, 20));
        let shown = far.ctl("app show shop").await.stdout;
        assert!(shown.contains("ELSEWHERE"), "{shown}");
        let told = far.ctl("status").await.stdout;
        assert!(told.contains("1 in sight"), "{told}");
        assert!(told.contains("near: heard"), "{told}");
        let json = far.ctl("status --json").await.stdout;
        assert!(json.contains("\"ageMs\""), "{json}");
        dynos[busy].release().await;
        assert_eq!(slow.response().await.unwrap().status(), 200);
        until_elsewhere(far.control(), &[0, 0]).await;
        near.finish().await;
        far.finish().await;
    });
}

#[test]
fn who_waits_for_another_hosts_request_is_served_when_it_ends_or_its_host_is_gone() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let (mut near, far) = hosts(&broker.url(), &prefix).await;
        let app = near.app("shop").await;
        let dyno = app.dyno("web.1").await;
        far.control()
            .until_app("shop", "has its dyno", |status| status.dynos.len() == 1)
            .await;
        let far_load = async |load, waiting| far.control().until_load("shop", load, waiting).await;

        // One request at a time, for both together.
        let first = near.request("GET", &app.host(), "/hold");
        let mut first = first.start().await.unwrap();
        until_elsewhere(far.control(), &[1]).await;
        let second = far.request("GET", &app.host(), "/");
        let mut second = second.start().await.unwrap();
        far_load(0, 1).await;
        dyno.release().await;
        assert_eq!(first.response().await.unwrap().status(), 200);
        assert_eq!(second.response().await.unwrap().status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);

        // A host that is killed has no requests any more.
        let first = near.request("GET", &app.host(), "/hold");
        let _first = first.start().await.unwrap();
        until_elsewhere(far.control(), &[1]).await;
        let second = far.request("GET", &app.host(), "/");
        let mut second = second.start().await.unwrap();
        far_load(0, 1).await;
        near.kill_meshd().await;
        let killed = Instant::now();
        assert_eq!(second.response().await.unwrap().status(), 200);
        let took = killed.elapsed();
        assert!(took < GONE_WITHIN, "{took:?}");
        assert!(
            took > GONE_WITHIN / 4,
            "it was not given up at once: {took:?}"
        );
        assert!(load_status(far.control()).await.nodes.is_empty());
        // When it is back it says what its workers hold.
        near.start_meshd().await;
        until_elsewhere(far.control(), &[1]).await;
        dyno.release().await;
        until_elsewhere(far.control(), &[0]).await;
        near.finish().await;
        far.finish().await;
    });
}

#[test]
fn after_a_broker_was_away_everything_is_told_again() {
    run_within(LIMIT, async {
        let mut broker = Broker::start().await;
        let (near, far) = hosts(&broker.url(), "mesh").await;
        let app = near.app_with("shop", least_load()).await;
        let dyno = app.dyno("web.1").await;
        far.control()
            .until_app("shop", "has its dyno", |status| status.dynos.len() == 1)
            .await;
        let slow = near.request("GET", &app.host(), "/hold");
        let mut slow = slow.start().await.unwrap();
        until_elsewhere(far.control(), &[1]).await;
        broker.kill().await;
        wait::within(GONE_WITHIN, "nobody is in sight", async || {
            let load = load_status(far.control()).await;
            load.nodes.is_empty() && !load.problem.is_empty()
        })
        .await;
        assert_eq!(elsewhere(far.control()).await, [0]);
        assert_eq!(far.get(&app.host(), "/").await.status(), 200);
        // Nobody is told of this one's beginning.
        let more = near.request("GET", &app.host(), "/hold");
        let mut more = more.start().await.unwrap();
        app.until_load(2, 0).await;

        broker.start_again().await;
        wait::within(Duration::from_secs(40), "both are known", async || {
            elsewhere(far.control()).await == [2]
        })
        .await;
        assert_eq!(load_status(far.control()).await.problem, "");
        dyno.release().await;
        assert_eq!(slow.response().await.unwrap().status(), 200);
        assert_eq!(more.response().await.unwrap().status(), 200);
        until_elsewhere(far.control(), &[0]).await;
        near.finish().await;
        far.finish().await;
    });
}

/// A message as another sidecar sends it.
fn report(seq: u64, part: u32, in_flight: u32, instance: &str) -> Vec<u8> {
    let report = LoadReport {
        node: 7,
        name: "hand".to_owned(),
        epoch: 1,
        seq,
        part,
        parts: part,
        dynos: vec![DynoRequests {
            instance: instance.to_owned(),
            in_flight,
        }],
    };
    report.encode_to_vec()
}

#[test]
fn what_is_missing_is_waited_for_and_what_is_no_message_is_skipped() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<1>().await;
        let at = all[0].control();
        create(&all[0], "shop").await;
        at.add_dyno("shop", "web.1", "127.0.0.1:5001").await;
        let instance = at.app("shop").await.app.unwrap().dynos[0].instance.clone();
        let hand = Hand::connect(&broker.url()).await;
        let send = async |kind: &str, body: &[u8]| {
            let properties = BasicProperties::default()
                .with_content_type("application/x-protobuf".into())
                .with_type(kind.into());
            let exchange = format!("{prefix}.load");
            hand.publish_with(&exchange, "", properties, body).await;
        };
        let kind = "load.report.v1";
        wait::until("load is shared", async || {
            load_status(at).await.problem.is_empty()
        })
        .await;
        let until = async |taken, out_of_step, ignored, skipped| {
            let what = format!("{taken} {out_of_step} {ignored} {skipped} messages");
            wait::until(&what, async || {
                let load = load_status(at).await;
                let counted = (load.taken, load.out_of_step, load.ignored, load.skipped);
                counted == (taken, out_of_step, ignored, skipped)
            })
            .await;
        };
        // Changes of somebody of whom nothing is known.
        send(kind, &report(4, 0, 9, &instance)).await;
        until(0, 1, 0, 0).await;
        assert_eq!(elsewhere(at).await, [0]);
        send(kind, &report(5, 1, 2, &instance)).await;
        until(1, 1, 0, 0).await;
        assert_eq!(elsewhere(at).await, [2]);
        // The one before it is lost.
        send(kind, &report(7, 0, 5, &instance)).await;
        send(kind, &report(8, 0, 6, &instance)).await;
        send(kind, &report(6, 0, 4, &instance)).await;
        send(kind, b"\xff\0").await;
        send("load.report.v9", &report(9, 1, 3, &instance)).await;
        until(1, 3, 1, 2).await;
        assert_eq!(elsewhere(at).await, [2]);
        send(kind, &report(9, 1, 3, &instance)).await;
        until(2, 3, 1, 2).await;
        assert_eq!(elsewhere(at).await, [3]);
        // It says nothing more.
        let told = Instant::now();
        wait::within(GONE_WITHIN, "it is given up", async || {
            elsewhere(at).await == [0]
        })
        .await;
        assert!(told.elapsed() > Duration::from_secs(1));
    });
}
