//! Apps that sleep until a request comes, and sleep again when none does.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{Settings, event};
use e2e::{
    Mesh,
    harness::{Manager, Process, Signal, paths, run, wait},
};
use tokio::net::TcpStream;

/// An app of one dyno that takes a while to boot.
const SLOW: &str = "
[apps.shop]
command = ['sh', '-c', 'sleep 0.3; exec SAMPLE --app shop --name $DYNO_INSTANCE']
domains = ['shop.test']
idle_timeout = '1s'
";

const BOOT: Duration = Duration::from_millis(300);

async fn until_asleep(mesh: &Mesh, app: &str) {
    let asleep = |status: &dynomesh_proto::v1::AppStatus| {
        status.app.as_ref().is_some_and(|app| app.dynos.is_empty())
    };
    mesh.control().until_app(app, "it sleeps", asleep).await;
}

/// How long the app's command takes until it listens, without a mesh.
async fn boot_time() -> Duration {
    let port = || {
        Some(
            std::net::TcpListener::bind("127.0.0.1:0")
                .ok()?
                .local_addr()
                .ok()?
                .port(),
        )
    };
    let port = port().unwrap();
    let sample = paths::own("sample-dyno").display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("sleep 0.3; exec {sample}")]);
    command.env("PORT", port.to_string()).stdout(Stdio::null());
    let start = Instant::now();
    let mut process = Process::start(command, Signal::KILL).unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = start.elapsed();
    process.kill().await;
    took
}

#[test]
fn a_request_wakes_an_app_and_silence_puts_it_to_sleep() {
    run(async {
        let mesh = Mesh::start().await;
        let manager = Manager::start(&mesh, SLOW).await;
        wait::until("the app is there", async || {
            mesh.control().try_app("shop").await.is_ok()
        })
        .await;
        let boot = boot_time().await;
        let mut instances = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            let answer = mesh.get("shop.test", "/").await;
            let took = start.elapsed();
            assert_eq!(answer.status(), 200);
            println!("first byte after {took:?}, the boot takes {boot:?}");
            assert!(
                took >= BOOT && took < boot + Duration::from_secs(1),
                "{took:?}"
            );
            instances.push(answer.dyno().to_owned());
            // While it is awake, nobody waits.
            let start = Instant::now();
            assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
            assert!(start.elapsed() < BOOT, "{:?}", start.elapsed());
            until_asleep(&mesh, "shop").await;
            assert_eq!(manager.processes(), [] as [i32; 0]);
        }
        instances.dedup();
        assert_eq!(
            instances.len(),
            3,
            "each start is another process: {instances:?}"
        );
        manager.finish().await;
        mesh.finish().await;
    });
}

/// It comes up when the test says so.
const GATED: &str = "
[apps.shop]
command = ['sh', '-c', 'until [ -e DIR/gate ]; do sleep 0.01; done; exec SAMPLE --app shop']
max = 4
scale_wait = 'never'
";

/// All held at once by Nginx while the app boots.
#[test]
fn a_thousand_first_requests_start_one_dyno_and_are_served_in_order() {
    const CROWD: u32 = 1_000;
    run(async {
        let mesh = Mesh::start().await;
        let deep = Settings {
            queue_depth: CROWD,
            ..Settings::default()
        };
        mesh.control()
            .create_app("shop", deep, &["shop.test"])
            .await;
        let gate = mesh.dir().join("gate");
        let manager = Manager::start(&mesh, GATED).await;
        mesh.control()
            .until_app("shop", "it may be woken", |status| {
                status
                    .app
                    .as_ref()
                    .is_some_and(|app| app.settings.unwrap_or_default().wake)
            })
            .await;
        let mut events = mesh.control().watch("shop").await;
        let ids: Vec<String> = (1..=CROWD).map(|number| format!("nr-{number}")).collect();
        let mut conns = Vec::new();
        for (waiting, id) in (1..).zip(&ids) {
            let request = mesh.request("GET", "shop.test", "/").id(id);
            conns.push(request.start().await.unwrap());
            mesh.control().until_load("shop", 0, waiting).await;
        }
        fs::write(&gate, "").unwrap();
        for conn in &mut conns {
            assert_eq!(conn.response().await.unwrap().status(), 200);
        }
        // One worker writes the log, and one dyno serves one request at a time.
        wait::until("all is logged", async || {
            mesh.access_log().len() == ids.len()
        })
        .await;
        let served: Vec<_> = mesh
            .access_log()
            .into_iter()
            .map(|entry| entry.id)
            .collect();
        assert_eq!(served, ids);
        assert_eq!(manager.log().matches("starting").count(), 1);
        // The last event of this app is one that the test causes.
        mesh.control()
            .apply(
                "shop",
                vec![dynomesh_proto::v1::operation::Kind::SetMaintenance(true)],
            )
            .await;
        let mut needed = 0;
        loop {
            let kind = events.next(Some).await;
            match kind {
                event::Kind::NeedDyno(_) => needed += 1,
                event::Kind::Changed(change) if said_maintenance(&change) => break,
                _ => {}
            }
        }
        assert_eq!(needed, 1);
        manager.finish().await;
        mesh.finish().await;
    });
}

fn said_maintenance(change: &dynomesh_proto::v1::Change) -> bool {
    use dynomesh_proto::v1::operation::Kind;
    let mut kinds = change
        .operations
        .iter()
        .filter_map(|operation| operation.kind.as_ref());
    kinds.any(|kind| matches!(kind, Kind::SetMaintenance(true)))
}

/// The second manager: a page of Python around `meshctl`.
#[test]
fn the_example_manager_wakes_an_app_and_puts_it_to_sleep() {
    run(async {
        let mesh = Mesh::start().await;
        let sleepy = Settings {
            wake: true,
            idle_timeout_ms: 1_000,
            ..Settings::default()
        };
        mesh.control()
            .create_app("shop", sleepy, &["shop.test"])
            .await;
        let sample = paths::own("sample-dyno");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/manager.py");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .args(["shop", "2"])
            .arg(sample)
            .args(["--app", "shop"])
            .env("MESHCTL", paths::meshctl())
            .env("DYNOMESH_CONTROL_SOCKET", mesh.control_socket())
            .stdout(Stdio::piped());
        // KILL would leave its dynos.
        let mut process = Process::start(command, Signal::TERM).unwrap();
        let mut lines = BufReader::new(process.stdout().unwrap()).lines();
        let ready = tokio::task::spawn_blocking(move || lines.next().map(|line| (line, lines)));
        let ready = ready.await.unwrap();
        assert!(ready.is_some(), "it says that it watches");
        for _ in 0..2 {
            assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
            until_asleep(&mesh, "shop").await;
        }
        assert_eq!(mesh.get("shop.test", "/").await.status(), 200);
        process.signal(Signal::TERM);
        assert_eq!(process.wait().await.code(), Some(0));
        until_asleep(&mesh, "shop").await;
        mesh.finish().await;
    });
}
