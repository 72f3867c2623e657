//! A dyno that cannot be reached costs no request, and no request is made twice
//! that may not be.

use std::io;

use dynomesh_proto::v1::{Policy, Settings};
use e2e::{
    App, Dyno, Mesh,
    harness::{Builder, ClosedPort, closed_port, run, wait},
    load::{self, Options},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::echo::Echo;

/// Requests of each kind.
const TIMES: u32 = 100;

/// An app of which one dyno answers and the other cannot be reached.
struct Half {
    mesh: Mesh,
    app: App,
    good: Dyno,
    bad: String,
    _port: Option<ClosedPort>,
    /// How often the bad one was tried.
    tried: u32,
}

impl Half {
    async fn start() -> Self {
        Self::start_with(Mesh::builder()).await
    }

    async fn start_with(builder: Builder) -> Self {
        let mesh = builder.workers(2).start().await;
        let port = closed_port();
        Self {
            bad: port.address.clone(),
            _port: Some(port),
            ..Self::refused_at(mesh, "").await
        }
    }

    /// On a unix socket that nobody listens on any more, connecting fails at once.
    async fn unix() -> Self {
        let mesh = Mesh::builder().workers(2).start().await;
        let path = mesh.dir().join("gone.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Self::refused_at(mesh, &format!("unix:{}", path.display())).await
    }

    async fn refused_at(mesh: Mesh, bad: &str) -> Self {
        let settings = Settings {
            policy: Policy::Random.into(),
            ..Settings::default()
        };
        let app = mesh.app_with("half", settings).await;
        let good = app.dyno("good").await;
        Self {
            mesh,
            app,
            good,
            bad: bad.to_owned(),
            _port: None,
            tried: 0,
        }
    }

    /// The bad dyno is new again, so it is not in quarantine.
    async fn tempt(&self) {
        self.app.register("bad", &self.bad).await;
    }

    async fn look(&mut self) {
        let status = self.app.status().await;
        let bad = status.dynos.iter().find(|dyno| dyno.name == "bad").unwrap();
        self.tried += u32::from(bad.quarantine_ms > 0);
    }

    async fn finish(self) {
        // A half is expected: fewer than this, and the test has tested nothing.
        assert!(self.tried > TIMES / 5, "only {} tries", self.tried);
        assert_eq!(self.good.figures().await.total, u64::from(TIMES));
        self.mesh.finish().await;
    }
}

#[test]
fn get() {
    run(async {
        let mut half = Half::start().await;
        for _ in 0..TIMES {
            half.tempt().await;
            let seen = Echo::of(&half.mesh.get("half.test", "/echo").await);
            assert_eq!(seen.dyno, "good");
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn post_with_a_body() {
    run(async {
        let mut half = Half::start().await;
        let body = vec![b'x'; 100_000];
        for _ in 0..TIMES {
            half.tempt().await;
            let request = half.mesh.request("POST", "half.test", "/echo");
            let seen = Echo::of(&request.body(body.clone()).send().await);
            assert_eq!(seen.length, 100_000);
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn post_in_chunks() {
    run(async {
        let mut half = Half::start().await;
        for _ in 0..TIMES {
            half.tempt().await;
            let request = half.mesh.request("POST", "half.test", "/echo");
            let seen = Echo::of(&request.body("some chunks").chunked().send().await);
            assert_eq!(seen.body, "some chunks");
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn post_that_waits_to_be_asked() {
    run(async {
        let mut half = Half::start().await;
        for _ in 0..TIMES {
            half.tempt().await;
            let request = half
                .mesh
                .request("POST", "half.test", "/echo")
                .header("Expect", "100-continue")
                .body("asked for");
            let mut conn = e2e::client::Conn::open(half.mesh.nginx.address)
                .await
                .unwrap();
            conn.send(request.head()).await.unwrap();
            assert_eq!(conn.head().await.unwrap().status(), 100);
            conn.send(request.payload()).await.unwrap();
            let seen = Echo::of(&conn.response().await.unwrap());
            assert_eq!(seen.body, "asked for");
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn post_that_is_not_read_before_it_is_sent() {
    run(async {
        let unbuffered = Mesh::builder().location("proxy_request_buffering off;");
        let mut half = Half::start_with(unbuffered).await;
        for number in 0..TIMES {
            half.tempt().await;
            let request = half.mesh.request("POST", "half.test", "/echo");
            let mut request = request.body(vec![b'x'; 100_000]);
            if number % 2 == 1 {
                request = request.chunked();
            }
            let seen = Echo::of(&request.send().await);
            assert_eq!(seen.length, 100_000);
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn a_refusal_on_the_spot() {
    run(async {
        let mut half = Half::unix().await;
        for number in 0..TIMES {
            half.tempt().await;
            let request = match number % 2 {
                0 => half.mesh.request("GET", "half.test", "/echo"),
                _ => half.mesh.request("POST", "half.test", "/echo").body("body"),
            };
            let seen = Echo::of(&request.send().await);
            assert_eq!(seen.dyno, "good");
            assert_eq!(seen.body, ["", "body"][number as usize % 2]);
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn upgrade() {
    run(async {
        let mut half = Half::start().await;
        for _ in 0..TIMES {
            half.tempt().await;
            let request = half
                .mesh
                .request("GET", "half.test", "/ws")
                .header("Connection", "Upgrade")
                .header("Upgrade", "echo");
            let mut conn = request.start().await.unwrap();
            assert_eq!(conn.head().await.unwrap().status(), 101);
            conn.send("ping").await.unwrap();
            assert_eq!(conn.exactly(4).await.unwrap(), "ping");
            drop(conn);
            half.look().await;
        }
        half.finish().await;
    });
}

#[test]
fn under_load() {
    run(async {
        let half = Half::start().await;
        half.tempt().await;
        let load = load::Load::start(Options {
            connections: 8,
            ..Options::new(half.mesh.nginx.address, "half.test")
        });
        for _ in 0..50 {
            load.more(20).await;
            half.tempt().await;
        }
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        half.mesh.finish().await;
    });
}

fn least_load() -> Settings {
    Settings {
        policy: Policy::LeastLoad.into(),
        ..Settings::default()
    }
}

async fn times_seen(dynos: &[Dyno], id: &str) -> Vec<usize> {
    let mut times = Vec::new();
    for dyno in dynos {
        times.push(dyno.times_seen(id).await);
    }
    times
}

#[test]
fn a_post_is_never_made_twice() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", least_load()).await;
        let dynos = app.dynos(3).await;
        for number in 0..30 {
            // They read the whole request, then break off.
            for target in ["/close", "/reset", "/bad-header", "/close-mid-body"] {
                let id = format!("{target}-{number}");
                let request = mesh.request("POST", &app.host(), target).id(&id);
                let _ = request.body("only once").try_send().await;
                let times: usize = times_seen(&dynos, &id).await.iter().sum();
                assert_eq!(times, 1, "{id}");
            }
        }
        mesh.finish().await;
    });
}

#[test]
fn a_get_is_tried_at_each_dyno_once() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("shop", least_load()).await;
        let dynos = app.dynos(3).await;
        for number in 0..20 {
            let id = format!("get-{number}");
            let request = mesh.request("GET", &app.host(), "/close").id(&id);
            let answer = request.send().await;
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.header("x-mesh-error"), Some("H13"));
            let times = times_seen(&dynos, &id).await;
            assert!(times.iter().all(|times| *times <= 1), "{times:?}");
            assert!(times.iter().sum::<usize>() >= 2, "{times:?}");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_kept_connection_that_the_dyno_closes_costs_nothing() {
    run(async {
        let (mesh, app, dynos) = Mesh::with_dynos(2).await;
        let report = load::run(Options {
            connections: 2,
            requests: Some(1_000),
            targets: vec!["/keepalive-close".to_owned(), "/".to_owned()],
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(
            (report.requests, report.failures()),
            (1_000, 0),
            "{report:?}"
        );
        for dyno in dynos {
            assert_eq!(dyno.figures().await.double_bookings, 0);
        }
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_is_killed_costs_nobody_else_a_request() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let app = mesh.app_with("shop", least_load()).await;
        let mut dynos = app.dynos(3).await;
        let load = load::Load::start(Options {
            connections: 8,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        load.more(500).await;
        dynos[0].process.kill().await;
        load.more(500).await;
        // GET may be tried again, so not even those that it had are lost.
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn an_answer_that_others_are_asked_about_is_asked_of_each_once() {
    run(async {
        for (status, kind) in [(404, "http_404"), (403, "http_403"), (503, "http_503")] {
            let (mesh, app, dynos) = Mesh::builder()
                .location(&format!("proxy_next_upstream error {kind};"))
                .with_dynos(3)
                .await;
            let target = format!("/status/{status}");
            let answer = mesh.get(&app.host(), &target).await;
            assert_eq!(answer.status(), status, "{answer:?}");
            for dyno in &dynos {
                assert_eq!(dyno.figures().await.total, 1, "{kind}");
            }
            mesh.finish().await;
        }
    });
}

#[test]
fn a_wait_after_a_refusal_outlasts_a_reload() {
    run(async {
        let mut mesh = Mesh::start().await;
        let app = mesh.app("shop").await;
        // Refuses at once: nobody listens on this socket any more.
        let path = mesh.dir().join("gone.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        app.register("web.1", &format!("unix:{}", path.display()))
            .await;
        let dyno = app.dyno("web.2").await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waits = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        mesh.nginx.signal_reload();
        wait::until("the old worker takes no connections", async || {
            mesh.error_log().contains("gracefully shutting down")
        })
        .await;
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(waits.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

/// Says "ok" once on each connection and closes it at the next request; what comes
/// first on a connection and wants garbage gets that.
async fn serve_once(mut stream: TcpStream) -> io::Result<()> {
    let mut request = vec![0; 4_096];
    let length = stream.read(&mut request).await?;
    if request[..length].starts_with(b"GET /garbage") {
        return stream.write_all(b"this is no HTTP\r\n\r\n").await;
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer).await?;
    // It, or the end of the connection.
    let _next = stream.read(&mut request).await?;
    Ok(())
}

/// Of a busy app, whose requests have leases ahead.
#[test]
fn the_second_attempt_is_looked_at_like_the_first() {
    run(async {
        let mesh = Mesh::start().await;
        let app = mesh.app_with("busy", least_load()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let dyno = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_once(stream));
            }
        });
        app.register("web.1", &address).await;
        let crowd = load::Load::start(Options {
            connections: 32,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        crowd.more(500).await;
        for number in 0..200 {
            let answer = mesh.get(&app.host(), "/garbage").await;
            assert_eq!(answer.status(), 503, "{number}: {}", answer.text());
            assert_eq!(answer.header("x-mesh-error"), Some("H17"));
        }
        crowd.stop().await;
        dyno.abort();
        mesh.finish().await;
    });
}
