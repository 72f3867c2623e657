//! Parts that die, hang or are replaced, under load.

use std::time::{Duration, Instant};

use e2e::{
    App, Dyno, Mesh,
    client::{Conn, Request},
    harness::{Signal, run, wait},
    load::{self, Load, Options},
};
use futures_util::future::join_all;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

/// What is to be so within a second has this long, for a host that is busy.
const A_SECOND: Duration = Duration::from_millis(1_200);

fn load(mesh: &Mesh, app: &App) -> Load {
    Load::start(Options {
        connections: 16,
        targets: vec!["/".to_owned(), "/sleep/2".to_owned()],
        ..Options::new(mesh.nginx.address, &app.host())
    })
}

async fn no_double_bookings(dynos: &[Dyno]) {
    for dyno in dynos {
        assert_eq!(dyno.figures().await.double_bookings, 0, "{}", dyno.name);
    }
}

async fn loads_are_zero(mesh: &Mesh, app: &App) {
    mesh.control().until_idle().await;
    let status = app.status().await;
    assert!(status.dynos.iter().all(|dyno| dyno.load == 0), "{status:?}");
}

#[test]
fn the_sidecar_is_killed_under_load() {
    run(async {
        let (mut mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(6).await;
        let load = load(&mesh, &app);
        for _ in 0..3 {
            load.more(500).await;
            mesh.crash_meshd().await;
        }
        load.more(500).await;
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        assert_eq!(report.stale, 0, "{report:?}");
        // The leases of before the restart were counted after it.
        no_double_bookings(&dynos).await;
        loads_are_zero(&mesh, &app).await;
        mesh.finish().await;
    });
}

#[test]
fn the_sidecar_is_restarted_under_load() {
    run(async {
        let (mut mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(6).await;
        let load = load(&mesh, &app);
        for _ in 0..3 {
            load.more(500).await;
            mesh.stop_meshd().await;
            mesh.start_meshd().await;
        }
        load.more(500).await;
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        no_double_bookings(&dynos).await;
        loads_are_zero(&mesh, &app).await;
        mesh.finish().await;
    });
}

#[test]
fn a_request_that_is_served_survives_the_sidecar() {
    run(async {
        let (mut mesh, app, dyno) = Mesh::with_dyno().await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waiting = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        mesh.crash_meshd().await;
        // The new sidecar learns from the worker what is held, and who waits.
        app.until_load(1, 1).await;
        assert_eq!(dyno.figures().await.total, 1);
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(waiting.response().await.unwrap().status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}

#[test]
fn each_worker_says_hello_before_its_first_request() {
    run(async {
        let mut mesh = Mesh::builder().workers(3).start().await;
        mesh.until_sessions(3).await;
        mesh.crash_meshd().await;
        mesh.until_sessions(3).await;
        mesh.finish().await;
    });
}

/// Asks until the answer is H99, and returns how long that one took.
async fn until_h99(mesh: &Mesh, app: &App) -> Duration {
    wait::some(Duration::from_secs(10), "H99", async || {
        let start = Instant::now();
        let answer = mesh.get(&app.host(), "/").await;
        (answer.header("x-mesh-error") == Some("H99")).then(|| {
            assert_eq!(answer.status(), 503);
            start.elapsed()
        })
    })
    .await
}

#[test]
fn a_long_outage() {
    run(async {
        let (mut mesh, app, _dyno) = Mesh::builder().outage_timeout("1s").with_dyno().await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.kill_meshd().await;
        let took = until_h99(&mesh, &app).await;
        assert!(took < Duration::from_secs(3), "{took:?}");
        let request = mesh.request("GET", &app.host(), "/").id("outage");
        assert_eq!(request.send().await.status(), 503);
        assert_eq!(mesh.logged("outage").await.error, "H99");

        mesh.start_meshd().await;
        wait::until("it is served again", async || {
            mesh.get(&app.host(), "/").await.status() == 200
        })
        .await;
        mesh.finish().await;
    });
}

#[test]
fn a_sidecar_that_hangs_is_noticed() {
    run(async {
        let (mut mesh, app, _dyno) = Mesh::builder().outage_timeout("1s").with_dyno().await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        mesh.signal_meshd(Signal::STOP);
        let took = until_h99(&mesh, &app).await;
        assert!(took < Duration::from_secs(4), "{took:?}");
        mesh.signal_meshd(Signal::CONT);
        wait::until("it is served again", async || {
            mesh.get(&app.host(), "/").await.status() == 200
        })
        .await;
        loads_are_zero(&mesh, &app).await;
        mesh.finish().await;
    });
}

#[test]
fn a_frozen_sidecar_is_out_of_reach_within_a_second() {
    run(async {
        let (mut mesh, app, _dynos) = Mesh::builder().workers(2).with_dynos(2).await;
        mesh.until_sessions(2).await;
        let load = Load::start(Options {
            connections: 2,
            ..Options::new(mesh.nginx.address, &app.host())
        });
        let said = |mesh: &Mesh, words: &str| mesh.error_log().matches(words).count();
        for times in 1..=3 {
            load.more(20).await;
            mesh.signal_meshd(Signal::STOP);
            let start = Instant::now();
            wait::until("both workers notice", async || {
                said(&mesh, "router.sock is out of reach") == 2 * times
            })
            .await;
            let took = start.elapsed();
            assert!(took < A_SECOND, "{took:?}");
            mesh.signal_meshd(Signal::CONT);
            wait::until("both workers reach it", async || {
                said(&mesh, "sidecar is in reach again") == 2 * times
            })
            .await;
        }
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        mesh.finish().await;
    });
}

#[test]
fn a_short_hang_costs_nothing() {
    run(async {
        let (mut mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(6).await;
        let load = load(&mesh, &app);
        load.more(300).await;
        mesh.signal_meshd(Signal::STOP);
        // A pause is the point here: nobody can be asked meanwhile.
        tokio::time::sleep(Duration::from_millis(400)).await;
        mesh.signal_meshd(Signal::CONT);
        load.more(300).await;
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        no_double_bookings(&dynos).await;
        loads_are_zero(&mesh, &app).await;
        mesh.finish().await;
    });
}

#[test]
fn a_killed_worker_holds_nothing() {
    run(async {
        let (mesh, app, dynos) = Mesh::with_dynos(3).await;
        let mut conns = Vec::new();
        for _ in 0..5 {
            let request = mesh.request("GET", &app.host(), "/hold");
            conns.push(request.start().await.unwrap());
        }
        app.until_load(3, 2).await;
        for dyno in &dynos {
            dyno.until_now(1).await;
        }
        let start = Instant::now();
        for worker in mesh.nginx.workers() {
            mesh.nginx.kill_worker(worker);
        }
        app.until_load(0, 0).await;
        let took = start.elapsed();
        assert!(took < Duration::from_millis(1_500), "{took:?}");
        for dyno in &dynos {
            dyno.release().await;
            dyno.until_now(0).await;
        }
        wait::until("a new worker serves", async || {
            let answer = mesh.request("GET", &app.host(), "/").try_send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        mesh.finish_with_alerts(&["exited on signal 9"]).await;
    });
}

#[test]
fn a_worker_that_stops_waits_for_no_sidecar() {
    run(async {
        let (mut mesh, app, _dyno) = Mesh::with_dyno().await;
        mesh.until_sessions(1).await;
        mesh.signal_meshd(Signal::STOP);
        // More is said than the socket takes from a worker that nobody listens to.
        let report = load::run(Options {
            connections: 32,
            requests: Some(500),
            abort_within: Some(Duration::from_millis(5)),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.aborted, 500, "{report:?}");
        mesh.nginx.reload().await;
        let noticed = mesh.error_log().contains("is out of reach");
        assert!(
            !noticed,
            "the worker had no link any more: this has tested nothing"
        );
        mesh.signal_meshd(Signal::CONT);
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        // Nginx's log has an alert for a worker that leaves something open.
        mesh.finish().await;
    });
}

/// A connection, and the worker that has it.
async fn connection(request: &Request) -> (Conn, u32) {
    let mut conn = request.start().await.unwrap();
    let answer = conn.response().await.unwrap();
    assert_eq!(answer.status(), 200);
    (conn, answer.header("x-worker").unwrap().parse().unwrap())
}

#[test]
fn nobody_else_notices_that_a_worker_is_killed() {
    run(async {
        let mesh = Mesh::builder()
            .workers(2)
            .location("add_header X-Worker $pid;")
            .start()
            .await;
        let (shop, held) = (mesh.app("shop").await, mesh.app("held").await);
        let (_dynos, _held_dynos) = (shop.dynos(2).await, held.dynos(2).await);
        let request = mesh.request("GET", &shop.host(), "/");
        let workers = mesh.nginx.workers();
        let (mut doomed, mut others) = (Vec::new(), Vec::new());
        while doomed.len() < 4 || others.len() < 4 {
            let (conn, worker) = connection(&request).await;
            match worker == workers[0] {
                true => doomed.push(conn),
                false => others.push(conn),
            }
            assert!(doomed.len() + others.len() < 500, "one worker has them all");
        }
        // Two are served by this worker, and two wait.
        let hold = mesh.request("GET", &held.host(), "/hold").head();
        for conn in &mut doomed[..4] {
            conn.send(&hold).await.unwrap();
        }
        held.until_load(2, 2).await;
        let (stop, mut stopped) = oneshot::channel();
        let steady = tokio::spawn(async move {
            let mut rounds = 0;
            while stopped.try_recv().is_err() {
                for answer in join_all(others.iter_mut().map(async |conn| {
                    conn.send(request.head()).await?;
                    conn.response().await
                }))
                .await
                {
                    assert_eq!(answer.unwrap().status(), 200);
                }
                rounds += 1;
            }
            rounds
        });
        let start = Instant::now();
        mesh.nginx.kill_worker(workers[0]);
        held.until_load(0, 0).await;
        let took = start.elapsed();
        assert!(took < A_SECOND, "{took:?}");
        mesh.until_sessions(2).await;
        stop.send(()).unwrap();
        let rounds = steady.await.unwrap();
        assert!(rounds > 10, "only {rounds} rounds: that was no load");
        mesh.finish_with_alerts(&["exited on signal 9"]).await;
    });
}

#[test]
fn nginx_reloads_under_load() {
    run(async {
        let (mut mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(6).await;
        let load = load(&mesh, &app);
        for _ in 0..5 {
            load.more(300).await;
            mesh.nginx.reload().await;
        }
        load.more(300).await;
        let report = load.stop().await;
        assert_eq!(report.failures(), 0, "{report:?}");
        no_double_bookings(&dynos).await;
        loads_are_zero(&mesh, &app).await;
        mesh.until_sessions(2).await;
        let counters = app.status().await.counters.unwrap();
        assert_eq!(counters.refused, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_reload_lets_requests_finish() {
    run(async {
        let (mut mesh, app, dyno) = Mesh::with_dyno().await;
        let mut held = mesh
            .request("GET", &app.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waiting = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 1).await;
        mesh.nginx.signal_reload();
        wait::until("the old worker takes no connections", async || {
            mesh.error_log().contains("gracefully shutting down")
        })
        .await;
        assert_eq!(mesh.nginx.workers().len(), 2, "the old one stays");
        let mut new = mesh.request("GET", &app.host(), "/").start().await.unwrap();
        app.until_load(1, 2).await;
        dyno.release().await;
        for conn in [&mut held, &mut waiting, &mut new] {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.until_sessions(1).await;
        mesh.finish().await;
    });
}

#[test]
fn more_requests_than_usual_wait_for_a_sidecar_that_does_not_come() {
    run(async {
        let (mut mesh, app, _dyno) = Mesh::builder().outage_timeout("1s").with_dyno().await;
        mesh.kill_meshd().await;
        let report = load::run(Options {
            connections: 1_500,
            requests: Some(1_500),
            ..Options::new(mesh.nginx.address, &app.host())
        })
        .await;
        assert_eq!(report.statuses.get(&503), Some(&1_500), "{report:?}");
        mesh.finish().await;
    });
}

/// Requests at a steady pace, however long each takes.
struct Steady {
    stop: oneshot::Sender<()>,
    answers: JoinHandle<(usize, Vec<String>)>,
}

impl Steady {
    fn start(request: Request, pace: Duration) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let answers = tokio::spawn(async move {
            let mut tick = tokio::time::interval(pace);
            let mut answers = JoinSet::new();
            while stopped.try_recv().is_err() {
                tick.tick().await;
                let request = request.clone();
                answers.spawn(async move {
                    match request.try_send().await {
                        Ok(answer) if answer.status() == 200 => None,
                        Ok(answer) => Some(answer.text()),
                        Err(error) => Some(error.to_string()),
                    }
                });
            }
            let answers = answers.join_all().await;
            (answers.len(), answers.into_iter().flatten().collect())
        });
        Self { stop, answers }
    }

    /// No more of them. What comes in the end: how many there were, and what went
    /// wrong.
    fn stop(self) -> JoinHandle<(usize, Vec<String>)> {
        self.stop.send(()).unwrap();
        self.answers
    }
}

/// More requests are held than an app's queue takes: they came before it was known
/// who holds what.
async fn an_outage(goes_on: Option<Duration>) {
    let (mut mesh, app, dynos) = Mesh::builder().workers(2).with_dynos(2).await;
    let request = mesh.request("GET", &app.host(), "/sleep/5");
    // Times are the point here.
    let load = Steady::start(request, Duration::from_millis(5));
    tokio::time::sleep(Duration::from_millis(500)).await;
    mesh.kill_meshd().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let answers = match goes_on {
        None => {
            let answers = load.stop();
            mesh.start_meshd().await;
            answers
        }
        Some(time) => {
            mesh.start_meshd().await;
            tokio::time::sleep(time).await;
            load.stop()
        }
    };
    let (requests, failures) = answers.await.unwrap();
    assert!(requests > 400, "only {requests}: that was no load");
    let first = failures.first();
    assert_eq!(first, None, "{} of {requests} failed", failures.len());
    no_double_bookings(&dynos).await;
    loads_are_zero(&mesh, &app).await;
    mesh.finish().await;
}

#[test]
fn no_request_of_an_outage_fails() {
    run(an_outage(None));
}

#[test]
fn no_request_after_an_outage_fails() {
    run(an_outage(Some(Duration::from_secs(2))));
}
