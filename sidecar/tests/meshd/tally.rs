//! What workers say of requests that have ended, and where it is to be seen.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use dynomesh_proto::v1::{
    Answered, AppTally, Spread, Tally, Told, router_message::Kind, sidecar_message,
};

use crate::harness::{Meshd, Worker};

/// What is to be seen of requests.
fn seen(meshd: &Meshd) -> Vec<String> {
    let log = meshd.log();
    let (_, address) = log
        .rsplit_once("who looks at http://")
        .expect("it says where");
    let address = address.split_whitespace().next().expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let lines = text
        .lines()
        .filter(|line| line.starts_with("dynomesh_requests_total"));
    lines
        .map(|line| {
            line.trim_start_matches("dynomesh_requests_total")
                .to_owned()
        })
        .collect()
}

fn app(name: &str, status: u32, error: &str) -> AppTally {
    AppTally {
        app: name.into(),
        answered: vec![Answered {
            status,
            error: error.into(),
            requests: 3,
        }],
        ..AppTally::default()
    }
}

async fn tell(worker: &mut Worker, number: u64, apps: Vec<AppTally>) {
    worker.say(Kind::Tally(Tally { number, apps }));
    let told = worker.message().await;
    assert_eq!(told, sidecar_message::Kind::Told(Told { number }));
}

#[tokio::test]
async fn what_is_said_again_counts_once() {
    let meshd = Meshd::start(&["--web", "127.0.0.1:0"]).await;
    let socket = meshd.path("router.sock");
    let mut worker = Worker::hello(&socket, 1).await;
    assert!(worker.welcome.settings.expect("settings").tallies);
    let apps = || vec![app("", 404, "no-app")];
    tell(&mut worker, 1, apps()).await;
    tell(&mut worker, 1, apps()).await;
    worker.break_off();
    let mut worker = Worker::hello(&socket, 1).await;
    tell(&mut worker, 1, apps()).await;
    tell(&mut worker, 2, apps()).await;
    let mut other = Worker::hello(&socket, 2).await;
    tell(&mut other, 1, apps()).await;
    let row = r#"{app="_none",status="404",error="no-app"} 9"#;
    assert_eq!(seen(&meshd), [row]);
}

#[tokio::test]
async fn what_is_odd_is_cut_to_size() {
    let meshd = Meshd::start(&["--web", "127.0.0.1:0", "--metrics-apps", "2"]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    let mut long = app(&"x".repeat(1_000), 70_000, "what\"is}this\n");
    long.waits = Some(Spread {
        counts: vec![u32::MAX; 99],
        sum_ms: u64::MAX,
    });
    let mut others = app("b", 5, "");
    others.others = true;
    let many = (0..5_000).map(|n| app(&format!("app-{n}"), 200, ""));
    tell(
        &mut worker,
        u64::MAX,
        [long, others].into_iter().chain(many).collect(),
    )
    .await;
    let mut rows = seen(&meshd);
    rows.sort();
    // Apps that there are not have no series of their own.
    assert_eq!(
        rows,
        [
            r#"{app="_other",status="200",error=""} 12279"#,
            r#"{app="_other",status="5xx",error=""} 3"#,
            r#"{app="_other",status="none",error="unknown"} 3"#,
        ]
    );
}

#[tokio::test]
async fn nobody_counts_where_nobody_looks() {
    let meshd = Meshd::start(&[]).await;
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(!worker.welcome.settings.expect("settings").tallies);
    tell(&mut worker, 1, vec![app("a", 200, "")]).await;
}
