//! Passwords.

use std::collections::BTreeSet;

use e2e::{Mesh, harness::run};

use super::{ARGON, CLIENTS, basic, curl, get, user, why};
use crate::echo::Echo;

#[test]
fn who_has_a_password_is_in() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let host = app.host();
        app.auth(&[
            "basic realm \"The Shop\"",
            &user("ann"),
            &format!("user bob {ARGON}"),
            "claim sub to X-User",
        ])
        .await;
        let answer = mesh.get(&host, "/").await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        let challenge = "Basic realm=\"The Shop\", charset=\"UTF-8\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
        assert!(answer.text().contains("who you are"), "{answer:?}");
        for wrong in [
            basic("ann", "Secret"),
            basic("eve", "secret"),
            "Basic !".into(),
        ] {
            let answer = get(&mesh, &host, "/", &wrong).await;
            assert_eq!(why(&answer), (401, Some("auth-wrong")), "{wrong}");
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
        }
        // Nobody asked for a token.
        let answer = get(&mesh, &host, "/", "Bearer x.y.z").await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        for name in ["ann", "bob"] {
            let request = mesh.request("POST", &host, "/echo").id(name);
            let request = request
                .header("Authorization", &basic(name, "secret"))
                .header("X-User", "root")
                .header("x-user", "root")
                .body("hello");
            let seen = Echo::of(&request.send().await);
            let users = seen
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("x-user"));
            let users: Vec<_> = users.map(|(_, value)| &**value).collect();
            assert_eq!(users, [name]);
            assert_eq!(seen.header("authorization"), None);
            assert_eq!(seen.body, "hello");
            assert_eq!(mesh.logged(name).await.user, name);
        }
        let host = format!("Host: {host}");
        let told = curl(&mesh, &["-u", "ann:secret", "-H", &host]).await;
        let seen: Echo = serde_json::from_str(&told).unwrap();
        assert_eq!(seen.header("x-user"), Some("ann"));
        app.auth(&[]).await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn what_the_dyno_sees() {
    run(async {
        let mesh = Mesh::builder().server("underscores_in_headers on; ignore_invalid_headers off;");
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        let host = app.host();
        let document = |basic: &str| {
            [
                basic.to_owned(),
                user("ann"),
                "claim sub to X-User".into(),
                "except path = /open and method GET".into(),
            ]
        };
        let right = basic("ann", "secret");
        for (line, passes) in [("basic", false), ("basic pass", true)] {
            let lines = document(line);
            app.auth(&lines.each_ref().map(|line| &**line)).await;
            for target in ["/closed", "/open"] {
                let request = mesh.request("GET", &host, target);
                let request = request
                    .header("Authorization", &right)
                    .header("X_User", "root")
                    .header("x-uSER", "root");
                let seen = Echo::of(&request.send().await);
                assert_eq!(seen.header("authorization"), passes.then_some(&*right));
                let named = |name: &str| name.replace('_', "-").eq_ignore_ascii_case("x-user");
                let users: Vec<_> = seen
                    .headers
                    .iter()
                    .filter(|(name, _)| named(name))
                    .collect();
                let wanted = usize::from(target == "/closed");
                assert_eq!(users.len(), wanted, "{users:?}");
                assert!(users.iter().all(|(_, value)| value == "ann"), "{users:?}");
            }
            assert_eq!(mesh.get(&host, "/open").await.status(), 200);
            for target in ["/closed", "/open/", "/open/../closed", "/%2e/closed"] {
                assert_eq!(mesh.get(&host, target).await.status(), 401, "{target}");
            }
            let post = mesh.request("POST", &host, "/open").body("x").send().await;
            assert_eq!(why(&post), (401, Some("auth-missing")));
        }
        // Two are one too many.
        let request = mesh
            .request("GET", &host, "/")
            .header("Authorization", &right);
        let twice = request.header("Authorization", &right).send().await;
        assert!([400, 401].contains(&twice.status()), "{twice:?}");
        mesh.finish().await;
    });
}

#[test]
fn a_password_is_looked_at_once() {
    run(async {
        let mesh = Mesh::builder().workers(2).web();
        let (mesh, app, _dynos) = mesh.with_dynos(4).await;
        let host = app.host();
        app.auth(&["basic", &user("ann"), &format!("user bob {ARGON}")])
            .await;
        for _ in 0..30 {
            for name in ["ann", "bob"] {
                let answer = get(&mesh, &host, "/", &basic(name, "secret")).await;
                assert_eq!(answer.status(), 200);
            }
        }
        let looked = async |result: &str| {
            let labels = [("kind", "password"), ("result", result)];
            let metrics = mesh.metrics().await;
            metrics.sum("dynomesh_credentials_total", &labels)
        };
        assert_eq!(looked("right").await, 2.0);
        // Once more for the other worker at most.
        assert!(looked("remembered").await <= 2.0);
        // Who stays costs nothing when others come.
        app.auth(&["basic", &user("ann"), &user("eve")]).await;
        let answer = get(&mesh, &host, "/", &basic("ann", "secret")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(looked("right").await, 2.0);
        mesh.finish().await;
    });
}

#[test]
fn who_is_wrong_too_often_has_to_wait() {
    run(async {
        let mesh = Mesh::builder().http(CLIENTS).web();
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        let host = app.host();
        app.auth(&["basic", &user("ann")]).await;
        let from = async |client: &str, password: &str| {
            let request = mesh.request("GET", &host, "/").header("X-Client", client);
            let credential = basic("ann", password);
            request.header("Authorization", &credential).send().await
        };
        assert_eq!(from("192.0.2.1", "secret").await.status(), 200);
        let mut seen = BTreeSet::new();
        let mut wrong = 0;
        // One is forgiven each second, however long these take.
        let limited = loop {
            let answer = from("192.0.2.1", &format!("guess {wrong}")).await;
            seen.insert(answer.status());
            if answer.status() == 429 {
                break answer;
            }
            wrong += 1;
            assert!(wrong < 200, "there is no limit");
        };
        assert!(wrong >= 10, "{wrong} were looked at");
        assert_eq!(why(&limited), (429, Some("auth-limited")));
        assert_eq!(limited.header("retry-after"), Some("1"));
        assert_eq!(seen, [401, 429].into());
        // Neither others nor what is known are limited.
        assert_eq!(from("192.0.2.1", "secret").await.status(), 200);
        assert_eq!(from("192.0.2.2", "secret").await.status(), 200);
        assert_eq!(from("192.0.2.2", "guess").await.status(), 401);
        mesh.until_metrics("they are counted", |metrics| {
            let of = |status: &str, error: &str| {
                let labels = [("app", "shop"), ("status", status), ("error", error)];
                metrics.sum("dynomesh_requests_total", &labels)
            };
            of("401", "auth-wrong") >= 11.0 && of("429", "auth-limited") >= 1.0
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        app.auth(&["basic", &user("ann")]).await;
        let path = mesh.dir().join("shop.auth");
        std::fs::write(&path, "basic\nuser ann plain\n").unwrap();
        let set = format!("app auth shop --file {}", path.display());
        let ran = mesh.ctl(&set).await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("line 2, column 10: "), "{ran:?}");
        let costly = ARGON.replace("m=1024", "m=1000000");
        std::fs::write(&path, format!("basic\nuser ann {costly}\n")).unwrap();
        let ran = mesh.ctl(&set).await;
        assert!(ran.stderr.contains("takes too much"), "{ran:?}");
        // What was there goes on.
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 401);
        std::fs::write(&path, format!("basic\n{}\n", user("bob"))).unwrap();
        let ran = mesh.ctl(&set).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let bob = get(&mesh, &app.host(), "/", &basic("bob", "secret")).await;
        assert_eq!(bob.status(), 200);
        mesh.finish().await;
    });
}
