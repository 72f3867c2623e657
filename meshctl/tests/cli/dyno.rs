//! `meshctl dyno`.

use std::thread;

use dynomesh_proto::v1::{Drained, Dyno, DynoState, Event, event};

use crate::support::Sidecar;

fn dynos(sidecar: &Sidecar) -> Vec<Dyno> {
    sidecar.mesh.app("shop").unwrap_or_default().dynos
}

fn names(sidecar: &Sidecar) -> Vec<String> {
    dynos(sidecar).into_iter().map(|dyno| dyno.name).collect()
}

#[test]
fn a_dyno_gets_the_next_free_name() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1 --dyno unix:/2 --dyno unix:/3");
    sidecar.ok("dyno remove shop web.2");
    let out = sidecar.ok("dyno add shop unix:/4 --limit 5 --state starting --instance i4");
    assert_eq!(
        out,
        "dyno web.2 of app shop at unix:/4 is starting (version 3)\n"
    );
    let want = Dyno {
        name: "web.2".into(),
        instance: "i4".into(),
        address: "unix:/4".into(),
        limit: 5,
        state: DynoState::Starting.into(),
    };
    assert_eq!(dynos(&sidecar).last(), Some(&want));
}

#[test]
fn a_dyno_is_never_replaced_by_one_without_a_name() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let ran: Vec<_> = thread::scope(|scope| {
        let add = |n| {
            let sidecar = &sidecar;
            scope.spawn(move || sidecar.run(&format!("dyno add shop unix:/{n}")))
        };
        let running: Vec<_> = (0..4).map(add).collect();
        running
            .into_iter()
            .map(|run| run.join().expect("a run"))
            .collect()
    });
    assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
    let mut names = names(&sidecar);
    names.sort();
    assert_eq!(names, ["web.1", "web.2", "web.3", "web.4"]);
}

#[test]
fn an_address_in_use_is_kept_unless_taken_over() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.run("dyno add shop unix:/1").fails(1, "--takeover");
    assert_eq!(names(&sidecar), ["web.1"]);
    sidecar.ok("dyno add shop unix:/1 --takeover --name web.9");
    assert_eq!(names(&sidecar), ["web.9"]);
}

#[test]
fn a_state_is_set() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    let out = sidecar.ok("dyno state shop web.1 crashed");
    assert_eq!(out, "dyno web.1 of app shop is crashed (version 2)\n");
    assert_eq!(dynos(&sidecar)[0].state(), DynoState::Crashed);
    sidecar
        .run("dyno state shop web.2 up")
        .fails(1, "`meshctl app show shop` shows its dynos");
}

#[test]
fn a_limit_is_set_and_all_else_stays() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    sidecar.ok("dyno add shop unix:/1 --instance i1 --state starting");
    sidecar.ok("dyno add shop unix:/2");
    let out = sidecar.ok("dyno set shop web.1 --limit 5");
    assert_eq!(out, "dyno web.1 of app shop has limit 5 (version 4)\n");
    let mut want = Dyno {
        name: "web.1".into(),
        instance: "i1".into(),
        address: "unix:/1".into(),
        limit: 5,
        state: DynoState::Starting.into(),
    };
    assert!(dynos(&sidecar).contains(&want), "{:?}", dynos(&sidecar));

    let out = sidecar.ok("dyno set shop web.1 --limit 5");
    let already = "dyno web.1 of app shop has limit 5 already (version 4)\n";
    assert_eq!(out, already);
    let json = sidecar
        .run("dyno set shop web.1 --limit none --json")
        .json();
    assert_eq!(json, serde_json::json!({ "app": "shop", "version": "5" }));
    want.limit = 0;
    assert!(dynos(&sidecar).contains(&want), "{:?}", dynos(&sidecar));

    sidecar
        .run("dyno set shop web.9 --limit 5")
        .fails(1, "`meshctl app show shop` shows its dynos");
    sidecar
        .run("dyno set blog web.1 --limit 5")
        .fails(1, "not found: app blog");
}

#[test]
fn a_limit_is_set_over_what_someone_else_changes() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.faults.lock().races = 9;
    sidecar.ok("dyno set shop web.1 --limit 5");
    assert_eq!(dynos(&sidecar)[0].limit, 5);
    sidecar.mesh.faults.lock().races = 10;
    sidecar
        .run("dyno set shop web.1 --limit 6")
        .fails(1, "changed by someone else meanwhile");
    assert_eq!(dynos(&sidecar)[0].limit, 5);
}

#[test]
fn a_drain_without_wait_returns_at_once() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.load("shop", "web.1", 3, 0);
    sidecar.ok("dyno drain shop web.1");
    assert_eq!(dynos(&sidecar)[0].state(), DynoState::Draining);
}

#[test]
fn a_drain_waits_for_the_last_request() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.load("shop", "web.1", 3, 0);
    let ran = thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run("dyno drain shop web.1 --wait"));
        // One before the change, one at least after it.
        sidecar.mesh.faults.until("a look", |f| f.looks >= 2);
        assert!(!run.is_finished());
        sidecar.mesh.load("shop", "web.1", 0, 0);
        run.join().expect("a run")
    });
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out, "dyno web.1 of app shop has drained (version 2)\n");
    assert_eq!(
        ran.err,
        "web.1 has 3 requests; its app: 3 in flight, 0 waiting, the oldest -\n"
    );
}

#[test]
fn a_drain_believes_the_event_of_its_own_instance() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    sidecar.ok("dyno add shop unix:/1 --instance mine");
    sidecar.mesh.load("shop", "web.1", 3, 0);
    let drained = |instance: &str| {
        let (app, dyno) = ("shop".into(), "web.1".into());
        let drained = Drained {
            app,
            dyno,
            instance: instance.into(),
        };
        let event = Event {
            kind: Some(event::Kind::Drained(drained)),
        };
        sidecar.mesh.events.send(event).expect("a watcher");
    };
    let ran = thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run("dyno drain shop web.1 --wait"));
        // One before the change, one at least after it.
        sidecar.mesh.faults.until("a look", |f| f.looks >= 2);
        drained("another");
        // It goes on looking.
        let looks = sidecar.mesh.faults.lock().looks;
        sidecar
            .mesh
            .faults
            .until("more looks", |f| f.looks >= looks + 2);
        assert!(!run.is_finished());
        drained("mine");
        run.join().expect("a run")
    });
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_drain_does_not_believe_a_sidecar_that_waits_for_its_workers() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.faults.lock().not_ready = true;
    let ran = thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run("dyno drain shop web.1 --wait"));
        // One before the change, two at least after it.
        sidecar.mesh.faults.until("two looks", |f| f.looks >= 3);
        assert!(!run.is_finished());
        sidecar.mesh.faults.lock().not_ready = false;
        run.join().expect("a run")
    });
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("waits for its workers"), "{ran:?}");
}

#[test]
fn a_dyno_that_is_removed_has_not_drained() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.load("shop", "web.1", 3, 0);
    let ran = thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run("dyno drain shop web.1 --wait"));
        sidecar.mesh.faults.until("a look", |f| f.looks >= 2);
        sidecar.ok("dyno remove shop web.1");
        run.join().expect("a run")
    });
    ran.fails(1, "was removed meanwhile");
    assert_eq!(ran.out, "");
}

#[test]
fn a_drain_that_takes_too_long_is_told() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.load("shop", "web.1", 1, 0);
    sidecar
        .run("dyno drain shop web.1 --wait=300ms")
        .fails(3, "it keeps draining");
    assert_eq!(dynos(&sidecar)[0].state(), DynoState::Draining);
    sidecar
        .run("dyno drain shop web.7 --wait")
        .fails(1, "not found: dyno web.7");
}
