//! The operator's way in: `meshctl` against a real sidecar.

use e2e::{Mesh, harness::run};
use serde_json::Value;

async fn done(mesh: &Mesh, arguments: &str) -> String {
    let outcome = mesh.ctl(arguments).await;
    assert_eq!(outcome.code, 0, "meshctl {arguments}: {outcome:?}");
    outcome.stdout
}

async fn show(mesh: &Mesh, app: &str) -> Value {
    let outcome = mesh.ctl(&format!("app show {app} --json")).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.json()
}

#[test]
fn an_app_from_beginning_to_end() {
    run(async {
        let mesh = Mesh::start().await;
        let template = mesh.app("template").await;
        let dyno = template.program("web.1").start().await;
        let other = template.program("web.2").start().await;

        let create = "app create shop --domain shop.test --domain www.shop.test --policy idle-only";
        done(&mesh, &format!("{create} --dyno {}", dyno.address)).await;
        assert_eq!(mesh.get("www.shop.test", "/").await.dyno(), "web.1");
        assert!(done(&mesh, "app list").await.contains("shop"));
        assert!(done(&mesh, "app show shop").await.contains("www.shop.test"));
        let shown = show(&mesh, "shop").await;
        assert_eq!(shown["app"]["settings"]["policy"], "POLICY_IDLE_ONLY");
        assert_eq!(shown["app"]["dynos"][0]["address"], *dyno.address);

        done(
            &mesh,
            &format!("dyno add shop {} --name web.2", other.address),
        )
        .await;
        done(&mesh, "dyno remove shop web.1").await;
        assert_eq!(mesh.get("shop.test", "/").await.dyno(), "web.2");
        done(&mesh, "domain remove shop www.shop.test").await;
        assert_eq!(mesh.get("www.shop.test", "/").await.status(), 404);
        done(&mesh, "maintenance on shop").await;
        let answer = mesh.get("shop.test", "/").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H80"));
        done(&mesh, "maintenance off shop").await;
        assert_eq!(mesh.get("shop.test", "/").await.status(), 200);

        done(&mesh, "app delete shop --yes").await;
        assert_eq!(mesh.get("shop.test", "/").await.status(), 404);
        assert_eq!(mesh.ctl("app show shop").await.code, 1);
        mesh.finish().await;
    });
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    run(async {
        let mesh = Mesh::start().await;
        done(
            &mesh,
            "app create shop --domain shop.test --dyno 127.0.0.1:1",
        )
        .await;
        done(&mesh, "app create blog").await;
        let before = show(&mesh, "shop").await;
        for arguments in [
            "app create shop",
            "app create Shop",
            "app create -- -shop",
            "app create other --domain shop.test",
            "app create other --domain not..a.name",
            "app create other --domain *.*.test",
            "app create other --dyno nowhere",
            "app delete other --yes",
            "app delete shop",
            "app set other --wake",
            "app set shop --policy best",
            "domain add shop http://shop.test",
            "domain add blog shop.test",
            "domain remove shop other.test",
            "dyno add shop 127.0.0.1:99999",
            "dyno add blog 127.0.0.1:1",
            "dyno add other 127.0.0.1:2",
            "dyno remove shop web.9",
            "dyno state shop web.9 up",
            "maintenance on other",
        ] {
            let outcome = mesh.ctl(arguments).await;
            assert!([1, 2].contains(&outcome.code), "{arguments}: {outcome:?}");
            assert!(
                !outcome.stderr.trim().is_empty(),
                "{arguments}: {outcome:?}"
            );
        }
        assert_eq!(show(&mesh, "shop").await["app"], before["app"]);
        assert_eq!(mesh.ctl("app show other").await.code, 1);
        assert_eq!(mesh.control().status().await.apps, 2);
        mesh.finish().await;
    });
}

#[test]
fn a_sidecar_that_is_not_there() {
    run(async {
        let mut mesh = Mesh::start().await;
        done(&mesh, "status").await;
        mesh.kill_meshd().await;
        for arguments in ["status", "app list", "app create shop"] {
            let outcome = mesh.ctl(arguments).await;
            assert_eq!(outcome.code, 4, "{arguments}: {outcome:?}");
        }
        mesh.finish().await;
    });
}

#[test]
fn what_was_said_survives_a_crash() {
    run(async {
        let mut mesh = Mesh::start().await;
        let template = mesh.app("template").await;
        let dyno = template.program("web.1").start().await;
        let create = "app create shop --domain shop.test --queue-depth 7 --dyno";
        done(&mesh, &format!("{create} {}", dyno.address)).await;
        done(&mesh, "app create gone --domain gone.test").await;
        let mut before = show(&mesh, "shop").await;
        for round in 0..5 {
            // The answer said that the change is on disk: no time is left for it.
            let name = format!("round-{round}");
            done(&mesh, &format!("app create {name} --domain {name}.test")).await;
            done(&mesh, &format!("app set shop --queue-depth {}", 10 + round)).await;
            if round == 2 {
                done(&mesh, "app delete gone --yes").await;
            }
            mesh.crash_meshd().await;
            let after = show(&mesh, "shop").await;
            assert_eq!(after["app"]["settings"]["queueDepth"], 10 + round);
            for key in ["domains", "dynos", "released"] {
                assert_eq!(after["app"][key], before["app"][key], "{key}");
            }
            assert_eq!(mesh.ctl(&format!("app show {name}")).await.code, 0);
            assert_eq!(mesh.ctl("app show gone").await.code, i32::from(round >= 2));
            before = after;
        }
        assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
        assert_eq!(mesh.get("gone.test", "/").await.status(), 404);
        mesh.finish().await;
    });
}

#[test]
fn what_is_exported_can_be_applied() {
    run(async {
        let mesh = Mesh::start().await;
        let domains = "--domain shop.test --domain *.shop.test";
        done(
            &mesh,
            &format!("app create shop {domains} --dyno 127.0.0.1:1 --wake"),
        )
        .await;
        done(&mesh, "app create blog --policy random").await;
        let exported = done(&mesh, "export").await;
        let file = mesh.dir().join("apps.jsonl");
        std::fs::write(&file, &exported).unwrap();

        let other = Mesh::start().await;
        done(&other, &format!("apply -f {}", file.display())).await;
        assert_eq!(done(&other, "export").await, exported);
        other.finish().await;
        mesh.finish().await;
    });
}
