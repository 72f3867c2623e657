//! What is started and stopped, in which order.
#![allow(clippy::unwrap_used)]

use super::*;

const BOOT: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(30);

struct Lab {
    planner: Planner,
    now: Time,
}

impl Lab {
    fn new(min: u32, max: u32) -> Self {
        let app = AppConfig {
            name: "shop".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            command: vec!["web".into()],
            env: Default::default(),
            dir: None,
            domains: vec![],
            min,
            max,
            limit: 1,
            idle_timeout: None,
            scale_wait: None,
            boot_timeout: BOOT,
            health: None,
            stop_timeout: STOP,
            drain_timeout: DRAIN,
        };
        let (planner, now) = (Planner::new(app, 1), Duration::from_secs(1_000));
        let mut lab = Self { planner, now };
        lab.planner.pass(now);
        lab
    }

    fn say(&mut self, input: Input) {
        self.planner.handle(input, self.now);
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.planner.pass(self.now);
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.planner.poll()).collect()
    }

    /// Starts what is wanted, and has it up.
    fn boot(&mut self) -> Vec<Start> {
        let started = self.actions().into_iter().map(|action| match action {
            Action::Start(start) => start,
            other => panic!("{other:?}"),
        });
        let started: Vec<_> = started.collect();
        started
            .iter()
            .for_each(|start| self.say(Input::Healthy(*start)));
        started
    }

    fn phases(&self) -> Vec<Phase> {
        self.planner.dynos().iter().map(|dyno| dyno.phase).collect()
    }

    fn slots(&self) -> Vec<u32> {
        self.planner.dynos().iter().map(|dyno| dyno.slot).collect()
    }
}

#[test]
fn a_sleeping_app_is_woken_and_put_to_sleep() {
    let mut lab = Lab::new(0, 4);
    assert_eq!((lab.actions(), lab.slots()), (vec![], vec![]));
    lab.say(Input::Need);
    lab.say(Input::Need);
    let start = lab.boot()[0];
    assert_eq!(lab.slots(), [1]);
    lab.say(Input::Idle);
    assert_eq!(lab.actions(), [], "its last requests come first");
    assert!(matches!(lab.phases()[..], [Phase::Draining { .. }]));
    lab.say(Input::Drained(start));
    assert_eq!(lab.actions(), [Action::Term(start)]);
    lab.say(Input::Exited(start));
    assert_eq!(lab.phases(), []);
    assert_eq!(lab.planner.poll_timeout(), None);
}

#[test]
fn who_comes_while_the_last_one_drains_gets_a_new_one() {
    let mut lab = Lab::new(0, 1);
    lab.say(Input::Need);
    lab.boot();
    lab.say(Input::Idle);
    lab.say(Input::Need);
    assert_eq!(lab.actions(), [Action::Start(Start(2))]);
    assert_eq!(lab.slots(), [1, 2]);
}

#[test]
fn hints_are_followed_between_min_and_max() {
    let mut lab = Lab::new(1, 3);
    assert_eq!(lab.boot().len(), 1);
    let more = |wanted| Input::Scale {
        wanted,
        waiting: true,
    };
    let fewer = |wanted| Input::Scale {
        wanted,
        waiting: false,
    };
    lab.say(more(2));
    // What is starting counts.
    lab.say(more(2));
    lab.say(fewer(9));
    assert_eq!(lab.boot().len(), 1);
    lab.say(more(50));
    assert_eq!(lab.boot(), [Start(3)]);
    lab.say(fewer(2));
    assert!(matches!(
        lab.phases()[..],
        [Phase::Up { .. }, Phase::Up { .. }, Phase::Draining { .. }]
    ));
    lab.say(fewer(0));
    lab.say(Input::Idle);
    assert_eq!(lab.planner.coming(), 1, "min");
}

#[test]
fn one_that_is_not_up_in_time_is_a_crash() {
    let mut lab = Lab::new(0, 1);
    lab.say(Input::Need);
    let Some(Action::Start(start)) = lab.planner.poll() else {
        panic!("nothing is started");
    };
    assert_eq!(lab.planner.poll_timeout(), Some(lab.now + BOOT));
    lab.wait(BOOT);
    assert_eq!(lab.actions(), [Action::Kill(start)]);
    lab.say(Input::Healthy(start));
    lab.say(Input::Exited(start));
    assert_eq!(lab.phases(), [Phase::Crashed]);
}

#[test]
fn one_that_does_not_end_is_killed() {
    let mut lab = Lab::new(0, 1);
    lab.say(Input::Need);
    let start = lab.boot()[0];
    lab.say(Input::Idle);
    // Nor do its requests.
    lab.wait(DRAIN);
    assert_eq!(lab.actions(), [Action::Term(start)]);
    lab.wait(STOP);
    assert_eq!(lab.actions(), [Action::Kill(start)]);
    lab.say(Input::Exited(start));
    assert_eq!(lab.phases(), []);
}

/// Crashes again and again; returns how long each was left alone.
fn crashes(lab: &mut Lab, times: usize) -> Vec<Duration> {
    let mut pauses = Vec::new();
    for _ in 0..times {
        let Some(Action::Start(start)) = lab.planner.poll() else {
            panic!("nothing is started");
        };
        lab.say(Input::Exited(start));
        assert_eq!(lab.phases(), [Phase::Crashed]);
        assert_eq!(lab.actions(), [], "it is left alone");
        let until = lab.planner.poll_timeout().unwrap();
        pauses.push(until - lab.now);
        lab.wait(until - lab.now);
    }
    pauses
}

#[test]
fn a_crash_loop_slows_down() {
    let mut lab = Lab::new(1, 1);
    let pauses = crashes(&mut lab, 9);
    for (n, pause) in pauses.iter().enumerate() {
        let usual = Duration::from_secs((1 << n.min(6)).min(60));
        assert!(
            (usual.mul_f64(0.8)..=usual.mul_f64(1.2)).contains(pause),
            "{pauses:?}"
        );
    }
    // Up for a while: the next crash is a first one.
    let start = lab.boot()[0];
    lab.wait(Duration::from_secs(60));
    lab.say(Input::Exited(start));
    assert!(lab.planner.poll_timeout().unwrap() - lab.now < Duration::from_secs(2));
}

#[test]
fn an_app_that_nobody_asks_for_is_not_tried_again() {
    let mut lab = Lab::new(0, 1);
    lab.say(Input::Need);
    crashes(&mut lab, 1);
    // The mark is gone: the next request wakes it.
    assert_eq!((lab.actions(), lab.phases()), (vec![], vec![]));
    lab.say(Input::Need);
    assert_eq!(lab.actions(), [Action::Start(Start(2))]);
}

#[test]
fn one_of_several_is_replaced() {
    let mut lab = Lab::new(0, 3);
    lab.say(Input::Scale {
        wanted: 3,
        waiting: true,
    });
    let first = lab.boot()[0];
    lab.say(Input::Exited(first));
    assert_eq!(lab.actions(), []);
    lab.wait(Duration::from_secs(2));
    assert_eq!(lab.actions(), [Action::Start(Start(4))]);
    assert_eq!(lab.slots(), [2, 3, 4]);
}

#[test]
fn at_the_end_everything_ends() {
    let mut lab = Lab::new(2, 3);
    let up = lab.boot();
    lab.say(Input::Scale {
        wanted: 3,
        waiting: true,
    });
    let Some(Action::Start(booting)) = lab.planner.poll() else {
        panic!("nothing is started");
    };
    lab.say(Input::Shutdown);
    assert_eq!(lab.actions(), [Action::Term(booting)]);
    lab.say(Input::Need);
    lab.say(Input::Exited(booting));
    for start in up {
        lab.say(Input::Drained(start));
        assert_eq!(lab.actions(), [Action::Term(start)]);
        assert!(!lab.planner.is_over());
        lab.say(Input::Exited(start));
    }
    assert!(lab.planner.is_over());
}
