//! The driver with a disk that fails at will, without sockets.

use std::{
    collections::HashMap,
    future::{Future as _, poll_fn},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use mesh::{
    Answer, AppSpec, Ask, AskId, Change, DynoSpec, DynoState, Limits, Mesh, Operation, Policy,
    Settings, WorkerId,
};
use tokio::{sync::Mutex, time::timeout};

mod announce;
mod log;
mod members;
mod order;
mod traces;
mod workers;

use super::{
    ApplyError, Changes, Clock, Driver, Hello, Inbox, Journal, Notice, Pending, Reply, Session,
    WorkerName, Workers, Writer,
};
use crate::store::{Frozen, Problem, StoreError, WorkerProcess, Write};

/// What reached the disk, and whether it works.
struct Disk {
    /// Locked by a test, it holds the writer up.
    busy: Arc<Mutex<()>>,
    fails: Arc<AtomicBool>,
    seen: mpsc::Sender<Vec<Write>>,
}

impl Journal for Disk {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        drop(self.busy.blocking_lock());
        if self.fails.load(Ordering::SeqCst) {
            let problem = Problem::Write("disk full".into());
            return Err(StoreError {
                path: "mesh.redb".into(),
                problem,
            });
        }
        self.seen.send(writes.to_vec()).expect("the test goes on");
        Ok(())
    }

    fn freeze(&mut self) -> Result<Frozen, StoreError> {
        Err(StoreError {
            path: "mesh.redb".into(),
            problem: Problem::Write("no disk".into()),
        })
    }

    fn backup(&mut self) -> Result<PathBuf, StoreError> {
        Err(StoreError {
            path: "mesh.redb".into(),
            problem: Problem::Write("no disk".into()),
        })
    }
}

struct Rig {
    driver: Arc<Driver>,
    busy: Arc<Mutex<()>>,
    fails: Arc<AtomicBool>,
    disk: mpsc::Receiver<Vec<Write>>,
    writer: JoinHandle<Disk>,
}

impl Rig {
    fn new() -> Self {
        let (changes, inbox) = Changes::new();
        Self::with(changes, inbox)
    }

    fn with(changes: Changes, inbox: Inbox) -> Self {
        Self::within(Limits::default(), changes, inbox)
    }

    fn within(limits: Limits, changes: Changes, inbox: Inbox) -> Self {
        let mesh = Mesh::new(limits.clone(), 1);
        let driver = Driver::new(mesh, limits, Clock::new(), changes);
        let busy = Arc::new(Mutex::new(()));
        let fails = Arc::new(AtomicBool::new(false));
        let (seen, disk) = mpsc::channel();
        let journal = Disk {
            busy: busy.clone(),
            fails: fails.clone(),
            seen,
        };
        let writer = Writer::new(driver.clone(), journal, inbox, Workers::new());
        Self {
            driver,
            busy,
            fails,
            disk,
            writer: thread::spawn(move || writer.run()),
        }
    }

    async fn submit(&self, app: &str, operations: Vec<Operation>) -> Pending {
        let change = Change {
            app: app.into(),
            base_version: None,
            operations,
        };
        let pending = self.driver.changes().submit(change).await;
        pending.expect("the writer is there")
    }

    /// A change that is made in memory while the disk is busy: what is handed in
    /// now waits for it.
    async fn submit_alone(&self, app: &str) -> Pending {
        let pending = self.submit(app, create(&format!("{app}.test"))).await;
        while self.driver.view(app).is_none() {
            thread::yield_now();
        }
        pending
    }

    /// The version after a change, or why it was not made.
    async fn change(&self, app: &str, operations: Vec<Operation>) -> Result<u64, String> {
        let pending = self.submit(app, operations).await;
        pending
            .outcome()
            .await
            .map(|made| made.version)
            .map_err(|error| error.to_string())
    }

    async fn stop(self) -> Vec<Vec<Write>> {
        self.driver.changes().stop().await;
        self.writer.join().expect("no panic");
        self.disk.into_iter().collect()
    }
}

fn put(name: &str, port: u16, takeover: bool) -> Operation {
    let dyno = DynoSpec {
        name: name.into(),
        instance: format!("{name}-{port}").into(),
        address: format!("127.0.0.1:{port}").parse().expect("an address"),
        limit: None,
        state: DynoState::Up,
    };
    Operation::PutDyno { dyno, takeover }
}

fn create(domain: &str) -> Vec<Operation> {
    vec![
        Operation::CreateApp(Settings::default()),
        Operation::AddDomain(domain.into()),
    ]
}

fn hello(worker: u64) -> Hello {
    Hello {
        worker: WorkerId(worker),
        link: 0,
        name: WorkerName::default(),
        process: WorkerProcess::UNKNOWN,
        held: Vec::new(),
    }
}

fn ask(session: &mut Session, ask: u64, name: &str) -> bool {
    session.ask(Ask::new(AskId(ask), name))
}

/// The next answer. Who is next does not matter here.
fn poll(session: &mut Session) -> Option<Answer> {
    loop {
        match session.poll_reply(&Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Reply::Answer(answer))) => return Some(answer),
            Poll::Ready(Ok(Reply::Next(_))) => {}
            Poll::Ready(other) => panic!("{other:?} is no answer"),
            Poll::Pending => return None,
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_undoes_the_change_in_memory() {
    let rig = Rig::new();
    rig.change("a", create("a.test")).await.expect("made");
    rig.change("a", vec![put("web.1", 1, false)])
        .await
        .expect("made");
    rig.change("b", create("b.test")).await.expect("made");
    let before = (rig.driver.view("a"), rig.driver.view("b"));
    let mut watcher = rig.driver.watch();

    rig.fails.store(true, Ordering::SeqCst);
    for (app, operations) in [
        (
            "a",
            vec![
                Operation::SetMaintenance(true),
                Operation::RemoveDomain("a.test".into()),
            ],
        ),
        ("b", vec![Operation::DeleteApp]),
        // Takes its only dyno from a.
        ("b", vec![put("mine", 1, true)]),
        ("c", create("c.test")),
    ] {
        let error = rig
            .change(app, operations)
            .await
            .expect_err("the disk is full");
        assert!(error.contains("nothing was changed"), "{error}");
        assert!(
            error.contains("mesh.redb") && error.contains("disk full"),
            "{error}"
        );
        assert_eq!((rig.driver.view("a"), rig.driver.view("b")), before);
        assert!(rig.driver.view("c").is_none());
    }
    let process = WorkerProcess::UNKNOWN;
    rig.driver
        .changes()
        .remember(WorkerId(1), process)
        .await
        .expect_err("the disk is full");

    rig.fails.store(false, Ordering::SeqCst);
    assert_eq!(
        rig.change("a", vec![Operation::SetMaintenance(true)]).await,
        Ok(3)
    );
    match watcher
        .next()
        .await
        .expect("a notice")
        .expect("none missed")
    {
        Notice::Changed(change) => {
            assert_eq!(
                change.operations,
                [Operation::SetMaintenance(true)],
                "only what was made"
            );
        }
        other @ Notice::Event(_) => panic!("{other:?}"),
    }

    // Whatever the failed transactions left on the disk is put right first.
    let on_disk = replay(rig.stop().await);
    assert!(on_disk["a"].maintenance);
    assert_eq!(on_disk["a"].dynos.len(), 1);
    assert_eq!(*on_disk["b"].domains, ["b.test".into()]);
    assert!(!on_disk.contains_key("c"));
}

#[tokio::test]
async fn a_batch_that_fails_leaves_every_app_as_it_was_before_it() {
    let rig = Rig::new();
    for (app, port) in [("a", 1), ("b", 2)] {
        rig.change(app, create(&format!("{app}.test")))
            .await
            .expect("made");
        rig.change(app, vec![put("web.1", port, false)])
            .await
            .expect("made");
    }
    let before = (rig.driver.view("a"), rig.driver.view("b"));

    let busy = rig.busy.lock().await;
    rig.fails.store(true, Ordering::SeqCst);
    let first = rig.submit_alone("c").await;
    let mut batch = Vec::new();
    for (app, operations) in [
        ("b", vec![Operation::SetMaintenance(true)]),
        ("a", vec![Operation::RemoveDyno("web.1".into())]),
        ("b", vec![put("web.1", 1, false)]),
        ("a", vec![Operation::RemoveDomain("a.test".into())]),
        ("b", vec![Operation::AddDomain("a.test".into())]),
        ("a", vec![put("web.2", 1, true)]),
        ("b", vec![Operation::DeleteApp]),
        ("b", create("c.test")),
    ] {
        batch.push(rig.submit(app, operations).await);
    }
    drop(busy);
    first.outcome().await.expect_err("the disk is full");
    for pending in batch {
        pending.outcome().await.expect_err("the disk is full");
    }
    assert_eq!((rig.driver.view("a"), rig.driver.view("b")), before);
    assert!(rig.driver.view("c").is_none());

    rig.fails.store(false, Ordering::SeqCst);
    let commits = rig.stop().await;
    let last = commits.last().expect("what was undone");
    assert_eq!(last.len(), 3, "one word on each app: {last:?}");
    let on_disk = replay(commits);
    assert_eq!(*on_disk["a"].domains, ["a.test".into()]);
    assert_eq!(*on_disk["b"].domains, ["b.test".into()]);
    assert!(!on_disk.contains_key("c"));
}

#[tokio::test]
async fn a_hello_does_not_wait_behind_the_changes() {
    let rig = Rig::new();
    let busy = rig.busy.lock().await;
    let mut pending = vec![rig.submit_alone("a").await];
    // More than fit into one transaction.
    for _ in 0..600 {
        pending.push(rig.submit("a", vec![Operation::SetMaintenance(true)]).await);
    }
    let (worker, process) = (WorkerId(1), WorkerProcess { pid: 7, started: 8 });
    let changes = rig.driver.changes().clone();
    let mut remembered = pin!(changes.remember(worker, process));
    poll_fn(|cx| {
        assert!(remembered.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(busy);
    remembered.await.expect("written");
    for pending in pending {
        pending.outcome().await.expect("made");
    }
    let commits = rig.stop().await;
    assert_eq!(commits[1], [Write::Worker(worker, Some(process))]);
    assert!(commits.len() >= 4, "and then the changes: {commits:?}");
}

/// The apps after all writes, starting from what a failed one may have left.
fn replay(commits: Vec<Vec<Write>>) -> HashMap<String, AppSpec> {
    let garbage = AppSpec {
        name: "c".into(),
        ..AppSpec::default()
    };
    let mut apps = HashMap::from([("c".to_owned(), garbage)]);
    for write in commits.into_iter().flatten() {
        match write {
            Write::App(mesh::Update::Put(spec)) => {
                apps.insert((*spec.name).into(), spec);
            }
            Write::App(mesh::Update::Remove(name)) => {
                apps.remove(&*name);
            }
            Write::Queue(_) | Write::Unqueue(_) | Write::Members(_) => {}
            Write::Worker(..) | Write::Log(_) | Write::ForgetSeen | Write::Seen { .. } => {}
        }
    }
    apps
}

#[tokio::test]
async fn a_disk_that_works_again_before_the_end_is_put_right_at_the_end() {
    let rig = Rig::new();
    rig.fails.store(true, Ordering::SeqCst);
    rig.change("c", create("c.test"))
        .await
        .expect_err("the disk is full");
    rig.fails.store(false, Ordering::SeqCst);
    assert!(!replay(rig.stop().await).contains_key("c"));
}

#[tokio::test]
async fn changes_handed_in_together_are_one_transaction_in_order() {
    let rig = Rig::new();
    let mut pending = Vec::new();
    for n in 0..100_u16 {
        let operations = match n {
            0 => create("a.test"),
            _ => vec![put(&format!("web.{n}"), n, false)],
        };
        let change = Change {
            app: "a".into(),
            base_version: Some(n.into()),
            operations,
        };
        pending.push(
            rig.driver
                .changes()
                .submit(change)
                .await
                .expect("the writer is there"),
        );
    }
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.outcome().await.expect("made").version, n as u64 + 1);
    }
    let commits = rig.stop().await;
    assert!(
        commits.iter().all(|writes| writes.len() == 1),
        "the last word on an app is enough"
    );
    assert_eq!(replay(commits)["a"].dynos.len(), 99);
}

#[tokio::test]
async fn a_worker_that_is_on_disk_is_not_written_again() {
    let rig = Rig::new();
    let (changes, process) = (rig.driver.changes(), WorkerProcess { pid: 7, started: 8 });
    for _ in 0..3 {
        changes
            .remember(WorkerId(1), process)
            .await
            .expect("written");
    }
    changes.forget(WorkerId(1));
    changes
        .remember(WorkerId(1), process)
        .await
        .expect("written");
    let other = WorkerProcess {
        started: 9,
        ..process
    };
    changes.remember(WorkerId(1), other).await.expect("written");
    let commits = rig.stop().await.concat();
    let last = commits.last().expect("some");
    assert_eq!(*last, Write::Worker(WorkerId(1), Some(other)));
    assert!((2..=4).contains(&commits.len()), "{commits:?}");
}

#[tokio::test]
async fn an_answer_finds_its_session() {
    let rig = Rig::new();
    let mut shop = create("a.test");
    shop.push(put("web.1", 1, false));
    rig.change("a", shop).await.expect("made");
    let mut first = Session::open(&rig.driver, hello(1)).expect("opened");
    let mut second = Session::open(&rig.driver, hello(2)).expect("opened");
    assert!(ask(&mut first, 1, "a.test"));
    assert!(!ask(&mut first, 1, "a.test"), "the number is in use");
    assert!(ask(&mut second, 1, "a.test"));
    assert!(poll(&mut first).expect("an answer").result.is_ok());
    assert!(poll(&mut second).is_none());
    first.close();
    assert!(poll(&mut second).expect("an answer").result.is_ok());
    assert!(poll(&mut second).is_none());
    rig.stop().await;
}

/// More than anything takes.
const LONG: Duration = Duration::from_secs(5);

/// An app without limits, and a session that has some of it reserved.
async fn reserved(rig: &Rig) -> Session {
    let settings = Settings {
        policy: Policy::LeastLoad,
        ..Settings::default()
    };
    let mut operations = create("a.test");
    operations.extend([
        Operation::PutSettings(settings),
        put("web.1", 1, false),
        put("web.2", 2, false),
    ]);
    rig.change("a", operations).await.expect("made");
    let mut session = Session::open(&rig.driver, hello(1)).expect("opened");
    assert!(session.reserve(AskId(1), 2, "a.test"));
    let Ok(Reply::Reserved(reserved)) = reply(&mut session).await else {
        panic!("nothing is reserved");
    };
    assert_eq!(reserved.dynos.len(), 2);
    session
}

async fn reply(session: &mut Session) -> Result<Reply, super::Closed> {
    poll_fn(|cx| session.poll_reply(cx)).await
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_was_recalled() {
    let rig = Rig::new();
    let mut session = reserved(&rig).await;
    let gone = |name: &str| vec![Operation::RemoveDyno(name.into())];
    let before = rig.submit("a", gone("web.1")).await;
    assert!(matches!(reply(&mut session).await, Ok(Reply::Recall(_))));
    // The app, and this.
    assert_eq!(rig.disk.iter().take(2).count(), 2);
    // What is handed in is made still.
    let busy = rig.busy.clone();
    let held_up = busy.lock().await;
    let during = rig.submit("a", gone("web.2")).await;
    assert!(matches!(reply(&mut session).await, Ok(Reply::Recall(_))));
    rig.driver.stop();
    let outcome = async |pending: Pending| timeout(LONG, pending.outcome()).await;
    assert_eq!(outcome(before).await, Ok(Err(ApplyError::Stopping)));
    drop(held_up);
    assert_eq!(outcome(during).await, Ok(Err(ApplyError::Stopping)));
    rig.stop().await;
}

#[tokio::test]
async fn after_the_stop_nothing_is_opened_and_nobody_is_forgotten() {
    let rig = Rig::new();
    let mut session = Session::open(&rig.driver, hello(1)).expect("opened");
    rig.driver
        .changes()
        .remember(WorkerId(1), WorkerProcess::UNKNOWN)
        .await
        .expect("written");
    rig.driver.stop();
    rig.driver.stopped().await;
    let polled = session.poll_reply(&Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err(super::Closed::Stopping)));
    session.close();
    let refused = Session::open(&rig.driver, hello(2)).expect_err("it stops");
    assert_eq!(refused, super::OpenError::Stopping);
    let commits = rig.stop().await.concat();
    assert_eq!(
        commits,
        [Write::Worker(WorkerId(1), Some(WorkerProcess::UNKNOWN))]
    );
}
