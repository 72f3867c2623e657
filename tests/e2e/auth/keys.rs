//! Keys that programs have.

use e2e::{Mesh, harness::run};
use sha2::{Digest as _, Sha256};

use super::{CLIENTS, basic, curl, get, user, why};
use crate::echo::Echo;

/// A line for who has this key.
fn holder(name: &str, key: &str) -> String {
    let hash = Sha256::digest(key);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("holder {name} {hash}")
}

#[test]
fn who_has_a_key_is_in() {
    run(async {
        let mesh = Mesh::builder().http(CLIENTS).web();
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        let host = app.host();
        let (ci, partner) = (
            holder("ci", "key-of-ci"),
            holder("\"a b\"", "key-of-partner"),
        );
        let lines = ["key header X-Api-Key", &ci, &partner, "claim sub to X-User"];
        app.auth(&lines).await;
        let missing = mesh.get(&host, "/echo").await;
        assert_eq!(why(&missing), (401, Some("auth-missing")));
        let told = missing.header("www-authenticate");
        assert_eq!(told, Some("Key realm=\"shop\", header=\"X-Api-Key\""));

        let (host_line, key) = (format!("Host: {host}"), "x-api-key: key-of-ci");
        for _ in 0..2 {
            let lie = "X-User: root";
            let told = curl(&mesh, &["-H", &host_line, "-H", key, "-H", lie]).await;
            let seen: Echo = serde_json::from_str(&told).unwrap();
            assert_eq!(seen.header("x-user"), Some("ci"));
            assert_eq!(seen.header("x-api-key"), None, "that is not its concern");
        }
        let with = async |key: &str| {
            let request = mesh.request("GET", &host, "/echo");
            request.header("X-Api-Key", key).send().await
        };
        let answer = with("key-of-partner").await;
        assert_eq!(Echo::of(&answer).header("x-user"), Some("a b"));
        for wrong in ["key-of-CI", "key-of-ci, key-of-ci", "Key key-of-ci"] {
            let answer = with(wrong).await;
            assert_eq!(why(&answer), (401, Some("auth-wrong")), "{wrong}");
        }
        let request = mesh.request("GET", &host, "/echo");
        let elsewhere = request.header("Authorization", "Key key-of-ci");
        let answer = elsewhere.send().await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        let looked = |result| [("kind", "key"), ("result", result)];
        let metrics = mesh.metrics().await;
        for (result, wanted) in [("right", 2.0), ("wrong", 3.0)] {
            let count = metrics.sum("dynomesh_credentials_total", &looked(result));
            assert_eq!(
                count, wanted,
                "{result}: each is looked at once, if it is right"
            );
        }

        // One key takes the place of another, while requests come.
        let new = holder("ci", "another-key");
        app.auth(&[lines[0], &ci, &new]).await;
        for key in ["key-of-ci", "another-key"] {
            assert_eq!(with(key).await.status(), 200);
        }
        app.auth(&[lines[0], &new]).await;
        assert_eq!(with("another-key").await.status(), 200);
        assert_eq!(with("key-of-ci").await.status(), 401);

        // Who guesses has to wait.
        let guess = async |number: u32| {
            let request = mesh
                .request("GET", &host, "/")
                .header("X-Client", "192.0.2.1");
            let key = format!("guess {number}");
            request.header("X-Api-Key", &key).send().await
        };
        let mut guesses = 0..200;
        let limited = loop {
            let answer = guess(guesses.next().expect("there is a limit")).await;
            if answer.status() != 401 {
                break answer;
            }
        };
        assert_eq!(why(&limited), (429, Some("auth-limited")));
        let logs = mesh.error_log();
        assert!(
            !logs.contains("key-of") && !logs.contains("guess "),
            "{logs}"
        );
        mesh.finish().await;
    });
}

#[test]
fn a_password_or_a_key() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let host = app.host();
        let lines = [
            "basic pass",
            &user("ann"),
            "key header X-Key pass",
            &holder("ci", "k"),
        ];
        app.auth(&lines).await;
        let ann = basic("ann", "secret");
        assert_eq!(get(&mesh, &host, "/", &ann).await.status(), 200);
        let both = async |login: &str, key: &str| {
            let request = mesh.request("GET", &host, "/echo").header("X-Key", key);
            request.header("Authorization", login).send().await
        };
        // What a browser says on its own does not count beside a key: nobody has looked at
        // it, and the dyno might take it for right.
        let seen = Echo::of(&both("Basic eDp5", "k").await);
        assert_eq!(seen.header("x-key"), Some("k"));
        assert_eq!(seen.header("authorization"), None);
        let seen = Echo::of(&both("Other scheme", "k").await);
        assert_eq!(seen.header("authorization"), Some("Other scheme"));
        let seen = Echo::of(&both(&ann, " ").await);
        assert_eq!(seen.header("authorization"), Some(&*ann));
        assert_eq!(both(&ann, "x").await.status(), 401);
        let request = mesh.request("GET", &host, "/").header("X-Key", "k");
        let twice = request.header("X-Key", "k").send().await;
        assert_eq!(why(&twice), (401, Some("auth-wrong")));
        mesh.finish().await;
    });
}

#[test]
fn a_key_that_is_too_long_is_wrong_and_nothing_else() {
    run(async {
        let mesh = Mesh::builder().http("large_client_header_buffers 4 32k;");
        let (mesh, app, _dynos) = mesh.with_dynos(1).await;
        let host = app.host();
        let longest = "k".repeat(8_188);
        let lines = ["key header X-Key", &holder("ci", &longest)];
        app.auth(&lines).await;
        let with = async |key: &str| {
            let request = mesh.request("GET", &host, "/echo");
            request.header("X-Key", key).send().await
        };
        for length in [8_187, 8_189, 8_192, 8_193, 20_000] {
            let answer = with(&"k".repeat(length)).await;
            assert_eq!(why(&answer), (401, Some("auth-wrong")), "{length}");
        }
        assert_eq!(with(&longest).await.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn a_key_is_for_no_other_app() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, next) = (mesh.app("shop").await, mesh.app("next").await);
        let _dyno = next.dyno("web.1").await;
        shop.rules(&["always app next"]).await;
        let mine = holder("ci", "mine");
        shop.auth(&["key header X-Key", &mine]).await;
        let seen = async |header: &str, key: &str| {
            let request = mesh.request("GET", &shop.host(), "/echo");
            let answer = request.header("X-Key", "mine").header(header, key);
            Echo::of(&answer.send().await)
                .header("x-key")
                .map(str::to_owned)
        };
        assert_eq!(seen("X-Other", "1").await, None);
        // Nor where that one has something to say itself.
        next.auth(&["key header X-Next", &holder("ci", "its")])
            .await;
        assert_eq!(seen("X-Next", "its").await, None);
        mesh.finish().await;
    });
}

#[test]
fn a_key_that_is_said_as_it_is_is_refused_and_not_shown() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let path = mesh.dir().join("shop.auth");
        std::fs::write(&path, "key header X-Key\nholder ci my-own-key\n").unwrap();
        let ran = mesh
            .ctl(&format!("app auth shop --file {}", path.display()))
            .await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("line 2, column 11: "), "{ran:?}");
        assert!(ran.stderr.contains("sha256sum"), "{ran:?}");
        assert!(!ran.stderr.contains("my-own-key"), "{ran:?}");
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.finish().await;
    });
}
