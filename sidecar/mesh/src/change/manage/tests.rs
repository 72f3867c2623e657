//! A manager's word is made whatever it finds.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    DynoState, Limits, Operation, Policy,
    testing::{Lab, dyno},
};

fn say(lab: &mut Lab, app: &str, manage: Manage) -> Result<(), ChangeError> {
    lab.change(app, vec![Operation::Manage(Box::new(manage))])
        .map(drop)
}

fn shop(names: &[&str]) -> Manage {
    Manage {
        wake: Some(true),
        idle_timeout: Some(Some(Duration::from_secs(9))),
        domains: vec!["Shop.test".into()],
        dyno_prefix: "web.".into(),
        dynos: names.iter().map(|name| dyno(name)).collect(),
        ..Manage::default()
    }
}

fn names(lab: &Lab, app: &str) -> Vec<Box<str>> {
    let spec = lab.mesh.spec(app).unwrap();
    spec.dynos.iter().map(|dyno| dyno.name.clone()).collect()
}

#[test]
fn it_makes_the_app_and_says_the_same_again() {
    let mut lab = Lab::with(Limits::default(), Settings::default(), &[]);
    for _ in 0..2 {
        say(&mut lab, "shop", shop(&["web.1", "web.2"])).unwrap();
        let spec = lab.mesh.spec("shop").unwrap();
        assert!(spec.settings.wake && spec.released);
        assert_eq!(*spec.domains, ["shop.test".into()]);
        assert_eq!(*names(&lab, "shop"), ["web.1".into(), "web.2".into()]);
    }
}

#[test]
fn what_is_not_the_managers_stays() {
    let settings = Settings {
        policy: Policy::LeastLoad,
        idle_timeout: Some(Duration::from_secs(5)),
        dyno_limit: Some(3),
        ..Settings::default()
    };
    let mut lab = Lab::with(Limits::default(), settings.clone(), &["web.1", "worker.1"]);
    let app = "a";
    let mut manage = shop(&["web.2"]);
    manage.idle_timeout = Some(None);
    say(&mut lab, app, manage).unwrap();
    let spec = lab.mesh.spec(app).unwrap();
    let wanted = Settings {
        wake: true,
        idle_timeout: None,
        ..settings
    };
    assert_eq!(spec.settings, wanted);
    assert!(spec.domains.contains(&"shop.test".into()));
    assert_eq!(*names(&lab, app), ["worker.1".into(), "web.2".into()]);
}

#[test]
fn a_domain_or_an_address_of_others_is_in_nobodys_way() {
    let mut lab = Lab::with(Limits::default(), Settings::default(), &["web.1"]);
    let theirs = lab.mesh.spec("a").unwrap();
    let mut manage = shop(&[]);
    manage.domains.push(theirs.domains[0].clone());
    let mut taken = dyno("web.1");
    taken.instance = "another".into();
    manage.dynos.push(taken);
    say(&mut lab, "shop", manage).unwrap();
    assert_eq!(
        *lab.mesh.spec("shop").unwrap().domains,
        ["shop.test".into()]
    );
    assert_eq!(names(&lab, "shop").len(), 1);
    assert_eq!(names(&lab, "a").len(), 0);
    assert_eq!(lab.mesh.spec("a").unwrap().domains, theirs.domains);
}

#[test]
fn what_is_malformed_is_refused_as_a_whole() {
    let mut lab = Lab::with(Limits::default(), Settings::default(), &[]);
    let mut nameless = shop(&["web.1"]);
    nameless.dynos[0].instance = "".into();
    let mut foreign = shop(&["worker.1"]);
    foreign.dynos[0].state = DynoState::Starting;
    let mut hasty = shop(&[]);
    hasty.idle_timeout = Some(Some(Duration::from_millis(1)));
    let mut endless = shop(&[]);
    endless.domains = vec!["x.test".into(); 2_001];
    for wrong in [nameless, foreign, hasty, endless] {
        let error = say(&mut lab, "shop", wrong).unwrap_err();
        assert!(matches!(error, ChangeError::Invalid(_)), "{error:?}");
        assert_eq!(lab.mesh.spec("shop"), None);
    }
}
