//! How many requests an app takes, of all clients and of each.
//!
//! Rates are so slow that no token comes while a test runs.

use std::process::Command;

use dynomesh_proto::v1::{Policy, Rate, Settings, operation::Kind};
use e2e::{
    App, Mesh,
    client::Response,
    harness::{run, wait},
};

/// So many at once, and none for long after that.
pub(crate) fn only(requests: u32) -> Option<Rate> {
    Some(Rate {
        requests: 1,
        per_s: 3_600,
        burst: requests,
    })
}

fn settings(max_rate: Option<Rate>, max_client_rate: Option<Rate>) -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        max_rate,
        max_client_rate,
        ..Settings::default()
    }
}

async fn put(app: &App, max_rate: Option<Rate>, max_client_rate: Option<Rate>) {
    let settings = settings(max_rate, max_client_rate);
    app.apply(vec![Kind::PutSettings(settings)]).await;
}

#[track_caller]
fn limited(answer: &Response) {
    assert_eq!(answer.status(), 429, "{answer:?}");
    assert_eq!(answer.header("x-mesh-error"), Some("rate-limited"));
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3_000..=3_600).contains(&after), "{answer:?}");
}

async fn get(mesh: &Mesh, app: &App) -> Response {
    mesh.get(&app.host(), "/").await
}

/// The status that curl gets from this address, for several requests in turn.
pub(crate) async fn curl(mesh: &Mesh, host: &str, from: &str, requests: usize) -> Vec<u16> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    command.args(["--interface", from, "--header", &format!("Host: {host}")]);
    command.args(["--write-out", "%{http_code} "]);
    for _ in 0..requests {
        command.args(["--output", "/dev/null"]);
        command.arg(format!("http://{}/", mesh.nginx.address));
    }
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let ran = ran.unwrap().expect("curl can be run");
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    let codes = text.split_whitespace();
    codes.map(|code| code.parse().unwrap()).collect()
}

fn served(codes: &[u16]) -> usize {
    assert!(
        codes.iter().all(|code| [200, 429].contains(code)),
        "{codes:?}"
    );
    codes.iter().filter(|code| **code == 200).count()
}

/// One rate for all workers, which holds for the next request when it is set.
#[test]
fn an_app_takes_so_many() {
    run(async {
        let mesh = Mesh::builder().workers(2).web().start().await;
        let app = mesh.app_with("shop", settings(only(5), None)).await;
        let _dynos = app.dynos(2).await;
        let mut codes = Vec::new();
        for _ in 0..12 {
            codes.push(get(&mesh, &app).await.status());
        }
        assert_eq!(codes[..5], [200; 5]);
        assert_eq!(codes[5..], [429; 7]);
        limited(&get(&mesh, &app).await);
        for (burst, want) in [(3, 3), (7, 7)] {
            put(&app, only(burst), None).await;
            assert_eq!(
                served(&curl(&mesh, &app.host(), "127.0.0.1", 9).await),
                want
            );
        }
        put(&app, None, None).await;
        assert_eq!(curl(&mesh, &app.host(), "127.0.0.1", 30).await, [200; 30]);
        // Another app has nothing to do with it.
        put(&app, only(1), None).await;
        let other = mesh.app("other").await;
        let _dyno = other.dyno("web.1").await;
        assert_eq!(served(&curl(&mesh, &app.host(), "127.0.0.1", 3).await), 1);
        assert_eq!(served(&curl(&mesh, &other.host(), "127.0.0.1", 9).await), 9);
        wait::until("they are counted", async || {
            let labels = [
                ("app", "shop"),
                ("status", "429"),
                ("error", "rate-limited"),
            ];
            mesh.metrics().await.sum("dynomesh_requests_total", &labels) == 18.0
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn each_client_has_a_rate_of_its_own() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", settings(None, only(3))).await;
        let _dyno = app.dyno("web.1").await;
        let of = async |from: &str| served(&curl(&mesh, &app.host(), from, 8).await);
        assert_eq!(of("127.0.0.1").await, 3);
        assert_eq!(of("127.0.0.2").await, 3);
        assert_eq!(of("127.0.0.1").await, 0);
        limited(&get(&mesh, &app).await);
        // Both hold.
        put(&app, only(4), only(3)).await;
        assert_eq!(of("127.0.0.1").await, 3);
        assert_eq!(of("127.0.0.2").await, 1);
        put(&app, None, None).await;
        assert_eq!(of("127.0.0.2").await, 8);
        mesh.finish().await;
    });
}

/// A request that comes to several dynos is one.
#[test]
fn what_is_tried_again_counts_once() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", settings(only(4), only(4))).await;
        let mut dynos = app.dynos(4).await;
        // They are up as far as anybody knows.
        for dyno in &mut dynos[1..] {
            dyno.process.kill().await;
        }
        for _ in 0..4 {
            assert_eq!(get(&mesh, &app).await.status(), 200);
        }
        limited(&get(&mesh, &app).await);
        mesh.finish().await;
    });
}

#[test]
fn pages_for_those_who_come_too_soon() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", settings(only(1), None)).await;
        let _dyno = app.dyno("web.1").await;
        assert_eq!(get(&mesh, &app).await.status(), 200);
        let answer = get(&mesh, &app).await;
        limited(&answer);
        assert!(answer.text().contains("429 &middot; rate-limited"));
        let json = async || {
            let request = mesh.request("GET", &app.host(), "/");
            request.header("Accept", "application/json").send().await
        };
        let answer = json().await;
        limited(&answer);
        let told = answer.json::<serde_json::Value>();
        assert_eq!(
            (&told["error"], &told["status"]),
            (&"rate-limited".into(), &429.into())
        );
        app.page("rate-limited", "text/html", "{{app}}: {{status}} {{code}}")
            .await;
        app.page("error", "application/json", "{\"own\": \"{{code}}\"}")
            .await;
        let answer = get(&mesh, &app).await;
        limited(&answer);
        assert_eq!(answer.text(), "shop: 429 rate-limited");
        let answer = json().await;
        limited(&answer);
        assert_eq!(answer.json::<serde_json::Value>()["own"], "rate-limited");
        mesh.finish().await;
    });
}

#[test]
fn with_meshctl() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let ran = mesh
            .ctl("app set shop --max-rate 100/h:2 --max-client-rate 600/m")
            .await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let ran = mesh.ctl("app show shop").await;
        assert!(ran.stdout.contains("max rate        100/h:2"), "{ran:?}");
        assert!(ran.stdout.contains("client rate     600/m"), "{ran:?}");
        assert_eq!(served(&curl(&mesh, &app.host(), "127.0.0.1", 5).await), 2);
        // What is not given stays as it is.
        let ran = mesh.ctl("app set shop --max-rate none").await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(served(&curl(&mesh, &app.host(), "127.0.0.1", 5).await), 5);
        let ran = mesh.ctl("app show shop").await;
        assert!(ran.stdout.contains("client rate     600/m"), "{ran:?}");
        let ran = mesh.ctl("app set shop --max-rate 2000000/s").await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("max_rate is 1 to 1000000"), "{ran:?}");
        mesh.finish().await;
    });
}
