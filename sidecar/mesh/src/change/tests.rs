//! Every reason to refuse a change, and what planned changes come to.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    AskId, Limits, Outcome, Policy, QUEUE_TIMEOUT,
    testing::{Lab, dyno, put, set},
};
use std::time::Duration;

fn small() -> Limits {
    Limits {
        apps: 2,
        dynos: 4,
        dynos_per_app: 3,
        domains_per_app: 2,
        ..Limits::default()
    }
}

fn lab() -> Lab {
    Lab::with(small(), Settings::default(), &["web.1"])
}

/// What is wrong with a change; it leaves no trace.
fn refused(lab: &mut Lab, app: &str, operations: Vec<Operation>) -> ChangeError {
    let all = |lab: &Lab| [lab.mesh.spec("a"), lab.mesh.spec("b"), lab.mesh.spec("c")];
    let before = all(lab);
    let error = lab.change(app, operations).unwrap_err();
    assert_eq!(all(lab), before);
    error
}

macro_rules! assert_refused {
    ($lab:expr, $app:expr, $kind:pat, $($operation:expr),+ $(,)?) => {
        let error = refused(&mut $lab, $app, vec![$($operation),+]);
        assert!(matches!(error, $kind), "{error:?}");
    };
}

fn create() -> Operation {
    Operation::CreateApp(Settings::default())
}

fn domain(name: &str) -> Operation {
    Operation::AddDomain(name.into())
}

fn put_with(name: &str, change: impl FnOnce(&mut DynoSpec)) -> Operation {
    let mut dyno = dyno(name);
    change(&mut dyno);
    Operation::PutDyno {
        dyno,
        takeover: false,
    }
}

#[test]
fn malformed_changes() {
    use ChangeError::Invalid;
    let mut lab = lab();
    assert!(matches!(refused(&mut lab, "a", vec![]), Invalid(_)));
    let many = vec![Operation::SetMaintenance(true); MAX_OPERATIONS + 1];
    assert!(matches!(refused(&mut lab, "a", many), Invalid(_)));
    for name in ["", "A", "-a", "a-", "a.b", &"a".repeat(129)] {
        assert_refused!(lab, name, Invalid(_), create());
    }
    for name in ["", "a b", "*.*.a"] {
        assert_refused!(lab, "a", Invalid(_), domain(name));
        assert_refused!(lab, "a", Invalid(_), Operation::RemoveDomain(name.into()));
    }
    for name in ["", "ü", "a/b", &"a".repeat(129)] {
        assert_refused!(
            lab,
            "a",
            Invalid(_),
            put_with("web.2", |d| d.name = name.into())
        );
        assert_refused!(
            lab,
            "a",
            Invalid(_),
            put_with("web.2", |d| d.instance = name.into())
        );
    }
    for limit in [0, crate::MAX_LOAD + 1] {
        assert_refused!(
            lab,
            "a",
            Invalid(_),
            put_with("web.2", |d| d.limit = Some(limit))
        );
    }
}

#[test]
fn settings_out_of_bounds() {
    let mut lab = lab();
    let over = crate::MAX_TIMEOUT + Duration::from_millis(1);
    let usual = Settings::default;
    for bad in [
        Settings {
            dyno_limit: Some(0),
            ..usual()
        },
        Settings {
            dyno_limit: Some(crate::MAX_LOAD + 1),
            ..usual()
        },
        Settings {
            queue_depth: Some(crate::MAX_QUEUE_DEPTH + 1),
            ..usual()
        },
        Settings {
            queue_timeout: Some(over),
            ..usual()
        },
        Settings {
            boot_timeout: Some(over),
            ..usual()
        },
    ] {
        assert_refused!(
            lab,
            "a",
            ChangeError::Invalid(_),
            Operation::PutSettings(bad.clone())
        );
        assert_refused!(lab, "b", ChangeError::Invalid(_), Operation::CreateApp(bad));
    }
    let good = Settings {
        policy: Policy::LeastLoad,
        dyno_limit: Some(crate::MAX_LOAD),
        queue_depth: Some(0),
        queue_timeout: Some(QUEUE_TIMEOUT),
        ..usual()
    };
    assert_eq!(lab.change("a", vec![Operation::PutSettings(good)]), Ok(2));
}

#[test]
fn things_that_are_not_there() {
    use ChangeError::NotFound;
    let mut lab = lab();
    for operation in [
        Operation::DeleteApp,
        Operation::SetMaintenance(true),
        Operation::PutSettings(Settings::default()),
        domain("b.test"),
        put("web.2"),
        Operation::RemoveDyno("web.2".into()),
    ] {
        assert_refused!(lab, "b", NotFound(_), operation);
    }
    assert_refused!(
        lab,
        "a",
        NotFound(_),
        Operation::RemoveDomain("b.test".into())
    );
    assert_refused!(lab, "a", NotFound(_), Operation::RemoveDyno("web.2".into()));
    assert_refused!(lab, "a", NotFound(_), set("web.2", DynoState::Up));
    assert_refused!(
        lab,
        "a",
        NotFound(_),
        Operation::DeleteApp,
        Operation::SetMaintenance(true)
    );
}

#[test]
fn things_that_are_there_already() {
    use ChangeError::AlreadyExists;
    let mut lab = lab();
    lab.create("b", Settings::default(), &["b.1"]);
    assert_refused!(lab, "a", AlreadyExists(_), create());
    assert_refused!(lab, "a", AlreadyExists(_), domain("A.test:80"));
    assert_refused!(lab, "a", AlreadyExists(_), domain("b.test"));
    // The address of another dyno, here and elsewhere.
    for other in ["web.1", "b.1"] {
        let address = dyno(other).address;
        assert_refused!(
            lab,
            "a",
            AlreadyExists(_),
            put_with("web.2", |d| d.address = address)
        );
    }
    // A process that is another dyno.
    for other in ["web.1", "b.1"] {
        let instance = dyno(other).instance;
        assert_refused!(
            lab,
            "a",
            AlreadyExists(_),
            put_with("web.2", |d| d.instance = instance)
        );
    }
    assert_refused!(
        lab,
        "a",
        AlreadyExists(_),
        put("web.2"),
        put_with("web.3", |d| d.instance = dyno("web.2").instance)
    );
    // A process does not move to another address.
    let moved = put_with("web.1", |d| d.address = dyno("web.9").address);
    assert_refused!(lab, "a", ChangeError::Invalid(_), moved);
}

#[test]
fn limits_are_reached_and_not_exceeded() {
    use ChangeError::Exhausted;
    let mut lab = lab();
    lab.change("a", vec![domain("a2.test")]).unwrap();
    assert_refused!(lab, "a", Exhausted(_), domain("a3.test"));
    lab.change("a", vec![put("web.2"), put("web.3")]).unwrap();
    assert_refused!(lab, "a", Exhausted(_), put("web.4"));
    // One is left for all apps: a single change doesn't get two.
    assert_refused!(
        lab,
        "b",
        Exhausted(_),
        create(),
        put_with("b.1", |d| d.state = DynoState::Down),
        put("b.2")
    );
    lab.create("b", Settings::default(), &["b.1"]);
    assert_refused!(lab, "b", Exhausted(_), put("b.2"));
    assert_refused!(lab, "c", Exhausted(_), create());
    // Replacing, and making room in the same change, is no growth.
    let again = put_with("b.1", |d| d.instance = "b.1-2".into());
    lab.change(
        "b",
        vec![again, Operation::RemoveDyno("b.1".into()), put("b.2")],
    )
    .unwrap();
    lab.change("b", vec![Operation::DeleteApp, create(), put("b.3")])
        .unwrap();
    assert_eq!(lab.mesh.totals().dynos, 4);
}

#[test]
fn a_version_counts_changes() {
    let mut lab = lab();
    let change = |base_version| Change {
        app: "a".into(),
        base_version,
        operations: vec![Operation::SetMaintenance(true)],
    };
    let conflict = lab.mesh.plan(&change(Some(7)));
    assert_eq!(
        conflict,
        Err(ChangeError::Conflict {
            app: "a".into(),
            current: 1,
            base: 7
        })
    );
    assert!(lab.mesh.plan(&change(Some(1))).is_ok());
    assert_eq!(
        lab.change("a", vec![Operation::SetMaintenance(true)]),
        Ok(2)
    );
    assert_eq!(
        lab.change("a", vec![Operation::SetMaintenance(false), put("web.2")]),
        Ok(3)
    );
    // Version 0: it must not be there.
    let new = Change {
        app: "b".into(),
        base_version: Some(0),
        operations: vec![create()],
    };
    assert!(lab.mesh.plan(&new).is_ok());
}

#[test]
fn an_address_is_taken_over() {
    let mut lab = lab();
    lab.create("b", Settings::default(), &["b.1", "b.2"]);
    let address = dyno("b.1").address;
    let new = DynoSpec {
        address: address.clone(),
        state: DynoState::Starting,
        ..dyno("web.2")
    };
    // It is known to be free for the rest of the change.
    lab.change(
        "a",
        vec![
            Operation::PutDyno {
                dyno: new,
                takeover: true,
            },
            set("web.2", DynoState::Up),
        ],
    )
    .unwrap();
    let (a, b) = (lab.mesh.spec("a").unwrap(), lab.mesh.spec("b").unwrap());
    assert_eq!(a.dynos[1].address, address);
    let left = [dyno("b.2")].into_iter().collect();
    assert_eq!((b.dynos, b.version), (left, 2));
    // Within the app too.
    let new = DynoSpec {
        address,
        ..dyno("web.3")
    };
    lab.change(
        "a",
        vec![Operation::PutDyno {
            dyno: new,
            takeover: true,
        }],
    )
    .unwrap();
    let names: Vec<_> = lab
        .mesh
        .spec("a")
        .unwrap()
        .dynos
        .iter()
        .map(|d| d.name.clone())
        .collect();
    assert_eq!(names, ["web.1".into(), "web.3".into()]);
}

#[test]
fn an_address_is_free_when_its_process_is_gone() {
    let mut lab = lab();
    lab.create("b", Settings::default(), &["b.1"]);
    lab.change("b", vec![set("b.1", DynoState::Crashed)])
        .unwrap();
    let address = dyno("b.1").address;
    lab.change("a", vec![put_with("web.2", |d| d.address = address)])
        .unwrap();
    assert_refused!(
        lab,
        "b",
        ChangeError::AlreadyExists(_),
        set("b.1", DynoState::Up)
    );
    lab.change("a", vec![Operation::RemoveDyno("web.2".into())])
        .unwrap();
    assert_eq!(lab.change("b", vec![set("b.1", DynoState::Up)]), Ok(3));
}

#[test]
fn released_is_remembered() {
    let mut lab = Lab::new(Settings::default(), &[]);
    lab.change("a", vec![put_with("web.1", |d| d.state = DynoState::Down)])
        .unwrap();
    assert!(!lab.mesh.spec("a").unwrap().released);
    lab.change("a", vec![set("web.1", DynoState::Starting)])
        .unwrap();
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    assert!(lab.mesh.spec("a").unwrap().released);
}

#[test]
fn a_domain_moves_whatever_comes_first() {
    let mut lab = lab();
    lab.create("b", Settings::default(), &["b.1"]);
    let (a, b) = (lab.mesh.spec("a").unwrap(), lab.mesh.spec("b").unwrap());
    let without = AppSpec {
        domains: vec![],
        ..a
    };
    let with = AppSpec {
        domains: vec!["b.test".into(), "a.test".into()],
        ..b
    };
    // As another mesh may tell it: the new owner before the old one.
    lab.mesh.apply(&Update::Put(with), lab.now);
    lab.mesh.apply(&Update::Put(without), lab.now);
    lab.mesh.check_invariants().unwrap();
    let ask = lab.ask();
    assert_eq!(lab.answer(ask), Ok("b.1".into()));
}

/// The same process is named again, without its instance: it keeps its requests.
#[test]
fn a_dyno_that_is_put_again_is_the_one_that_it_was() {
    let mut lab = lab();
    let again = |name: &str, address: &str| DynoSpec {
        instance: "".into(),
        address: address.parse().unwrap(),
        limit: Some(2),
        ..dyno(name)
    };
    let instance = |lab: &Lab, name: &str, address: &str| {
        let dyno = again(name, address);
        let mut change = Change {
            app: "a".into(),
            base_version: None,
            operations: vec![Operation::PutDyno {
                dyno,
                takeover: false,
            }],
        };
        lab.mesh.identify(&mut change, || "fresh".into());
        match change.operations.remove(0) {
            Operation::PutDyno { dyno, .. } => dyno.instance,
            other => panic!("{other:?}"),
        }
    };
    lab.change("a", vec![put("web.1")]).unwrap();
    lab.ask();
    assert_eq!(&*instance(&lab, "web.1", "unix:/run/web.1"), "web.1-1");
    assert_eq!(&*instance(&lab, "web.1", "unix:/run/else"), "fresh");
    assert_eq!(&*instance(&lab, "web.2", "unix:/run/web.1"), "fresh");
    // Also after it was taken out, for as long as it works.
    let remove = Operation::RemoveDyno("web.1".into());
    lab.change("a", vec![remove.clone()]).unwrap();
    assert_eq!(&*instance(&lab, "web.1", "unix:/run/web.1"), "web.1-1");
    lab.change("a", vec![put("web.1")]).unwrap();
    assert_eq!(lab.loads("a"), [1]);
    lab.change("a", vec![remove]).unwrap();
    lab.checkin(AskId(1), Outcome::Done);
    assert_eq!(&*instance(&lab, "web.1", "unix:/run/web.1"), "fresh");
    // A process that has ended is another one when it comes back.
    lab.change("a", vec![put("web.1"), set("web.1", DynoState::Down)])
        .unwrap();
    assert_eq!(&*instance(&lab, "web.1", "unix:/run/web.1"), "fresh");
}

/// What a change that several meshes make comes to on this one.
fn shared(lab: &Lab, app: &str, operations: Vec<Operation>) -> Result<Vec<Update>, ChangeError> {
    let mut change = Change {
        app: app.into(),
        base_version: None,
        operations,
    };
    lab.mesh
        .identify_shared(&mut change, |number| format!("fresh-{number}").into());
    lab.mesh.plan_shared(&change)
}

#[test]
fn limits_of_one_mesh_do_not_matter_to_a_shared_change() {
    let mut small = Lab::with(small(), Settings::default(), &["web.1"]);
    let large = Lab::new(Settings::default(), &["web.1"]);
    let many = |app: &str| {
        let dynos = (2..8).map(|number| put(&format!("{app}.{number}")));
        let domains = (0..5).map(|number| domain(&format!("{app}-{number}.test")));
        dynos.chain(domains).collect::<Vec<_>>()
    };
    assert!(matches!(
        refused(&mut small, "a", many("a")),
        ChangeError::Exhausted(_)
    ));
    let planned = shared(&small, "a", many("a"));
    assert!(planned.is_ok(), "{planned:?}");
    assert_eq!(planned, shared(&large, "a", many("a")));
    small.create("b", Settings::default(), &[]);
    assert!(shared(&small, "c", vec![create()]).is_ok());
}

#[test]
fn requests_of_one_mesh_do_not_matter_to_a_shared_change() {
    // Both lose their dyno; on one of them it has a request still.
    let (mut busy, mut idle) = (lab(), lab());
    busy.ask();
    for lab in [&mut busy, &mut idle] {
        lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
            .unwrap();
        lab.create("b", Settings::default(), &[]);
    }
    let nameless = || put_with("web.1", |dyno| dyno.instance = "".into());
    let again = || put_with("web.9", |dyno| dyno.instance = "web.1-1".into());
    for (app, operation) in [("a", nameless()), ("a", again()), ("b", again())] {
        let planned = shared(&busy, app, vec![operation.clone()]);
        assert!(planned.is_ok(), "{planned:?}");
        assert_eq!(planned, shared(&idle, app, vec![operation]));
    }
    // The process that is gone still counts to the end, whoever has its name.
    let updates = shared(&busy, "b", vec![again()]).unwrap();
    for update in &updates {
        busy.mesh.apply(update, busy.now);
    }
    busy.mesh.check_invariants().unwrap();
    busy.checkin(AskId(1), Outcome::Done);
}

#[test]
fn a_dyno_that_is_put_again_is_the_same_process_everywhere() {
    let lab = lab();
    let nameless = put_with("web.1", |dyno| dyno.instance = "".into());
    let other = put_with("web.2", |dyno| dyno.instance = "".into());
    let updates = shared(&lab, "a", vec![nameless, other]).unwrap();
    let Some(Update::Put(spec)) = updates.first() else {
        panic!("{updates:?}");
    };
    let instances: Vec<_> = spec.dynos.iter().map(|dyno| &*dyno.instance).collect();
    assert_eq!(instances, ["web.1-1", "fresh-1"]);
}

#[test]
fn a_dyno_that_comes_back_to_its_requests_is_recalled() {
    let mut lab = lab();
    let ask = lab.ask();
    lab.change("a", vec![Operation::RemoveDyno("web.1".into())])
        .unwrap();
    let wanted = Change {
        app: "a".into(),
        base_version: None,
        operations: vec![put_with("web.1", |dyno| dyno.instance = "".into())],
    };
    let mut change = wanted.clone();
    assert!(lab.mesh.recognise(&mut change));
    assert_eq!(change.base_version, Some(2));
    assert_eq!(change.operations, [put("web.1")]);
    for other in [
        put_with("web.2", |dyno| dyno.instance = "".into()),
        put_with("web.1", |dyno| dyno.instance = "given".into()),
        Operation::SetMaintenance(true),
    ] {
        let mut change = Change {
            operations: vec![other],
            ..wanted.clone()
        };
        let before = change.clone();
        assert!(!lab.mesh.recognise(&mut change));
        assert_eq!(change, before);
    }
    lab.checkin(ask, Outcome::Done);
    assert!(!lab.mesh.recognise(&mut wanted.clone()), "it has finished");
}
