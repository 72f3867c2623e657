//! Dynos that speak what gateways speak, not HTTP.

use std::{io, sync::Arc};

use e2e::{
    App, Mesh,
    dyno::Dyno,
    harness::{run, wait},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug)]
enum Protocol {
    FastCgi,
    Scgi,
    Uwsgi,
}

use Protocol::{FastCgi, Scgi, Uwsgi};

const ANSWER: &str = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nfrom a gateway\n";

impl Protocol {
    fn location(self) -> String {
        let name = format!("{self:?}").to_lowercase();
        format!("location /gateway {{ {name}_pass dynos; {name}_param REQUEST_URI $request_uri; }}")
    }

    /// Reads a request that has no body.
    async fn request(self, io: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            FastCgi => loop {
                let mut head = [0; 8];
                io.read_exact(&mut head).await?;
                let length = u16::from_be_bytes([head[4], head[5]]);
                let mut content = vec![0; usize::from(length) + usize::from(head[6])];
                io.read_exact(&mut content).await?;
                bytes.extend(content);
                // The end of what the client sends.
                if head[1] == 5 && length == 0 {
                    return Ok(bytes);
                }
            },
            Scgi => {
                let mut length = 0;
                loop {
                    match io.read_u8().await? {
                        b':' => break,
                        digit => length = length * 10 + usize::from(digit - b'0'),
                    }
                }
                // With a comma.
                bytes.resize(length + 1, 0);
            }
            Uwsgi => {
                io.read_u8().await?;
                bytes.resize(io.read_u16_le().await?.into(), 0);
                io.read_u8().await?;
            }
        }
        io.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    fn answer(self) -> Vec<u8> {
        match self {
            FastCgi => [
                &[1, 6, 0, 1, 0, ANSWER.len() as u8, 0, 0],
                ANSWER.as_bytes(),
                &[1, 6, 0, 1, 0, 0, 0, 0],
                &[1, 3, 0, 1, 0, 8, 0, 0],
                &[0; 8],
            ]
            .concat(),
            Scgi | Uwsgi => ANSWER.into(),
        }
    }
}

/// A dyno of this process, one request a connection. It ends when it is dropped.
struct Gateway {
    books: Arc<Dyno>,
    release: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// Listens, and is registered as `web.1`.
    async fn start(protocol: Protocol, app: &App) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let books = Arc::new(Dyno::new("web.1".to_owned(), app.name.clone(), 1));
        let release = watch::Sender::new(());
        let (own_books, releases) = (books.clone(), release.clone());
        let serving = tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                tokio::spawn(serve(protocol, io, own_books.clone(), releases.subscribe()));
            }
        });
        app.register("web.1", &address).await;
        Self {
            books,
            release,
            serving,
        }
    }

    /// Requests so far, those at once, those too many.
    fn seen(&self) -> (u64, u32, u64) {
        let figures = self.books.stats.figures();
        (figures.total, figures.max, figures.double_bookings)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    protocol: Protocol,
    mut io: TcpStream,
    books: Arc<Dyno>,
    mut releases: watch::Receiver<()>,
) -> io::Result<()> {
    let request = protocol.request(&mut io).await?;
    let mut visit = books.stats.begin_id(None);
    if memchr::memmem::find(&request, b"/hold").is_some() {
        releases.changed().await.map_err(io::Error::other)?;
    }
    visit.end();
    io.write_all(&protocol.answer()).await?;
    io.shutdown().await
}

async fn start(protocol: Protocol) -> (Mesh, App, Gateway) {
    let mesh = Mesh::builder().workers(2).server(&protocol.location());
    let mesh = mesh.start().await;
    let app = mesh.app("shop").await;
    let gateway = Gateway::start(protocol, &app).await;
    (mesh, app, gateway)
}

#[test]
fn one_at_a_time() {
    run(async {
        for protocol in [FastCgi, Scgi, Uwsgi] {
            let (mesh, app, gateway) = start(protocol).await;
            let ask = async || mesh.get(&app.host(), "/gateway").await;
            for answer in futures_util::future::join_all((0..30).map(|_| ask())).await {
                assert_eq!(answer.status(), 200, "{protocol:?}: {answer:?}");
                assert_eq!(answer.text(), "from a gateway\n", "{protocol:?}");
                assert!(answer.complete, "{protocol:?}");
            }
            app.until_load(0, 0).await;
            assert_eq!(gateway.seen(), (30, 1, 0), "{protocol:?}");
            mesh.finish().await;
        }
    });
}

#[test]
fn a_client_that_leaves_leaves_the_dyno_taken() {
    run(async {
        for protocol in [FastCgi, Scgi, Uwsgi] {
            let (mesh, app, gateway) = start(protocol).await;
            let request = mesh.request("GET", &app.host(), "/gateway/hold").id("left");
            let leaves = request.start().await.unwrap();
            wait::until("it is served", async || gateway.seen().0 == 1).await;
            leaves.abort();
            assert_eq!(mesh.logged("left").await.error, "H27", "{protocol:?}");
            let request = mesh.request("GET", &app.host(), "/gateway");
            let mut next = request.start().await.unwrap();
            app.until_load(1, 1).await;
            assert_eq!(gateway.seen(), (1, 1, 0), "{protocol:?}");
            gateway.release.send_replace(());
            assert_eq!(next.response().await.unwrap().status(), 200, "{protocol:?}");
            assert_eq!(gateway.seen(), (2, 1, 0), "{protocol:?}");
            mesh.finish().await;
        }
    });
}
