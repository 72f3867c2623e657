//! A thousand apps, some of which are busy.

use std::{net::SocketAddr, time::Duration};

use dynomesh_proto::v1::{
    Change, CreateApp, Dyno, DynoState, Operation, PutDyno, Settings, operation::Kind,
};
use e2e::{
    Mesh,
    load::{self, Options},
};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
    time::sleep,
};

const APPS: usize = 1_000;
/// Changes that are made at once.
const MAKERS: usize = 128;
/// Of these, the ones that have requests.
const BUSY: usize = 60;

const NAMES: [&str; 20] = [
    "shop", "blog", "search", "mail", "pay", "stock", "photo", "forum", "wiki", "chat", "maps",
    "news", "video", "radio", "books", "games", "travel", "recipes", "weather", "auth",
];

/// It ends with this.
pub(super) struct Crowd {
    dynos: JoinSet<()>,
    loads: JoinSet<()>,
}

impl Crowd {
    pub(super) async fn start(mesh: &Mesh) -> Self {
        let (mut dynos, mut loads) = (JoinSet::new(), JoinSet::new());
        for at in 0..APPS {
            let busy = at < BUSY;
            let count = if busy {
                2 + at * 7 % 15
            } else {
                1 + at * 7 % 5
            };
            let name = name(at);
            let settings = Settings {
                dyno_limit: if at % 3 == 0 { 4 } else { 0 },
                ..Settings::default()
            };
            let mut kinds = vec![
                Kind::CreateApp(CreateApp::default()),
                Kind::PutSettings(settings),
            ];
            kinds.push(Kind::AddDomain(format!("{name}.test")));
            for number in 0..count {
                let address = match busy {
                    true => {
                        dyno(&mut dynos, Duration::from_millis(30 + 9 * (at as u64 % 17))).await
                    }
                    // Nobody comes there.
                    false => SocketAddr::from((
                        [127, 99, at as u8, (at >> 8) as u8 * 16 + number as u8],
                        9,
                    )),
                };
                kinds.push(put(number, address, state(at, number)));
            }
            if at % 97 == 96 {
                kinds.push(Kind::SetMaintenance(true));
            }
            mesh.control()
                .apply_change(change(&name, kinds))
                .await
                .unwrap();
        }
        for at in 0..BUSY {
            let options = Options {
                connections: 1 + at * at % 13,
                duration: Some(Duration::from_secs(600)),
                ..Options::new(mesh.nginx.address, &format!("{}.test", name(at)))
            };
            loads.spawn(async { drop(load::run(options).await) });
        }
        for host in [
            "nobody.test",
            &format!("{}.test", name(96)),
            &format!("{}.test", name(193)),
        ] {
            let options = Options {
                duration: Some(Duration::from_secs(600)),
                ..Options::new(mesh.nginx.address, host)
            };
            let slowly = async move {
                loop {
                    let once = Options {
                        requests: Some(3),
                        ..options.clone()
                    };
                    drop(load::run(once).await);
                    sleep(Duration::from_millis(300)).await;
                }
            };
            loads.spawn(slowly);
        }
        Self { dynos, loads }
    }

    /// Charts have something to show after a while.
    pub(super) async fn see(&self) {
        sleep(Duration::from_secs(25)).await;
    }

    pub(super) async fn end(mut self, mesh: &Mesh) {
        self.loads.shutdown().await;
        mesh.control().until_idle().await;
        self.dynos.shutdown().await;
    }
}

/// So many apps with a dyno each, of which nobody wants anything.
pub(super) async fn many(mesh: &Mesh, count: usize) {
    let control = mesh.control();
    let make = |from: usize| async move {
        for at in (from..count).step_by(MAKERS) {
            let name = format!("idle-{at:05}");
            let [_, b, c, d] = (at as u32).to_be_bytes();
            let address = SocketAddr::from(([127, 100 + b, c, d], 9));
            let kinds = vec![
                Kind::CreateApp(CreateApp::default()),
                Kind::AddDomain(format!("{name}.test")),
                put(0, address, DynoState::Up),
            ];
            control.apply_change(change(&name, kinds)).await.unwrap();
        }
    };
    join_all((0..MAKERS).map(make)).await;
}

fn name(at: usize) -> String {
    match at / NAMES.len() {
        0 => NAMES[at].to_owned(),
        more => format!("{}-{more}", NAMES[at % NAMES.len()]),
    }
}

fn state(app: usize, number: usize) -> DynoState {
    match (app, number) {
        (app, 1) if app % 9 == 4 => DynoState::Starting,
        (app, 2) if app % 13 == 5 => DynoState::Draining,
        (app, 2) if app % 17 == 3 => DynoState::Crashed,
        (app, 3) if app % 11 == 2 => DynoState::Down,
        _ => DynoState::Up,
    }
}

fn put(number: usize, address: SocketAddr, state: DynoState) -> Kind {
    Kind::PutDyno(PutDyno {
        dyno: Some(Dyno {
            name: format!("web.{}", number + 1),
            address: address.to_string(),
            state: state.into(),
            ..Dyno::default()
        }),
        takeover: false,
    })
}

fn change(app: &str, kinds: Vec<Kind>) -> Change {
    let operations = kinds.into_iter().map(|kind| Operation { kind: Some(kind) });
    Change {
        app: app.to_owned(),
        base_version: 0,
        operations: operations.collect(),
    }
}

/// One that takes so long for everything.
async fn dyno(tasks: &mut JoinSet<()>, takes: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut conns = JoinSet::new();
        while let Ok((mut conn, _)) = listener.accept().await {
            conns.spawn(async move {
                let mut buffer = [0; 4_096];
                // A request is one read here: it is small, and from this host.
                while matches!(conn.read(&mut buffer).await, Ok(1..)) {
                    sleep(takes).await;
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if conn.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
