//! The reference manager when things go wrong, and under load.

use std::time::{Duration, Instant};

use dynomesh_proto::v1::{DynoState, operation::Kind};
use e2e::{
    Mesh,
    harness::{Manager, Signal, run, run_within, wait},
    load::{self, Options},
};
use rustix::{
    io::Errno,
    process::{Pid, kill_process, test_kill_process_group},
};

/// So many dynos of the app are in this state.
async fn until_dynos(mesh: &Mesh, app: &str, count: usize, state: DynoState) {
    wait::until(&format!("{count} of {app} {state:?}"), async || {
        let Ok(status) = mesh.control().try_app(app).await else {
            return false;
        };
        let dynos = status.app.unwrap_or_default().dynos;
        dynos.len() == count && dynos.iter().all(|dyno| dyno.state() == state)
    })
    .await;
}

/// These groups have no process any more.
async fn until_gone(groups: &[i32]) {
    for group in groups {
        let pid = Pid::from_raw(*group).unwrap();
        wait::until(&format!("group {group} is gone"), async || {
            test_kill_process_group(pid) == Err(Errno::SRCH)
        })
        .await;
    }
}

#[test]
fn an_app_that_crashes_says_so_at_once_until_it_is_tried_again() {
    run(async {
        let mesh = Mesh::start().await;
        let apps = "[apps.bad]\ncommand = ['sh', '-c', 'exit 3']\ndomains = ['bad.test']";
        let manager = Manager::start(&mesh, apps).await;
        wait::until("the app is there", async || {
            mesh.control().try_app("bad").await.is_ok()
        })
        .await;
        // It waits for the boot, which fails.
        let answer = mesh.get("bad.test", "/").await;
        assert_eq!(
            (answer.status(), answer.header("x-mesh-error")),
            (503, Some("H10"))
        );
        let starts = || manager.log().matches("starting").count();
        for tries in 1..=2 {
            assert_eq!(starts(), tries);
            until_dynos(&mesh, "bad", 1, DynoState::Crashed).await;
            let start = Instant::now();
            let answer = mesh.get("bad.test", "/").await;
            assert_eq!(answer.header("x-mesh-error"), Some("H10"));
            assert!(
                start.elapsed() < Duration::from_millis(500),
                "{:?}",
                start.elapsed()
            );
            assert_eq!(starts(), tries, "it is left alone");
            // The next request after the pause tries it again.
            until_dynos(&mesh, "bad", 0, DynoState::Crashed).await;
            assert_eq!(
                mesh.get("bad.test", "/").await.header("x-mesh-error"),
                Some("H10")
            );
        }
        manager.finish().await;
        mesh.finish().await;
    });
}

#[test]
fn an_app_that_does_not_come_up_in_time_has_crashed() {
    run(async {
        let mesh = Mesh::start().await;
        let apps = "[apps.stuck]\ncommand = ['sleep', '600']\ndomains = ['stuck.test']\nboot_timeout = '400ms'";
        let manager = Manager::start(&mesh, apps).await;
        wait::until("the app is there", async || {
            mesh.control().try_app("stuck").await.is_ok()
        })
        .await;
        let start = Instant::now();
        let answer = mesh.get("stuck.test", "/").await;
        assert_eq!(answer.header("x-mesh-error"), Some("H10"));
        assert!(
            start.elapsed() >= Duration::from_millis(400),
            "{:?}",
            start.elapsed()
        );
        wait::until("its process is gone", async || {
            manager.processes().is_empty()
        })
        .await;
        manager.finish().await;
        mesh.finish().await;
    });
}

/// What the process of a dyno has started goes, too.
const FAMILY: &str = "
[apps.shop]
command = ['sh', '-c', 'sleep 600 & exec SAMPLE --app shop --name $DYNO_INSTANCE']
domains = ['shop.test']
min = 2
max = 2
health = '/'
";

#[test]
fn one_that_is_killed_leaves_nothing_and_another_takes_over() {
    run(async {
        let mesh = Mesh::start().await;
        let mut manager = Manager::start(&mesh, FAMILY).await;
        until_dynos(&mesh, "shop", 2, DynoState::Up).await;
        let groups = manager.processes();
        assert_eq!(groups.len(), 2);
        let before = mesh.get("shop.test", "/").await.dyno().to_owned();
        manager.kill().await;
        let second = Manager::start(&mesh, FAMILY).await;
        until_gone(&groups).await;
        until_dynos(&mesh, "shop", 2, DynoState::Up).await;
        let after = mesh.get("shop.test", "/").await;
        assert_eq!(after.status(), 200);
        assert_ne!(after.dyno(), before);
        second.finish().await;
        mesh.finish().await;
    });
}

#[test]
fn one_that_is_told_to_stop_lets_its_dynos_finish() {
    run(async {
        let mesh = Mesh::start().await;
        let mut manager = Manager::start(&mesh, FAMILY).await;
        until_dynos(&mesh, "shop", 2, DynoState::Up).await;
        let groups = manager.processes();
        let request = mesh.request("GET", "shop.test", "/sleep/700");
        let mut conns = Vec::new();
        for _ in 0..2 {
            conns.push(request.start().await.unwrap());
        }
        mesh.control().until_load("shop", 2, 0).await;
        manager.terminate();
        until_dynos(&mesh, "shop", 2, DynoState::Draining).await;
        // Who comes now waits for the next manager.
        let mut late = mesh.request("GET", "shop.test", "/").start().await.unwrap();
        mesh.control().until_load("shop", 2, 1).await;
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        assert!(manager.ended().await.success());
        until_gone(&groups).await;
        until_dynos(&mesh, "shop", 0, DynoState::Up).await;
        let second = Manager::start(&mesh, FAMILY).await;
        assert_eq!(late.response().await.unwrap().status(), 200);
        second.finish().await;
        mesh.finish().await;
    });
}

#[test]
fn a_sidecar_that_restarts_breaks_nothing() {
    run(async {
        let mut mesh = Mesh::start().await;
        let apps = format!(
            "{FAMILY}\n[apps.blog]\ncommand = ['SAMPLE', '--app', 'blog']\ndomains = ['blog.test']"
        );
        let manager = Manager::start(&mesh, &apps).await;
        until_dynos(&mesh, "shop", 2, DynoState::Up).await;
        let groups = manager.processes();
        mesh.stop_meshd().await;
        // Nobody can be told of it now.
        kill_process(Pid::from_raw(groups[0]).unwrap(), Signal::KILL).unwrap();
        wait::until("its end is noticed", async || manager.processes() != groups).await;
        mesh.start_meshd().await;
        until_dynos(&mesh, "shop", 2, DynoState::Up).await;
        for _ in 0..4 {
            assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
        }
        assert_eq!(mesh.get("blog.test", "/").await.status(), 200);
        assert!(
            manager.processes().contains(&groups[1]),
            "the other one went on"
        );
        manager.finish().await;
        mesh.finish().await;
    });
}

/// Fewer are wanted only after a minute, so this takes as long.
#[test]
fn load_brings_dynos_and_quiet_takes_them_away() {
    run_within(Duration::from_secs(120), async {
        let mesh = Mesh::start().await;
        let apps = "
[apps.shop]
command = ['SAMPLE', '--app', 'shop']
domains = ['shop.test']
min = 1
max = 4
scale_wait = '100ms'
idle_timeout = 'never'
";
        let manager = Manager::start(&mesh, apps).await;
        until_dynos(&mesh, "shop", 1, DynoState::Up).await;
        // 16 clients, of whom one dyno serves one at a time: 1.6 s for a turn.
        let report = load::run(Options {
            connections: 16,
            requests: Some(300),
            targets: vec!["/sleep/100".to_owned()],
            ..Options::new(mesh.nginx.address, "shop.test")
        })
        .await;
        assert_eq!((report.requests, report.failures()), (300, 0), "{report:?}");
        until_dynos(&mesh, "shop", 4, DynoState::Up).await;
        // The window that had the load in it is no longer asked about.
        mesh.control()
            .add_dyno("shop", "extra", "127.0.0.1:1")
            .await;
        let remove = Kind::RemoveDyno("extra".to_owned());
        mesh.control().apply("shop", vec![remove]).await;
        let quiet = Instant::now();
        wait::within(Duration::from_secs(90), "one dyno is left", async || {
            manager.processes().len() == 1
        })
        .await;
        assert!(
            quiet.elapsed() > Duration::from_secs(40),
            "{:?}",
            quiet.elapsed()
        );
        until_dynos(&mesh, "shop", 1, DynoState::Up).await;
        assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
        manager.finish().await;
        mesh.finish().await;
    });
}
