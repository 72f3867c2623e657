//! Dynos that work for an exact time and note the order in which they begin.
//!
//! All of them are in one thread, and the sockets are unix sockets: a request is
//! in the dyno's socket when the front's `send` returns, and the kernel reports
//! sockets in the order in which they became readable. So the order noted here is
//! the order in which the front sent, which several processes could not tell.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use super::order::Start;
use crate::{dyno::Dyno, readable::Readable, timer::Timer};

/// Nobody here sends a longer request.
const MAX_REQUEST: usize = 4 << 10;

/// Says where in this order a request was begun; its number is in the list of starts.
pub(super) const START_HEADER: &str = "X-Start";

/// They end when this is dropped.
#[derive(Debug)]
pub(super) struct Dynos {
    /// Their sockets.
    pub(super) paths: Vec<PathBuf>,
    books: Arc<Books>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Books {
    work: Duration,
    dynos: Vec<Dyno>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    starts: Vec<Start>,
    /// What all dynos together have worked.
    worked: Duration,
}

impl Books {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Right also after a panic: each change of it is one step.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all dynos have done so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// Requests begun.
    pub(super) starts: usize,
    /// Of these, the ones that came to a dyno that had one.
    pub(super) double_bookings: u64,
    /// Time that they worked, added up.
    pub(super) worked: Duration,
}

impl Dynos {
    /// Starts so many, each of which works `work` for a request and takes one at
    /// a time to be fair.
    pub(super) fn start(dir: &Path, count: usize, work: Duration) -> io::Result<Self> {
        let paths: Vec<_> = (0..count).map(|at| dir.join(format!("d{at}"))).collect();
        let dynos = (0..count).map(|at| Dyno::new(format!("web.{at}"), "queue".to_owned(), 1));
        let books = Arc::new(Books {
            work,
            dynos: dynos.collect(),
            noted: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for (at, path) in paths.iter().enumerate() {
            let _inside = runtime.enter();
            let listener = UnixListener::bind(path)?;
            runtime.spawn(listen(books.clone(), at, listener));
        }
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("dynos".to_owned())
            .spawn(move || {
                // An error means that the other side is gone: an end as well.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self {
            paths,
            books,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Their addresses, as whoever writes them with this word in front.
    pub(super) fn addresses(&self, word: &str) -> Vec<String> {
        let paths = self.paths.iter();
        paths
            .map(|path| format!("{word}{}", path.display()))
            .collect()
    }

    /// What they have done so far.
    pub(super) fn done(&self) -> Done {
        let double = self.books.dynos.iter();
        let noted = self.books.noted();
        Done {
            starts: noted.starts.len(),
            double_bookings: double
                .map(|dyno| dyno.stats.figures().double_bookings)
                .sum(),
            worked: noted.worked,
        }
    }

    /// The requests that were begun since then, in this order.
    pub(super) fn starts_since(&self, then: &Done) -> Vec<Start> {
        self.books.noted().starts[then.starts..].to_vec()
    }
}

impl Drop for Dynos {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which it has said by itself.
            let _ = thread.join();
        }
    }
}

async fn listen(books: Arc<Books>, at: usize, listener: UnixListener) -> io::Result<()> {
    loop {
        let (io, _) = listener.accept().await?;
        tokio::spawn(connection(books.clone(), at, io));
    }
}

/// An error here is a front that went away.
async fn connection(books: Arc<Books>, at: usize, io: UnixStream) -> io::Result<()> {
    let io = Readable::new(io.into_std()?.into())?;
    let timer = Timer::new()?;
    let mut answer = Vec::new();
    while let Some((arrival, early)) = request(&io).await? {
        let began = Instant::now();
        let mut visit = books.dynos[at].stats.begin_id(None);
        let number = {
            let mut noted = books.noted();
            noted.starts.push(Start { arrival, early });
            noted.starts.len() - 1
        };
        timer
            .sleep(books.work.saturating_sub(began.elapsed()))
            .await?;
        books.noted().worked += began.elapsed();
        answer.clear();
        write!(
            answer,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{START_HEADER}: {number}\r\n\r\nok"
        )?;
        io.write(&answer)?;
        // The last byte is what lets the mesh send the next request.
        visit.end();
        io.write(b"\n")?;
    }
    Ok(())
}

/// Waits for a request: its number, if it has one, and whether it was there already.
async fn request(io: &Readable) -> io::Result<Option<(Option<u64>, bool)>> {
    let mut text = [0; MAX_REQUEST];
    let first = io.look(&mut text)?;
    let mut length = match first {
        Some(read) => read,
        None => io.read(&mut text).await?,
    };
    let mut more = length;
    while more > 0 {
        if text[..length].ends_with(b"\r\n\r\n") {
            return Ok(Some((sequence(&text[..length]), first.is_some())));
        }
        if length == MAX_REQUEST {
            return Err(io::Error::other("request too long"));
        }
        more = io.read(&mut text[length..]).await?;
        length += more;
    }
    Ok(None)
}

/// The value of `X-Seq`.
fn sequence(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\r\nx-seq: ";
    let at = head
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))?;
    let value = &head[at + NAME.len()..];
    let end = value.iter().position(|&byte| byte == b'\r')?;
    std::str::from_utf8(&value[..end]).ok()?.parse().ok()
}
