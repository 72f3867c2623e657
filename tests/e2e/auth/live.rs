//! Who may use an app changes while requests come; the sidecar comes and goes.

use dynomesh_proto::v1::{Policy, Settings};
use e2e::{
    Mesh,
    harness::run,
    load::{Load, Options},
};

use super::{CLIENTS, basic, get, user, why};

#[test]
fn a_change_is_in_effect_when_it_returns() {
    run(async {
        let mesh = Mesh::builder().workers(2).http(CLIENTS).start().await;
        let open = Settings {
            policy: Policy::LeastLoad.into(),
            ..Settings::default()
        };
        let app = mesh.app_with("busy", open).await;
        let _dynos = app.dynos(2).await;
        app.auth(&["basic", &user("ann"), "except path = /"]).await;
        let load = Load::start(Options {
            connections: 8,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        load.more(500).await;
        let mut clients = 0_u32;
        for round in 0..40 {
            let (inside, outside) = match round % 2 {
                0 => ("ann", "bob"),
                _ => ("bob", "ann"),
            };
            app.auth(&["basic", &user(inside), "except path = /"]).await;
            for _ in 0..4 {
                for (name, wanted) in [(inside, 200), (outside, 401)] {
                    clients += 1;
                    let [.., b, c, d] = clients.to_be_bytes();
                    let client = format!("10.{b}.{c}.{d}");
                    let request = mesh.request("GET", &app.host(), "/in");
                    let answer = request
                        .header("X-Client", &client)
                        .header("Authorization", &basic(name, "secret"))
                        .send()
                        .await;
                    assert_eq!(answer.status(), wanted, "{name} in round {round}");
                }
            }
            if round % 10 == 9 {
                app.auth(&[]).await;
                for _ in 0..4 {
                    assert_eq!(mesh.get(&app.host(), "/in").await.status(), 200);
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
fn without_a_sidecar_what_is_known_holds() {
    run(async {
        let mut mesh = Mesh::builder().outage_timeout("3s").start().await;
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("web.1").await;
        let host = app.host();
        app.auth(&["basic", &user("ann"), &user("bob"), "except path = /open"])
            .await;
        let (ann, bob) = (basic("ann", "secret"), basic("bob", "secret"));
        assert_eq!(get(&mesh, &host, "/", &ann).await.status(), 200);
        mesh.kill_meshd().await;
        assert_eq!(mesh.get(&host, "/").await.status(), 401);
        // Nobody knows whether it is right.
        let answer = get(&mesh, &host, "/", &bob).await;
        assert_eq!(why(&answer), (503, Some("H99")));
        let waiting = mesh
            .request("GET", &host, "/")
            .header("Authorization", &bob);
        let mut waiting = waiting.start().await.unwrap();
        // It is known who this is: what it waits for is a dyno.
        let known = mesh
            .request("GET", &host, "/")
            .header("Authorization", &ann);
        let mut known = known.start().await.unwrap();
        let left = mesh
            .request("GET", &host, "/")
            .header("Authorization", &bob);
        let left = left.id("left").start().await.unwrap();
        left.abort();
        assert_eq!(mesh.logged("left").await.status, "499");
        mesh.start_meshd().await;
        assert_eq!(waiting.response().await.unwrap().status(), 200);
        assert_eq!(known.response().await.unwrap().status(), 200);
        // After a restart and a reload it is as it was.
        mesh.nginx.reload().await;
        assert_eq!(mesh.get(&host, "/").await.status(), 401);
        assert_eq!(get(&mesh, &host, "/", &ann).await.status(), 200);
        mesh.finish().await;
    });
}

/// Whoever looks at logs, at figures or at an app learns no password.
#[test]
fn credentials_are_nowhere_to_be_seen() {
    run(async {
        let mesh = Mesh::builder().web().sidecar(&["--log-level", "trace"]);
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        app.auth(&["basic", &user("ann")]).await;
        // Of these, no piece of three bytes is anywhere else.
        let guesses = [basic("ann", "qzxqzxqzx"), "Basic cXp4cXp4cXp4".into()];
        assert_eq!(
            get(&mesh, &app.host(), "/", &basic("ann", "secret"))
                .await
                .status(),
            200
        );
        for guess in &guesses {
            assert_eq!(get(&mesh, &app.host(), "/", guess).await.status(), 401);
        }
        let right = basic("ann", "secret");
        let mut secrets = vec!["qzxqzx", "6cXp4cXp4", "cXp4cXp4", "113, 122, 120"];
        secrets.push(right.strip_prefix("Basic ").unwrap());
        let mut seen = vec![("metrics", mesh.metrics().await.text)];
        for command in ["app list", "app show shop", "status", "export"] {
            seen.push((command, mesh.ctl(command).await.stdout));
        }
        for log in ["meshd.log", "error.log", "access.log"] {
            let text = std::fs::read_to_string(mesh.dir().join(log)).unwrap();
            assert!(!text.is_empty(), "{log}");
            seen.push((log, text));
        }
        for (place, text) in &seen {
            for secret in &secrets {
                assert!(!text.contains(secret), "{secret} is in {place}");
            }
            let hash = text.contains("$2b$04$");
            assert!(!hash || *place == "export", "a hash is in {place}");
        }
        mesh.finish().await;
    });
}
