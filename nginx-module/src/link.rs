//! The link to the sidecar: one HTTP/2 connection, one gRPC stream, made again
//! whenever it breaks.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io, mem,
    panic::AssertUnwindSafe,
    path::PathBuf,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_task::Task;
use dynomesh_proto::{
    MAX_MESSAGE,
    v1::{RouterMessage, router_client::RouterClient},
};
use futures_core::Stream;
use futures_util::future::{Either, FutureExt as _, select};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    rt::{Executor, Sleep, Timer},
};
use ngx::async_::sleep;
use tonic::body::Body;

use crate::{executor, fault, log, socket::Socket, worker};

/// First pause before a new attempt; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
/// A sidecar that answers no ping is found out after both of these: under 1 s.
const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(400);
/// More bytes may be under way than a burst of answers takes.
const WINDOW: u32 = 4 << 20;

/// Keeps a link up for as long as the worker runs.
pub(crate) async fn run(path: PathBuf) {
    let mut pause = FIRST_PAUSE;
    let mut reported = false;
    loop {
        let began = Instant::now();
        let served = AssertUnwindSafe(serve(&path, &mut reported)).catch_unwind();
        let result = served
            .await
            .unwrap_or_else(|_| Err("the link had to be given up".into()));
        let worker = worker::get();
        worker.disconnected();
        if worker.is_stopping() {
            return;
        }
        if began.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if !reported {
            reported = true;
            let reason = result
                .err()
                .unwrap_or_else(|| "it closed the session".into());
            let path = path.display();
            log::error(&format!("sidecar at unix:{path} is out of reach: {reason}"));
        }
        sleep(pause).await;
        worker.expire();
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One link, from connect to break.
async fn serve(path: &std::path::Path, reported: &mut bool) -> Result<(), Failure> {
    let socket = Socket::connect(path)?;
    let fd = socket.fd();
    let spawner = Spawner::default();
    let _ending = Ending(spawner.clone());
    let (sender, connection) = Builder::new(spawner.clone())
        .timer(Clock)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Body>(socket)
        .await?;
    spawner.execute(async move {
        if let Err(error) = connection.await {
            log::notice(&format!("link to the sidecar ended: {error}"));
        }
    });
    let origin = http::Uri::from_static("http://sidecar");
    let mut client =
        RouterClient::with_origin(Sender(sender), origin).max_decoding_message_size(MAX_MESSAGE);
    let worker = worker::get();
    let serial = worker.connected(fd);
    let greeting = async {
        let mut answers = client.session(Outgoing { serial }).await?.into_inner();
        let welcome = answers.message().await?;
        Ok::<_, tonic::Status>((answers, welcome))
    };
    let (mut answers, welcome) = expiring(greeting).await?;
    worker.receive(welcome.ok_or("it closed the session at once")?);
    if std::mem::take(reported) {
        log::notice("sidecar is in reach again");
    }
    loop {
        let heard = poll_fn(|cx| match Pin::new(&mut answers).poll_next(cx) {
            // To end what it says would mean that this worker wants nothing any more, and
            // all its leases would be free: it breaks.
            Poll::Pending => worker
                .poll_stuck(cx)
                .map(|()| Err("it takes nothing".into())),
            Poll::Ready(next) => Poll::Ready(Ok(next)),
        });
        let heard: Result<_, Failure> = heard.await;
        let Some(message) = heard?.transpose()? else {
            return Ok(());
        };
        fault::at("link");
        worker.receive(message);
    }
}

/// While this is awaited, requests that wait too long are answered.
async fn expiring<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match select(future.as_mut(), pin!(sleep(LONGEST_PAUSE))).await {
            Either::Left((output, _)) => return output,
            Either::Right(_) => worker::get().expire(),
        }
    }
}

/// What the worker has to say, polled by HTTP/2 whenever it can send.
struct Outgoing {
    /// Of which link: a later one has taken over the messages.
    serial: u64,
}

impl Stream for Outgoing {
    type Item = RouterMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RouterMessage>> {
        worker::get().poll_transmit(self.serial, cx)
    }
}

/// hyper's connection as a tower service, which tonic's clients are made of.
struct Sender(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Sender {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Tasks of a link, on Nginx's loop.
#[derive(Clone, Default)]
struct Spawner(Rc<RefCell<Vec<Task<()>>>>);

impl<F: Future<Output: 'static> + 'static> Executor<F> for Spawner {
    fn execute(&self, future: F) {
        let link = self.clone();
        let task = executor::spawn(async move {
            // Without one of its tasks a link may look sound and carry nothing.
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                link.end();
            }
        });
        self.0.borrow_mut().push(task);
    }
}

impl Spawner {
    fn end(&self) {
        // Not while they are borrowed: what ends may look for them.
        let tasks = mem::take(&mut *self.0.borrow_mut());
        drop(tasks);
    }
}

/// Ends every task of a link with it. One of them has the socket, and would wait
/// for a sidecar that reads nothing to read the rest.
struct Ending(Spawner);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Nginx's timers, for pings.
struct Clock;

impl Timer for Clock {
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(sleep(span)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}

struct Nap(ngx::async_::Sleep);

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the field is never moved out of its pinned place.
        unsafe { self.map_unchecked_mut(|nap| &mut nap.0) }.poll(cx)
    }
}

impl Sleep for Nap {}

/// Waits until the last messages can leave, when the loop does not turn any more.
pub(crate) fn wait_writable(fd: i32, span: Duration) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid entry.
    match unsafe { libc::poll(&raw mut poll, 1, span.as_millis() as libc::c_int) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
