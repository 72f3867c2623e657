//! Which app, and which of its dynos.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{Policy, Settings, operation::Kind};
use e2e::{
    Mesh,
    client::{Conn, h2},
    harness::{Program, run},
    load::{self, Options},
};

use crate::echo::Echo;

fn policy(policy: Policy) -> Settings {
    Settings {
        policy: policy.into(),
        ..Settings::default()
    }
}

#[test]
fn the_name_decides() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, blog) = (mesh.app("shop").await, mesh.app("blog").await);
        let _dynos = (shop.dyno("web.1").await, blog.dyno("web.1").await);
        for host in [
            "shop.test",
            "SHOP.Test",
            "shop.test:8080",
            "shop.test.",
            "Shop.Test.:80",
        ] {
            let seen = Echo::of(&mesh.get(host, "/echo").await);
            assert_eq!(seen.app, "shop", "{host}");
        }
        let seen = Echo::of(&mesh.get("blog.test", "/echo").await);
        assert_eq!(seen.app, "blog");
        mesh.finish().await;
    });
}

#[test]
fn an_unknown_name_is_not_found() {
    run(async {
        let (mesh, _shop, dyno) = Mesh::with_dyno().await;
        for host in [
            "other.test",
            "www.shop.test",
            "test",
            "127.0.0.1",
            "shop.tes",
        ] {
            let answer = mesh.get(host, "/").await;
            assert_eq!(answer.status(), 404, "{host}");
        }
        assert_eq!(dyno.figures().await.total, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_wildcard_yields_to_an_exact_name() {
    run(async {
        let mesh = Mesh::start().await;
        let (many, one) = (mesh.app("many").await, mesh.app("one").await);
        many.add_domain("*.wild.test").await;
        one.add_domain("www.wild.test").await;
        let _dynos = (many.dyno("web.1").await, one.dyno("web.1").await);
        for (host, app) in [
            ("a.wild.test", "many"),
            ("B.Wild.Test:80", "many"),
            ("www.wild.test", "one"),
        ] {
            let seen = Echo::of(&mesh.get(host, "/echo").await);
            assert_eq!(seen.app, app, "{host}");
        }
        assert_eq!(mesh.get("wild.test", "/").await.status(), 404);
        mesh.finish().await;
    });
}

#[test]
fn a_change_is_in_effect_when_it_returns() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let (old, new) = (mesh.app("old").await, mesh.app("new").await);
        let _dynos = (old.dyno("web.1").await, new.dyno("web.1").await);
        let (mut from, mut to) = (&old, &new);
        from.add_domain("moves.test").await;
        for _ in 0..20 {
            let seen = Echo::of(&mesh.get("moves.test", "/echo").await);
            assert_eq!(seen.app, from.name);
            from.apply(vec![Kind::RemoveDomain("moves.test".to_owned())])
                .await;
            assert_eq!(mesh.get("moves.test", "/").await.status(), 404);
            to.add_domain("moves.test").await;
            (from, to) = (to, from);
        }
        mesh.finish().await;
    });
}

/// A busy app without limits has leases ahead in every worker, and they are of no
/// use any more when its dynos change.
#[test]
fn a_change_is_in_effect_also_where_leases_are_ahead() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("busy", policy(Policy::LeastLoad)).await;
        let dynos = app.dynos(3).await;
        let crowd = load::run(Options {
            connections: 16,
            duration: Some(Duration::from_secs(3)),
            ..Options::new(mesh.nginx.address, &app.host())
        });
        let changes = async {
            let start = Instant::now();
            let mut changes = 0;
            while start.elapsed() < Duration::from_secs(2) {
                let gone = &dynos[changes % 3];
                app.remove(&gone.name).await;
                for _ in 0..6 {
                    let seen = Echo::of(&mesh.get(&app.host(), "/echo").await);
                    assert_ne!(seen.dyno, gone.name);
                }
                app.register(&gone.name, &gone.address).await;
                changes += 1;
            }
            changes
        };
        let (report, changes) = tokio::join!(crowd, changes);
        assert!(changes >= 10, "{changes} changes");
        assert_eq!(report.failures(), 0, "{report:?}");
        assert!(report.requests > 1_000, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn random_is_uniform() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("random", policy(Policy::Random)).await;
        let dynos = app.dynos(4).await;
        let report = load::run(Options {
            connections: 4,
            requests: Some(2_000),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.failures(), 0, "{report:?}");
        for dyno in &dynos {
            // 500 expected; 5 standard deviations are 97.
            let total = dyno.figures().await.total;
            assert!((400..=600).contains(&total), "{} got {total}", dyno.name);
        }
        mesh.finish().await;
    });
}

#[test]
fn ties_are_broken_at_random() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("least", policy(Policy::LeastLoad)).await;
        let _dynos = app.dynos(4).await;
        let mut counts = BTreeMap::<String, u32>::new();
        for _ in 0..400 {
            let answer = mesh.get(&app.host(), "/").await;
            *counts.entry(answer.dyno().to_owned()).or_default() += 1;
        }
        // 100 expected; 5 standard deviations are 43.
        assert_eq!(counts.len(), 4, "{counts:?}");
        assert!(
            counts.values().all(|count| (57..=143).contains(count)),
            "{counts:?}"
        );
        mesh.finish().await;
    });
}

#[test]
fn the_least_loaded_dyno_gets_the_next_request() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        // With a limit that is near, no worker reserves dynos for what may come: there are
        // three requests in a millisecond here, at times.
        let settings = Settings {
            dyno_limit: 10,
            ..policy(Policy::LeastLoad)
        };
        let app = mesh.app_with("least", settings).await;
        let dynos = app.dynos(2).await;
        let mut conns = Vec::new();
        for number in 1..=10 {
            let request = mesh.request("GET", &app.host(), "/hold");
            conns.push(request.start().await.unwrap());
            app.until_load(number, 0).await;
        }
        for dyno in &dynos {
            dyno.until_now(5).await;
        }
        for dyno in &dynos {
            dyno.release().await;
        }
        for mut conn in conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        mesh.finish().await;
    });
}

#[test]
fn http2_clients_are_served_alike() {
    run(async {
        let (mesh, _shop, dynos) = Mesh::with_dynos(2).await;
        let client = h2::Client::open(mesh.nginx.http2_address).await.unwrap();
        let answer = client.get("Shop.test:8443", "/echo?a=%2F").await.unwrap();
        assert_eq!(answer.status(), 200);
        let seen: Echo = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((&*seen.app, &*seen.target), ("shop", "/echo?a=%2F"));
        let host = seen.header("host").unwrap();
        assert!(host.eq_ignore_ascii_case("shop.test:8443"), "{host}");

        // More streams at once than dynos: they queue.
        let gets = (0..60).map(|_| client.get("shop.test", "/sleep/2"));
        for answer in futures_util::future::join_all(gets).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
        for dyno in dynos {
            assert_eq!(dyno.figures().await.double_bookings, 0);
        }
        let answer = client.get("other.test", "/").await.unwrap();
        assert_eq!(answer.status(), 404);
        mesh.finish().await;
    });
}

#[test]
fn the_host_of_an_absolute_target_counts() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, blog) = (mesh.app("shop").await, mesh.app("blog").await);
        let _dynos = (shop.dyno("web.1").await, blog.dyno("web.1").await);
        let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
        conn.send("GET http://shop.test/abs?x=1 HTTP/1.1\r\nHost: blog.test\r\n\r\n")
            .await
            .unwrap();
        let seen = Echo::of(&conn.response().await.unwrap());
        assert_eq!((&*seen.app, &*seen.target), ("shop", "/abs?x=1"));
        assert_eq!(seen.header("host"), Some("shop.test"));
        mesh.finish().await;
    });
}

#[test]
fn the_dyno_sees_the_host_that_the_client_meant() {
    run(async {
        let (mesh, _shop, _dyno) = Mesh::with_dyno().await;
        // With the port, or an app could make no link to itself.
        for host in ["shop.test", "shop.test:8080", "SHOP.test:8080"] {
            let seen = Echo::of(&mesh.get(host, "/echo").await);
            let given = seen.header("host").unwrap();
            assert!(given.eq_ignore_ascii_case(host), "{host}: {given}");
        }
        mesh.finish().await;
    });
}

#[test]
fn the_target_arrives_byte_for_byte() {
    run(async {
        let (mesh, _shop, _dyno) = Mesh::with_dyno().await;
        for target in [
            "/a%2Fb//c/../d?x=%20",
            "/%E2%82%AC?q=a+b&c=%26",
            "//double",
            "/x?",
            "/x?y?z=1;2",
            "/a;b=c/d'e",
            "/./x/.",
            "/a/%2e%2e/x",
        ] {
            let seen = Echo::of(&mesh.get("shop.test", target).await);
            assert_eq!(seen.target, target);
        }
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_may_listen_on_a_unix_socket() {
    run(async {
        let mesh = Mesh::start().await;
        let shop = mesh.app("shop").await;
        let mut program = shop.program("web.1");
        program.listen = format!("unix:{}/dyno.sock", mesh.dir().display());
        let _dyno = shop.run(program).await;
        for _ in 0..10 {
            let seen = Echo::of(&mesh.get("shop.test", "/echo").await);
            assert_eq!(seen.dyno, "web.1");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_may_listen_on_ipv6() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        eprintln!("skipped, this host has no ::1: {error}");
        return;
    }
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        let mut program = app.program("web.1");
        program.listen = "[::1]:0".to_owned();
        let dyno = app.run(program).await;
        assert!(dyno.address.starts_with("[::1]:"), "{}", dyno.address);
        for id in ["first", "second"] {
            let request = mesh.request("GET", &app.host(), "/").id(id);
            assert_eq!(request.send().await.dyno(), "web.1");
            assert_eq!(mesh.logged(id).await.upstream, dyno.address);
        }
        let figures = dyno.figures().await;
        assert_eq!((figures.total, figures.double_bookings), (2, 0));
        mesh.finish().await;
    });
}

#[test]
fn a_kept_connection_is_of_one_process_only() {
    run(async {
        let mesh = Mesh::start().await;
        let listen = format!("unix:{}/dyno.sock", mesh.dir().display());
        let mut earlier = Vec::new();
        // The same address again and again: by another app, then by the same.
        for name in ["old", "new", "newer"] {
            let app = mesh.app(name).await;
            for start in 1..=2 {
                let dyno = Program {
                    listen: listen.clone(),
                    ..app.program(&format!("web.{start}"))
                };
                let dyno = app.run(dyno).await;
                for _ in 0..3 {
                    let seen = Echo::of(&mesh.get(&app.host(), "/echo").await);
                    assert_eq!((seen.app, seen.dyno), (name.to_owned(), dyno.name.clone()));
                }
                assert_eq!(dyno.figures().await.total, 3);
                // Its process goes on, with the connections that it has.
                app.remove(&dyno.name).await;
                earlier.push(dyno);
            }
        }
        mesh.finish().await;
    });
}
