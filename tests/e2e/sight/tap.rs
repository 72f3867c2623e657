//! Requests as they end.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{
    LeaseKind, Policy, Settings, TapEvent, TapFilter, TappedRequest, tap_event::Kind,
};
use e2e::{
    App, Mesh,
    harness::{run, run_within, wait},
    load::{self, Options},
};
use tonic::{Code, Streaming};

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

fn all(app: &App) -> TapFilter {
    TapFilter {
        app: app.name.clone(),
        per_second: 100_000,
        ..TapFilter::default()
    }
}

/// A tap, and what came of it.
struct Tap(Streaming<TapEvent>);

impl Tap {
    /// Opens one, and waits until every worker knows it.
    async fn open(mesh: &Mesh, app: &App, filter: TapFilter) -> Self {
        let mut tap = Self(mesh.control().tap(filter).await.unwrap());
        let Kind::Routers(routers) = tap.next().await else {
            panic!("it does not say of how many routers");
        };
        // An answer comes after whatever the sidecar said before, and each worker has to
        // ask for one of these.
        let workers = mesh.nginx.workers().len();
        assert_eq!(routers as usize, workers);
        let mut seen = HashSet::new();
        while seen.len() < workers {
            let id = format!("probe-{}", rand::random::<u64>());
            let probe = mesh.request("GET", &app.host(), "/status/503").id(&id);
            assert_eq!(probe.send().await.status(), 503);
            let lease = mesh.logged(&id).await.lease;
            seen.insert(lease.split('-').next().unwrap().to_owned());
        }
        tap
    }

    async fn next(&mut self) -> Kind {
        let event = tokio::time::timeout(wait::LIMIT, self.0.message()).await;
        let event = event.expect("something comes").expect("the tap goes on");
        event
            .expect("the tap goes on")
            .kind
            .expect("a kind that is known")
    }

    /// The next one for this path.
    async fn request(&mut self, path: &str) -> TappedRequest {
        loop {
            match self.next().await {
                Kind::Request(request) if request.path == path => return request,
                Kind::Request(_) => {}
                other => panic!("{other:?} is no request"),
            }
        }
    }
}

async fn load(mesh: &Mesh, app: &App, target: &str, requests: u64) {
    let report = load::run(Options {
        connections: 16,
        requests: Some(requests),
        targets: vec![target.to_owned()],
        ..Options::new(mesh.nginx.address, &app.host())
    })
    .await;
    assert_eq!(
        (report.requests, report.failures()),
        (requests, 0),
        "{report:?}"
    );
}

#[test]
fn who_waits_has_the_lease_of_one_that_ends() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        let mut tap = Tap::open(&mesh, &app, all(&app)).await;
        load(&mesh, &app, "/sleep/2", 500).await;
        let (mut leases, mut handed_on) = (HashSet::new(), 0);
        for _ in 0..500 {
            let seen = tap.request("/sleep/2").await;
            assert_eq!((seen.status, seen.attempts), (200, 1), "{seen:?}");
            handed_on += u32::from(seen.lease_kind() == LeaseKind::HandedOn);
            assert!(leases.insert(seen.lease), "it is seen twice");
        }
        // Fifteen wait at any time, all at one router.
        assert!(handed_on > 400, "{handed_on} of 500");
        let counters = app.status().await.counters.unwrap();
        assert!(counters.queued > 400, "{counters:?}");
        let figures = dyno.figures().await;
        assert_eq!((figures.max, figures.double_bookings), (1, 0));
        drop(tap);
        mesh.finish().await;
    });
}

#[test]
fn each_request_is_seen_once() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(3).await;
        let mut tap = Tap::open(&mesh, &app, all(&app)).await;
        load(&mesh, &app, "/body/7?secret=1", 1_000).await;
        let (mut leases, mut kinds) = (HashSet::new(), HashSet::new());
        for _ in 0..1_000 {
            let seen = tap.request("/body/7").await;
            assert_eq!((seen.status, &*seen.method, &*seen.error), (200, "GET", ""));
            assert_eq!((&*seen.app, seen.attempts), ("shop", 1));
            assert!(seen.dyno.starts_with("web."), "{seen:?}");
            assert!(
                seen.bytes_sent > 7 && seen.response_ms.is_some(),
                "{seen:?}"
            );
            let asked = seen.lease_kind() == LeaseKind::Asked;
            assert_eq!(asked, seen.choice.is_some(), "{seen:?}");
            kinds.insert(seen.lease_kind());
            assert!(leases.insert(seen.lease), "it is seen twice");
        }
        assert!(!kinds.contains(&LeaseKind::Unspecified), "{kinds:?}");
        // And no more than these.
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        assert_eq!(tap.request("/").await.status, 200);
        drop(tap);
        mesh.finish().await;
    });
}

#[test]
fn the_choice_is_told() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        let dynos = app.dynos(2).await;
        let mut tap = Tap::open(&mesh, &app, all(&app)).await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        app.until_load(1, 0).await;
        let answer = mesh
            .request("POST", &app.host(), "/echo?x")
            .body("secret")
            .send()
            .await;
        let (free, busy) = match answer.dyno() {
            "web.1" => ("web.1", "web.2"),
            _ => ("web.2", "web.1"),
        };
        let seen = tap.request("/echo").await;
        assert_eq!((&*seen.dyno, &*seen.method), (free, "POST"));
        assert!(seen.bytes_received > 6, "{seen:?}");
        let choice = seen.choice.expect("the sidecar chose");
        let candidates = choice.candidates.iter();
        let candidates: Vec<_> = candidates.map(|c| (&*c.dyno, c.load, c.limit)).collect();
        assert_eq!(candidates, [(free, 0, 1), (busy, 1, 1)]);
        assert_eq!((choice.up, choice.waiting), (2, 0));
        for dyno in &dynos {
            dyno.release().await;
        }
        assert_eq!(held.response().await.unwrap().status(), 200);
        drop(tap);
        mesh.finish().await;
    });
}

#[test]
fn only_what_is_asked_for() {
    run(async {
        let mesh = Mesh::builder()
            .location("proxy_read_timeout 300ms;")
            .start()
            .await;
        let app = mesh.app_with("shop", open()).await;
        let _dyno = app.dyno("web.1").await;
        let other = mesh.app("other").await;
        let mut broken = Tap::open(
            &mesh,
            &app,
            TapFilter {
                status: 5,
                ..all(&app)
            },
        )
        .await;
        let mut late = Tap::open(
            &mesh,
            &app,
            TapFilter {
                error: "H12".into(),
                ..all(&app)
            },
        )
        .await;
        let mut slow = Tap::open(
            &mesh,
            &app,
            TapFilter {
                slow_ms: 100,
                ..all(&app)
            },
        )
        .await;
        for target in ["/", "/status/404", "/sleep/120", "/hang"] {
            mesh.get(&app.host(), target).await;
        }
        mesh.get(&other.host(), "/").await;
        let seen = slow.request("/sleep/120").await;
        assert!(
            (100..1_000).contains(&seen.first_byte_ms.unwrap()),
            "{seen:?}"
        );
        for tap in [&mut broken, &mut late, &mut slow] {
            let seen = tap.request("/hang").await;
            assert_eq!((seen.status, &*seen.error), (503, "H12"));
        }
        // Nothing else came: the next is the next.
        mesh.get(&app.host(), "/hang?again").await;
        for tap in [&mut broken, &mut late, &mut slow] {
            let Kind::Request(seen) = tap.next().await else {
                panic!("no request")
            };
            assert_eq!(seen.path, "/hang");
        }
        drop((broken, late, slow));
        mesh.finish().await;
    });
}

#[test]
fn who_looks_too_slowly_loses_and_is_told() {
    run_within(Duration::from_secs(90), async {
        const REQUESTS: u64 = 30_000;
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(2).await;
        let mut tap = Tap::open(&mesh, &app, all(&app)).await;
        load(&mesh, &app, "/body/1", REQUESTS).await;
        let (mut seen, mut lost) = (0, 0);
        while seen + lost < REQUESTS {
            match tap.next().await {
                Kind::Request(request) => seen += u64::from(request.path == "/body/1"),
                Kind::Lost(more) => lost += more,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen + lost, REQUESTS);
        assert!(lost > 0 && seen > 1_000, "{seen} {lost}");
        drop(tap);
        mesh.finish().await;
    });
}

#[test]
fn no_more_are_told_than_may_be() {
    run(async {
        const REQUESTS: u64 = 3_000;
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(2).await;
        let few = TapFilter {
            per_second: 40,
            path: "/body/".into(),
            ..all(&app)
        };
        let mut tap = Tap::open(&mesh, &app, few).await;
        let began = Instant::now();
        load(&mesh, &app, "/body/1", REQUESTS).await;
        let (mut seen, mut lost) = (0, 0);
        while seen + lost < REQUESTS {
            match tap.next().await {
                Kind::Request(request) => {
                    assert_eq!(request.path, "/body/1");
                    seen += 1;
                }
                Kind::Lost(more) => lost += more,
                other @ Kind::Routers(_) => panic!("{other:?}"),
            }
        }
        // A second's worth at once, and what has come by since.
        let most = 40 + began.elapsed().as_millis() as u64 * 40 / 1_000 + 2;
        assert!((1..=most).contains(&seen), "{seen} of {most}");
        drop(tap);
        mesh.finish().await;
    });
}

#[test]
fn there_is_an_end_to_taps() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        let mut taps = Vec::new();
        for _ in 0..8 {
            taps.push(mesh.control().tap(all(&app)).await.unwrap());
        }
        let refused = mesh.control().tap(all(&app)).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        let unknown = TapFilter {
            app: "nobody".into(),
            ..TapFilter::default()
        };
        let refused = mesh.control().tap(unknown).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        let odd = TapFilter {
            status: 7,
            ..all(&app)
        };
        let refused = mesh.control().tap(odd).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        // The sidecar notices that one has left.
        taps.pop();
        wait::until("there is room for another one", async || {
            mesh.control().tap(all(&app)).await.is_ok()
        })
        .await;
        drop(taps);
        mesh.finish().await;
    });
}
