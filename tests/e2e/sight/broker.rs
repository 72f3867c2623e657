//! Requests at the broker, of apps that want it.

use std::time::Duration;

use dynomesh_proto::v1::{Settings, TapEvent, operation::Kind as Change, tap_event::Kind};
use e2e::{
    App, Mesh,
    harness::{Broker, Hand, broker, run_within, wait},
};
use lapin::message::Delivery;
use prost::Message as _;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

fn told(tap_rate: u32) -> Settings {
    Settings {
        tap_rate,
        ..Settings::default()
    }
}

/// Waits until these apps' requests are told to the broker.
async fn until_told(mesh: &Mesh, apps: &[&str]) {
    wait::until("so many are told of", async || {
        let all: Value = mesh.look("/api/overview").await.json();
        let taps = all["taps"].as_array().unwrap().iter();
        let mut names: Vec<_> = taps
            .filter(|tap| tap["for_broker"] == true)
            .map(|tap| tap["filter"]["app"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        names == apps
    })
    .await;
}

/// A request that was told, for this path.
async fn next(hand: &Hand, queue: &str, mesh: &Mesh, app: &App) -> Delivery {
    // A worker may hear of the tap only after a request has passed it.
    wait::some(Duration::from_secs(30), "a request is told", async || {
        assert_eq!(mesh.get(&app.host(), "/cart?secret").await.status(), 200);
        hand.take_whole(queue).await
    })
    .await
}

fn content(message: &Delivery) -> String {
    let kind = message.properties.content_type().as_ref();
    kind.map(ToString::to_string).unwrap_or_default()
}

#[test]
fn who_listens_at_the_broker_hears_of_requests() {
    run_within(LIMIT, async {
        let (url, prefix) = (Broker::shared().await.url(), broker::prefix());
        let mesh = Mesh::builder().web().node("n0").broker(&url, &prefix);
        let mesh = mesh.start().await;
        let hand = Hand::connect(&url).await;
        let shop = mesh.app_with("shop", told(100)).await;
        let quiet = mesh.app("quiet").await;
        let _dynos = (shop.dyno("web.1").await, quiet.dyno("web.1").await);
        until_told(&mesh, &["shop"]).await;
        let exchange = format!("{prefix}.tap");
        let queue = hand.bind(&exchange, "app.shop.request").await;
        let all = hand.bind(&exchange, "#").await;

        let message = next(&hand, &queue, &mesh, &shop).await;
        assert_eq!(content(&message), "application/json");
        let event: Value = serde_json::from_slice(&message.data).unwrap();
        let request = &event["request"];
        assert_eq!(
            (&request["app"], &request["path"]),
            (&"shop".into(), &"/cart".into())
        );
        assert_eq!(
            (&request["status"], &request["dyno"]),
            (&200.into(), &"web.1".into())
        );
        assert_eq!(
            request["choice"]["candidates"][0]["dyno"], "web.1",
            "{event}"
        );
        assert!(!String::from_utf8_lossy(&message.data).contains("secret"));

        // Nobody is told of who has not asked for it.
        while hand.take_whole(&all).await.is_some() {}
        assert_eq!(mesh.get(&quiet.host(), "/").await.status(), 200);
        next(&hand, &queue, &mesh, &shop).await;
        while let Some(message) = hand.take_whole(&all).await {
            assert!(message.routing_key.as_str().starts_with("app.shop."));
        }

        // And it ends.
        shop.apply(vec![Change::PutSettings(told(0))]).await;
        until_told(&mesh, &[]).await;
        mesh.finish().await;
    });
}

#[test]
fn it_may_be_protobuf_and_is_no_more_than_may_be() {
    const REQUESTS: u64 = 300;
    run_within(LIMIT, async {
        let (url, prefix) = (Broker::shared().await.url(), broker::prefix());
        let mesh = Mesh::builder().web().broker(&url, &prefix);
        let mesh = mesh
            .sidecar(&["--broker-tap-format", "protobuf"])
            .start()
            .await;
        let hand = Hand::connect(&url).await;
        let app = mesh.app_with("shop", told(1)).await;
        let _dyno = app.dyno("web.1").await;
        until_told(&mesh, &["shop"]).await;
        let queue = hand.bind(&format!("{prefix}.tap"), "app.shop.*").await;
        next(&hand, &queue, &mesh, &app).await;
        for _ in 0..REQUESTS {
            assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        }
        let (mut seen, mut lost) = (0, 0);
        while seen + lost < REQUESTS {
            let message = wait::some(wait::LIMIT, "all are accounted for", async || {
                hand.take_whole(&queue).await
            });
            let message = message.await;
            assert_eq!(content(&message), "application/x-protobuf");
            let event = TapEvent::decode(&*message.data).unwrap();
            match event.kind.unwrap() {
                Kind::Request(request) => seen += u64::from(request.path == "/"),
                Kind::Lost(more) => lost += more,
                Kind::Routers(_) => panic!("nobody wants to know that"),
            }
        }
        assert!(lost > seen, "{seen} {lost}");
        mesh.finish().await;
    });
}
