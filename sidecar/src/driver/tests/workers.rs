//! Workers whose sessions break.

use std::{
    process::{Child, Command},
    time::Instant,
};

use super::*;

const GRACE: Duration = Duration::from_millis(20);

/// A process, which is killed with the test.
struct Process(Child);

impl Process {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep"))
    }

    fn known(&self) -> WorkerProcess {
        WorkerProcess::of(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
    }
}

/// An app whose only dyno may have one request.
async fn rig(recovery: Duration) -> Rig {
    let limits = Limits {
        session_grace: GRACE,
        recovery,
        ..Limits::default()
    };
    let (changes, inbox) = Changes::new();
    let rig = Rig::within(limits, changes, inbox);
    let one = Settings {
        dyno_limit: Some(1),
        ..Settings::default()
    };
    let operations = vec![
        Operation::CreateApp(one),
        Operation::AddDomain("a.test".into()),
        put("web.1", 1, false),
    ];
    rig.change("a", operations).await.expect("made");
    rig
}

fn open(rig: &Rig, worker: u64, process: WorkerProcess) -> Session {
    let hello = Hello {
        process,
        ..hello(worker)
    };
    Session::open(&rig.driver, hello).expect("there is room")
}

/// A worker's session has the dyno and breaks; another one's wants it.
fn break_one(rig: &Rig, process: WorkerProcess) -> Session {
    let mut first = open(rig, 1, process);
    assert!(ask(&mut first, 1, "a.test"));
    assert!(poll(&mut first).is_some_and(|answer| answer.result.is_ok()));
    let mut second = open(rig, 2, WorkerProcess::UNKNOWN);
    drop(first);
    assert!(ask(&mut second, 1, "a.test"));
    second
}

fn has_it(rig: &Rig, session: &mut Session) -> bool {
    rig.driver.pass_time();
    poll(session).is_some()
}

async fn until_it_has(rig: &Rig, session: &mut Session) {
    let has = async {
        while !has_it(rig, session) {
            tokio::task::yield_now().await;
        }
    };
    let within = Duration::from_secs(10);
    timeout(within, has).await.expect("the dyno is free");
}

#[tokio::test]
async fn the_dynos_of_a_worker_that_lives_are_not_free_when_its_session_is_gone() {
    let rig = rig(Duration::from_secs(600)).await;
    let process = Process::start();
    let mut second = break_one(&rig, process.known());
    let began = Instant::now();
    while began.elapsed() < 10 * GRACE {
        assert!(
            !has_it(&rig, &mut second),
            "its first one works for a worker"
        );
        tokio::task::yield_now().await;
    }
    // It comes again.
    let again = Hello {
        process: process.known(),
        link: 1,
        held: vec![(AskId(1), "web.1-1".into())],
        ..hello(1)
    };
    let first = Session::open(&rig.driver, again).expect("there is room");
    assert!(!has_it(&rig, &mut second));
    drop(first);
    drop(process);
    until_it_has(&rig, &mut second).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_worker_is_not_waited_for_when_it_is_dead_or_can_t_be_seen() {
    let rig = rig(Duration::from_secs(600)).await;
    let dead = Process::start().known();
    for process in [dead, WorkerProcess::UNKNOWN] {
        let mut second = break_one(&rig, process);
        until_it_has(&rig, &mut second).await;
        second.close();
    }
    rig.stop().await;
}

#[tokio::test]
async fn there_is_an_end_to_waiting_for_a_worker_that_lives() {
    let rig = rig(5 * GRACE).await;
    let process = Process::start();
    let mut second = break_one(&rig, process.known());
    until_it_has(&rig, &mut second).await;
    rig.stop().await;
}
