//! Requests that come to the same dyno.

use std::{fs, path::Path};

use dynomesh_proto::v1::{Policy, Rules, Settings, operation::Kind};
use e2e::{
    App, Mesh,
    client::{Conn, Response},
    harness::run,
    load::{Load, Options},
};

fn open() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

async fn sticky(app: &App, which: &str) {
    app.apply(vec![Kind::PutSticky(which.to_owned())]).await;
}

async fn with(mesh: &Mesh, app: &App, target: &str, name: &str, value: &str) -> Response {
    let request = mesh.request("GET", &app.host(), target);
    request.header(name, value).send().await
}

/// The cookie that it sets, and all that is said of it.
fn cookie(answer: &Response) -> Option<(String, &str)> {
    let (pair, rest) = answer.header("set-cookie")?.split_once("; ")?;
    Some((pair.to_owned(), rest))
}

#[test]
fn a_cookie_of_the_meshs_own() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(4).await;
        assert_eq!(mesh.get(&app.host(), "/").await.header("set-cookie"), None);
        sticky(&app, "cookie").await;
        let load = Load::start(Options {
            connections: 4,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        load.more(100).await;
        for _ in 0..5 {
            let first = mesh.get(&app.host(), "/").await;
            let (pair, rest) = cookie(&first).unwrap();
            assert_eq!(rest, "Path=/; HttpOnly; SameSite=Lax");
            let value = pair.strip_prefix("mesh_dyno=").unwrap();
            assert!(value.len() == 16, "{pair}");
            assert!(value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{pair}");
            for _ in 0..10 {
                let pairs = format!("a=b; {pair}");
                let answer = with(&mesh, &app, "/", "Cookie", &pairs).await;
                assert_eq!(answer.dyno(), first.dyno());
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
        let answer = with(&mesh, &app, "/", "Cookie", "mesh_dyno=0123456789abcdef").await;
        assert!(cookie(&answer).is_some(), "{answer:?}");
        assert_eq!(load.stop().await.failures(), 0);
        sticky(&app, "").await;
        for _ in 0..4 {
            assert_eq!(mesh.get(&app.host(), "/").await.header("set-cookie"), None);
        }
        mesh.finish().await;
    });
}

/// A dyno that is busy is the client's own still; one that is gone is not.
#[test]
fn what_happens_to_the_dyno_of_a_client() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        let mut dynos = app.dynos(2).await;
        sticky(&app, "cookie").await;
        let first = mesh.get(&app.host(), "/").await;
        let (pair, _) = cookie(&first).unwrap();
        let own = |target: &str| {
            let request = mesh.request("GET", &app.host(), target);
            request.header("Cookie", &pair)
        };
        let mut held = own("/hold").start().await.unwrap();
        app.until_load(1, 0).await;
        for _ in 0..3 {
            let other = own("/").send().await;
            assert_ne!(other.dyno(), first.dyno());
            assert_eq!(other.header("set-cookie"), None);
        }
        let at = dynos.iter().position(|dyno| dyno.name == first.dyno());
        dynos[at.unwrap()].release().await;
        assert_eq!(held.response().await.unwrap().dyno(), first.dyno());
        assert_eq!(own("/").send().await.dyno(), first.dyno());
        // Its process ends: the request has another one, and a new cookie.
        let mut dead = dynos.remove(at.unwrap());
        dead.process.kill().await;
        let answer = own("/").send().await;
        assert_eq!(answer.status(), 200);
        assert_ne!(answer.dyno(), first.dyno());
        let (new, _) = cookie(&answer).unwrap();
        assert_ne!(new, pair);
        let again = with(&mesh, &app, "/", "Cookie", &new).await;
        assert_eq!(
            (again.dyno(), again.header("set-cookie")),
            (answer.dyno(), None)
        );
        app.remove(first.dyno()).await;
        assert!(cookie(&own("/").send().await).is_some());
        mesh.finish().await;
    });
}

#[test]
fn the_same_value_is_the_same_dyno() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(3).await;
        sticky(&app, "header:X-User").await;
        let mut places = Vec::new();
        for user in 0..30 {
            let user = format!("user-{user}");
            let answer = with(&mesh, &app, "/", "x-user", &user).await;
            assert_eq!(answer.header("set-cookie"), None);
            places.push((user, answer.dyno().to_owned()));
        }
        for name in ["web.1", "web.2", "web.3"] {
            assert!(places.iter().any(|(_, dyno)| dyno == name), "{places:?}");
        }
        for (user, dyno) in &places {
            let answer = with(&mesh, &app, "/", "X-User", user).await;
            assert_eq!(answer.dyno(), dyno);
        }
        // What a rule makes of it counts.
        let lines = vec!["always rename request header X-Tenant X-User".to_owned()];
        app.apply(vec![Kind::PutRules(Rules { lines })]).await;
        for (user, dyno) in &places {
            let answer = with(&mesh, &app, "/", "X-Tenant", user).await;
            assert_eq!(answer.dyno(), dyno);
        }
        sticky(&app, "cookie:user").await;
        for (user, dyno) in &places {
            let pair = format!("x=1; user={user}");
            assert_eq!(with(&mesh, &app, "/", "Cookie", &pair).await.dyno(), dyno);
        }
        // Nobody moves but to the new one.
        let _new = app.dyno("web.4").await;
        for (user, dyno) in &places {
            let pair = format!("user={user}");
            let answer = with(&mesh, &app, "/", "Cookie", &pair).await;
            assert!([&**dyno, "web.4"].contains(&answer.dyno()), "{answer:?}");
        }
        mesh.finish().await;
    });
}

#[test]
fn websockets_have_a_cookie_too() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(3).await;
        sticky(&app, "cookie").await;
        let upgrade = |pair: &str| {
            mesh.request("GET", &app.host(), "/ws")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13")
                .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("Cookie", pair)
        };
        let mut conn: Conn = upgrade("a=b").start().await.unwrap();
        let head = conn.head().await.unwrap();
        assert_eq!(head.status(), 101);
        let set = head.header("set-cookie").unwrap();
        let (pair, _) = set.split_once(';').unwrap();
        let dyno = with(&mesh, &app, "/", "Cookie", pair)
            .await
            .dyno()
            .to_owned();
        for _ in 0..5 {
            let mut conn = upgrade(pair).start().await.unwrap();
            let head = conn.head().await.unwrap();
            assert_eq!(head.header("x-dyno"), Some(&*dyno));
            assert_eq!(head.header("set-cookie"), None);
        }
        drop(conn);
        mesh.finish().await;
    });
}

#[test]
fn with_meshctl() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let ran = mesh.ctl("app set shop --sticky cookie").await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(cookie(&mesh.get(&app.host(), "/").await).is_some());
        let ran = mesh.ctl("app show shop").await;
        assert!(ran.stdout.contains("sticky          cookie"), "{ran:?}");
        assert!(mesh.ctl("export").await.stdout.contains("putSticky"));
        let ran = mesh.ctl("app set shop --sticky query:x").await;
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("cookie:NAME, header:NAME"), "{ran:?}");
        let ran = mesh.ctl("app set shop --sticky none").await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(cookie(&mesh.get(&app.host(), "/").await), None);
        mesh.finish().await;
    });
}

/// Runs curl with a jar of cookies, over TLS or without. Returns the dyno's name.
async fn curl(jar: &Path, socket: &Path, url: &str) -> String {
    let mut command = std::process::Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--insecure"]);
    command.args(["--dump-header", "-", "--output", "/dev/null"]);
    for flag in ["--cookie", "--cookie-jar"] {
        command.arg(flag).arg(jar);
    }
    command.arg("--unix-socket").arg(socket).arg(url);
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let ran = ran.unwrap().expect("curl can be run");
    assert!(ran.status.success(), "{ran:?}");
    let head = String::from_utf8(ran.stdout).unwrap().to_lowercase();
    let dyno = head.lines().find_map(|line| line.strip_prefix("x-dyno: "));
    dyno.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
}

/// As a browser does it, here curl: what came over TLS is said over TLS alone.
#[test]
fn a_jar_of_cookies() {
    const SERVER: &str = "server {
            listen unix:DIR/tls.sock ssl; listen unix:DIR/plain.sock;
            ssl_certificate DIR/own.crt; ssl_certificate_key DIR/own.key;
            location / { proxy_pass http://dynos; proxy_http_version 1.1;
                proxy_set_header Host $mesh_host; proxy_set_header Connection ''; }
        }";
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
        fs::write(at("own.crt"), made.cert.pem()).unwrap();
        fs::write(at("own.key"), made.signing_key.serialize_pem()).unwrap();
        let server = SERVER.replace("DIR", &dir.path().display().to_string());
        let mesh = Mesh::builder().http(&server).start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(4).await;
        sticky(&app, "cookie").await;
        for scheme in ["http", "https"] {
            let socket = at(if scheme == "https" {
                "tls.sock"
            } else {
                "plain.sock"
            });
            let (jar, url) = (at(scheme), format!("{scheme}://{}/", app.host()));
            let first = curl(&jar, &socket, &url).await;
            for _ in 0..6 {
                assert_eq!(curl(&jar, &socket, &url).await, first);
            }
            let kept = fs::read_to_string(&jar).unwrap();
            let kept = kept.lines().find(|line| line.contains("mesh_dyno"));
            let kept: Vec<_> = kept.unwrap().split('\t').collect();
            let secure = if scheme == "https" { "TRUE" } else { "FALSE" };
            assert!(kept[0].starts_with("#HttpOnly_"), "{kept:?}");
            assert_eq!(kept[1..4], ["FALSE", "/", secure], "{kept:?}");
        }
        mesh.finish().await;
    });
}

/// What its client has of the first app stays as it is.
#[test]
fn a_request_that_a_rule_sends_to_another_app_prefers_nothing() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", open()).await;
        let _dynos = app.dynos(3).await;
        let other = mesh.app_with("other", open()).await;
        let _others = other.dynos(2).await;
        sticky(&app, "cookie").await;
        sticky(&other, "cookie").await;
        app.apply(vec![Kind::PutRules(Rules {
            lines: vec!["when path ^= /other then app other".to_owned()],
        })])
        .await;
        let first = mesh.get(&app.host(), "/").await;
        let (pair, _) = cookie(&first).unwrap();
        for _ in 0..4 {
            let away = with(&mesh, &app, "/other", "Cookie", &pair).await;
            assert_eq!((away.status(), away.header("set-cookie")), (200, None));
            let answer = with(&mesh, &app, "/", "Cookie", &pair).await;
            assert_eq!(answer.dyno(), first.dyno());
            assert_eq!(answer.header("set-cookie"), None);
        }
        let away = mesh.get(&app.host(), "/other").await;
        assert_eq!((away.status(), away.header("set-cookie")), (200, None));
        mesh.finish().await;
    });
}
