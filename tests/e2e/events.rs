//! Dyno managers where several sidecars, each with an Nginx of its own, share one
//! route log.

mod exchange;

use std::{fs, time::Duration};

use dynomesh_proto::v1::{Dyno, DynoState, PutDyno, Settings, event, operation::Kind};
use e2e::{
    Mesh,
    client::Conn,
    harness::{Broker, Control, Events, Manager, Proxy, broker, run_within, wait},
};

const LIMIT: Duration = Duration::from_secs(150);

/// So many, in step with a log of their own.
async fn meshes<const N: usize>() -> Vec<Mesh> {
    meshes_at::<N>(&Broker::shared().await.url(), &broker::prefix()).await
}

async fn meshes_at<const N: usize>(url: &str, prefix: &str) -> Vec<Mesh> {
    let mut meshes = Vec::new();
    for number in 0..N {
        meshes.push(mesh(url, prefix, number).await);
    }
    meshes
}

async fn mesh(url: &str, prefix: &str, number: usize) -> Mesh {
    let mesh = Mesh::builder().node(&format!("n{number}"));
    let mesh = mesh.broker(url, prefix).start().await;
    until_in_sync(&mesh).await;
    mesh
}

async fn until_in_sync(mesh: &Mesh) {
    wait::until("it is in sync", async || {
        let status = mesh.control().status().await;
        status.log.is_some_and(|log| log.problem.is_empty())
    })
    .await;
}

/// An app that requests may wake, known at every sidecar.
async fn create(meshes: &[Mesh], settings: Settings) {
    let wake = Settings {
        wake: true,
        ..settings
    };
    let version = meshes[0]
        .control()
        .create_app("shop", wake, &["shop.test"])
        .await;
    until_version(meshes, version).await;
}

async fn until_version(meshes: &[Mesh], version: u64) {
    for mesh in meshes {
        mesh.control()
            .until_app("shop", "it is new", |status| {
                status
                    .app
                    .as_ref()
                    .is_some_and(|app| app.version >= version)
            })
            .await;
    }
}

/// Requests under way, so many at each, all of them waiting.
async fn crowd(meshes: &[Mesh], each: u32) -> Vec<Conn> {
    let mut requests = tokio::task::JoinSet::new();
    for mesh in meshes {
        for _ in 0..each {
            let request = mesh.request("GET", "shop.test", "/");
            requests.spawn(async move { request.start().await.unwrap() });
        }
    }
    let conns = requests.join_all().await;
    for mesh in meshes {
        mesh.control().until_load("shop", 0, each).await;
    }
    conns
}

/// Puts a dyno that is this far.
async fn put(control: &Control, address: &str, state: DynoState) -> u64 {
    let dyno = Dyno {
        name: "web.1".to_owned(),
        address: address.to_owned(),
        state: state.into(),
        ..Dyno::default()
    };
    let put = PutDyno {
        dyno: Some(dyno),
        takeover: false,
    };
    control.apply("shop", vec![Kind::PutDyno(put)]).await
}

/// How many of these events come before the app is in maintenance.
async fn count(events: &mut Events, pick: impl Fn(&event::Kind) -> bool) -> u32 {
    let mut count = 0;
    loop {
        let kind = events.next(Some).await;
        match &kind {
            event::Kind::Changed(change) if is_maintenance(change) => return count,
            kind => count += u32::from(pick(kind)),
        }
    }
}

fn is_maintenance(change: &dynomesh_proto::v1::Change) -> bool {
    let mut kinds = change.operations.iter().filter_map(|op| op.kind.as_ref());
    kinds.any(|kind| matches!(kind, Kind::SetMaintenance(true)))
}

async fn finish(meshes: Vec<Mesh>) {
    for mesh in meshes {
        mesh.finish().await;
    }
}

/// It comes up when the test says so.
const GATED: &str = "
[apps.shop]
command = ['sh', '-c', 'until [ -e DIR/gate ]; do sleep 0.01; done; exec SAMPLE --app shop']
scale_wait = 'never'
limit = 10
";

#[test]
fn a_thousand_first_requests_at_three_hosts_start_one_dyno() {
    const EACH: u32 = 334;
    run_within(LIMIT, async {
        let meshes = meshes::<3>().await;
        let deep = Settings {
            queue_depth: EACH,
            ..Settings::default()
        };
        create(&meshes, deep).await;
        // It has to set some of the app's settings first.
        let manager = Manager::start(&meshes[0], GATED).await;
        until_version(&meshes, 2).await;
        let mut watches = Vec::new();
        for mesh in &meshes {
            watches.push(mesh.control().watch("shop").await);
        }
        let mut conns = crowd(&meshes, EACH).await;
        fs::write(meshes[0].dir().join("gate"), "").unwrap();
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        assert_eq!(manager.log().matches("starting").count(), 1);
        meshes[1].control().set_maintenance("shop").await;
        for events in &mut watches {
            let need = |kind: &event::Kind| matches!(kind, event::Kind::NeedDyno(_));
            assert_eq!(count(events, need).await, 1);
        }
        manager.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn a_need_is_told_to_who_comes_later_and_again_if_nothing_comes_of_it() {
    run_within(LIMIT, async {
        let meshes = meshes::<2>().await;
        create(&meshes, Settings::default()).await;
        let mut conns = crowd(&meshes[..1], 1).await;
        let need = |kind| match kind {
            event::Kind::NeedDyno(need) => Some(need.waiting),
            _ => None,
        };
        let mut events = meshes[1].control().watch("shop").await;
        assert_eq!(events.next(need).await, 1);
        let mut late = meshes[1].control().watch("shop").await;
        assert_eq!(late.next(need).await, 1);
        // Nobody started one.
        assert_eq!(events.next(need).await, 1);
        put(meshes[1].control(), "127.0.0.1:1", DynoState::Starting).await;
        // A start that came to nothing is another episode.
        meshes[1]
            .control()
            .apply("shop", vec![Kind::RemoveDyno("web.1".to_owned())])
            .await;
        assert_eq!(events.next(need).await, 1);
        conns.clear();
        finish(meshes).await;
    });
}

#[test]
fn who_needs_a_dyno_too_is_heard_when_the_first_who_did_is_gone() {
    run_within(LIMIT, async {
        let mut meshes = meshes::<3>().await;
        create(&meshes, Settings::default()).await;
        let mut first = crowd(&meshes[..1], 1).await;
        // Whether or not it got to say so, nobody has heard it here.
        meshes[0].kill_meshd().await;
        let mut conns = crowd(&meshes[1..2], 1).await;
        let mut events = meshes[2].control().watch("shop").await;
        let app = events
            .next(|kind| match kind {
                event::Kind::NeedDyno(need) => Some(need.app),
                _ => None,
            })
            .await;
        assert_eq!(app, "shop");
        conns.clear();
        first.clear();
        finish(meshes).await;
    });
}

#[test]
fn an_app_is_idle_when_it_is_so_at_every_host() {
    run_within(LIMIT, async {
        let meshes = meshes::<3>().await;
        let idle = Settings {
            idle_timeout_ms: 1_000,
            dyno_limit: 5,
            ..Settings::default()
        };
        create(&meshes, idle).await;
        let dyno = e2e::harness::Program::new("shop", "web.1").start().await;
        let mut events = meshes[0].control().watch("shop").await;
        let version = put(meshes[0].control(), &dyno.address, DynoState::Up).await;
        until_version(&meshes, version).await;
        // One host has a request that takes three times as long as the others are
        // idle for.
        let long = meshes[2].request("GET", "shop.test", "/sleep/4000");
        let mut conn = long.start().await.unwrap();
        meshes[2].control().until_load("shop", 1, 0).await;
        {
            let mut idle = std::pin::pin!(events.next(|kind| match kind {
                event::Kind::Idle(idle) => Some(idle.app),
                _ => None,
            }));
            tokio::select! {
                biased;
                answer = conn.response() => assert_eq!(answer.unwrap().status(), 200),
                _ = &mut idle => panic!("it was said to be idle"),
            }
            assert_eq!(idle.await, "shop");
        }
        // Once.
        meshes[1].control().set_maintenance("shop").await;
        let idle = |kind: &event::Kind| matches!(kind, event::Kind::Idle(_));
        assert_eq!(count(&mut events, idle).await, 0);
        finish(meshes).await;
    });
}

#[test]
fn a_dyno_has_drained_when_no_host_has_a_request_on_it() {
    run_within(LIMIT, async {
        let meshes = meshes::<2>().await;
        create(&meshes, Settings::default()).await;
        let dyno = e2e::harness::Program::new("shop", "web.1").start().await;
        let mut events = meshes[0].control().watch("shop").await;
        let version = put(meshes[0].control(), &dyno.address, DynoState::Up).await;
        until_version(&meshes, version).await;
        let long = meshes[1].request("GET", "shop.test", "/sleep/4000");
        let mut conn = long.start().await.unwrap();
        meshes[1].control().until_load("shop", 1, 0).await;
        meshes[0]
            .control()
            .set_state("shop", "web.1", DynoState::Draining)
            .await;
        let mut drained = std::pin::pin!(events.next(|kind| match kind {
            event::Kind::Drained(drained) => Some(drained.dyno),
            _ => None,
        }));
        tokio::select! {
            biased;
            answer = conn.response() => assert_eq!(answer.unwrap().status(), 200),
            _ = &mut drained => panic!("it was said to have drained"),
        }
        assert_eq!(drained.await, "web.1");
        finish(meshes).await;
    });
}

/// A dyno at once, and asleep soon.
const PROMPT: &str = "
[apps.shop]
command = ['SAMPLE', '--app', 'shop']
domains = ['shop.test']
idle_timeout = '1s'
";

#[test]
fn a_manager_wakes_what_is_asked_for_elsewhere_and_lets_it_sleep() {
    run_within(LIMIT, async {
        let meshes = meshes::<2>().await;
        let manager = Manager::start(&meshes[0], PROMPT).await;
        wait::until("the app is there", async || {
            meshes[1].control().try_app("shop").await.is_ok()
        })
        .await;
        for _ in 0..2 {
            assert_eq!(meshes[1].get("shop.test", "/").await.status(), 200);
            meshes[1]
                .control()
                .until_app("shop", "it sleeps", |status| {
                    status.app.as_ref().is_some_and(|app| app.dynos.is_empty())
                })
                .await;
        }
        assert_eq!(manager.log().matches("starting").count(), 2);
        manager.finish().await;
        finish(meshes).await;
    });
}

#[test]
fn what_is_needed_while_the_broker_is_away_is_told_here_and_served_afterwards() {
    run_within(LIMIT, async {
        let prefix = broker::prefix();
        let wire = Proxy::start(Broker::shared().await.port()).await;
        let mesh = mesh(&broker::url(wire.port()), &prefix, 0).await;
        let manager = Manager::start(&mesh, PROMPT).await;
        wait::until("the app is there", async || {
            mesh.control().try_app("shop").await.is_ok()
        })
        .await;
        wire.cut();
        wait::until("it is away", async || {
            let log = mesh.control().status().await.log.unwrap();
            !log.problem.is_empty()
        })
        .await;
        let mut conn = mesh.request("GET", "shop.test", "/").start().await.unwrap();
        // It is started, and nobody can be told.
        wait::until("its process runs", async || manager.processes().len() == 1).await;
        mesh.control().until_load("shop", 0, 1).await;
        assert!(
            mesh.control()
                .app("shop")
                .await
                .app
                .unwrap()
                .dynos
                .is_empty()
        );
        wire.mend();
        assert_eq!(conn.response().await.unwrap().status(), 200);
        manager.finish().await;
        finish(vec![mesh]).await;
    });
}
