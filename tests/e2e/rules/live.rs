//! Rules change while requests come.

use std::time::Duration;

use dynomesh_proto::v1::{Policy, Rules, Settings, operation::Kind};
use e2e::{
    Mesh,
    harness::run,
    load::{Load, Options},
};

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

#[test]
fn a_change_is_in_effect_when_it_returns() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("busy", open()).await;
        let _dynos = app.dynos(2).await;
        let load = Load::start(Options {
            connections: 8,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        load.more(500).await;
        for round in 0..60 {
            let text = format!("always set response header X-Round {round}");
            app.rules(&[&text]).await;
            for _ in 0..6 {
                let answer = mesh.get(&app.host(), "/").await;
                assert_eq!(answer.header("x-round"), Some(&*round.to_string()));
            }
            if round % 10 == 9 {
                app.rules(&[]).await;
                for _ in 0..6 {
                    let answer = mesh.get(&app.host(), "/").await;
                    assert_eq!(answer.header("x-round"), None);
                }
            }
        }
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        assert!(report.requests > 1_000, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn they_go_with_the_names() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let (open, closed) = (mesh.app("open").await, mesh.app("closed").await);
        let _dynos = (open.dyno("web.1").await, closed.dyno("web.1").await);
        closed.rules(&["always deny"]).await;
        open.add_domain("*.wild.test").await;
        let is = async |host: &str, wanted: u16| {
            for _ in 0..6 {
                assert_eq!(mesh.get(host, "/").await.status(), wanted, "{host}");
            }
        };
        is("x.wild.test", 200).await;
        is("x.wild.test.", 200).await;
        closed.add_domain("x.wild.test").await;
        is("x.wild.test", 403).await;
        is("X.wild.test.:80", 403).await;
        is("y.wild.test", 200).await;
        closed
            .apply(vec![Kind::RemoveDomain("x.wild.test".into())])
            .await;
        is("x.wild.test", 200).await;
        open.apply(vec![Kind::RemoveDomain("*.wild.test".into())])
            .await;
        closed.add_domain("*.wild.test").await;
        is("x.wild.test", 403).await;
        is("y.wild.test", 403).await;
        closed
            .apply(vec![Kind::DeleteApp(Default::default())])
            .await;
        is("x.wild.test", 404).await;
        open.add_domain("x.wild.test").await;
        is("x.wild.test", 200).await;
        mesh.finish().await;
    });
}

#[test]
fn they_outlast_the_sidecar_and_reloads() {
    run(async {
        let mut mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("web.1").await;
        app.rules(&[
            "when path = /no then deny",
            "always set response header X-Rules on",
        ])
        .await;
        let load = Load::start(Options {
            connections: 4,
            timeout: Duration::from_secs(20),
            ..Options::new(mesh.nginx.address, &app.host())
        });
        for _ in 0..3 {
            load.more(200).await;
            mesh.crash_meshd().await;
            for _ in 0..6 {
                assert_eq!(mesh.get(&app.host(), "/no").await.status(), 403);
                let answer = mesh.get(&app.host(), "/").await;
                assert_eq!(answer.header("x-rules"), Some("on"));
            }
            load.more(200).await;
            mesh.nginx.reload().await;
            for _ in 0..6 {
                assert_eq!(mesh.get(&app.host(), "/no").await.status(), 403);
            }
        }
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn without_a_sidecar_what_is_known_holds() {
    run(async {
        let mut mesh = Mesh::builder().outage_timeout("3s").start().await;
        let (shop, blog) = (mesh.app("shop").await, mesh.app("blog").await);
        let _dynos = (shop.dyno("web.1").await, blog.dyno("web.1").await);
        shop.rules(&["when path = /no then deny"]).await;
        blog.rules(&["when path = /no then deny"]).await;
        assert_eq!(mesh.get(&shop.host(), "/no").await.status(), 403);
        mesh.kill_meshd().await;
        assert_eq!(mesh.get(&shop.host(), "/no").await.status(), 403);
        // Nobody knows what this one forbids.
        let answer = mesh.get(&blog.host(), "/no").await;
        assert_eq!(
            (answer.status(), answer.header("x-mesh-error")),
            (503, Some("H99"))
        );
        let waiting = mesh.request("GET", &blog.host(), "/no").start().await;
        mesh.start_meshd().await;
        assert_eq!(waiting.unwrap().response().await.unwrap().status(), 403);
        assert_eq!(mesh.get(&blog.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

/// Whoever leaves while a name is asked for leaves nothing behind.
#[test]
fn who_leaves_while_waiting() {
    run(async {
        let mut mesh = Mesh::builder().outage_timeout("20s").start().await;
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("web.1").await;
        app.rules(&["when path = /no then deny"]).await;
        assert_eq!(mesh.get("other.test", "/").await.status(), 404);
        mesh.kill_meshd().await;
        let mut waiting = Vec::new();
        for n in 0..20 {
            let request = mesh
                .request("GET", &app.host(), "/")
                .id(&format!("left-{n}"));
            waiting.push(request.start().await.unwrap());
        }
        let mut stays = mesh
            .request("GET", &app.host(), "/no")
            .start()
            .await
            .unwrap();
        waiting.into_iter().for_each(e2e::client::Conn::abort);
        for n in 0..20 {
            assert_eq!(mesh.logged(&format!("left-{n}")).await.status, "499");
        }
        mesh.start_meshd().await;
        assert_eq!(stays.response().await.unwrap().status(), 403);
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        app.rules(&["when path = /no then deny"]).await;
        let lines = ["# fine", "always deny", "when path ~ [ then deny"].map(Into::into);
        let wrong = vec![Kind::PutRules(Rules {
            lines: lines.into(),
        })];
        let refused = mesh.control().try_apply("shop", wrong).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        let message = refused.message();
        assert!(message.contains("line 3, column 13: "), "{message}");
        let path = mesh.dir().join("shop.rules");
        std::fs::write(&path, "always frob\n").unwrap();
        let ran = mesh
            .ctl(&format!("app rules shop --file {}", path.display()))
            .await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("line 1, column 8: "), "{ran:?}");
        // What was there goes on.
        assert_eq!(mesh.get(&app.host(), "/no").await.status(), 403);
        std::fs::write(&path, "when path = /new then deny 404\n").unwrap();
        let ran = mesh
            .ctl(&format!("app rules shop --file {}", path.display()))
            .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(mesh.get(&app.host(), "/new").await.status(), 404);
        assert_eq!(mesh.get(&app.host(), "/no").await.status(), 200);
        mesh.finish().await;
    });
}
