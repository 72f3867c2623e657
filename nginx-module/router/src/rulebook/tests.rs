use dynomesh_proto::v1::AppAuth;

use super::*;

const OUTAGE: Millis = 5_000;

fn book() -> Rulebook<u32> {
    Rulebook::new(Duration::from_millis(OUTAGE), 0)
}

fn message(name: &str, app: &str, lines: &[&str]) -> AppRules {
    AppRules {
        name: name.into(),
        app: app.into(),
        lines: lines.iter().map(|line| (*line).into()).collect(),
        handling: None,
        auth: None,
        sticky: String::new(),
    }
}

fn rules(book: &Rulebook<u32>, name: &str) -> Option<Arc<Ruled>> {
    match book.look(name) {
        Look::Known(Known::Rules(ruled)) => Some(ruled),
        _ => None,
    }
}

fn ready(book: &mut Rulebook<u32>) -> Vec<u32> {
    std::iter::from_fn(|| book.poll_ready()).collect()
}

#[test]
fn without_rules_nobody_waits() {
    let mut book = book();
    assert!(!book.is_closed(), "nobody has said so");
    assert_eq!(book.wait("a.test", 1, 0), None, "there is nobody to ask");
    assert!(book.welcome(false).is_empty());
    assert_eq!(ready(&mut book), [1]);
    assert!(book.is_closed());
    assert!(matches!(book.look("a.test"), Look::Known(Known::None)));
    book.disconnected(10);
    assert!(book.is_closed(), "it goes by what it knows");
}

#[test]
fn a_name_is_asked_for_once() {
    let mut book = book();
    assert!(book.welcome(true).is_empty());
    assert_eq!(book.wait("a.test", 1, 0).as_deref(), Some("a.test"));
    assert_eq!(book.wait("a.test.", 2, 0), None);
    assert_eq!(book.wait("a.test", 3, 0), None);
    assert_eq!(book.wait("b.test", 4, 0).as_deref(), Some("b.test"));
    book.leave("a.test", 2);
    let told = message("a.test", "shop", &["always deny"]);
    assert_eq!(book.learn(&told), Ok(()));
    assert_eq!(ready(&mut book), [1, 3]);
    let ruled = rules(&book, "a.test.").expect("rules");
    assert_eq!((&*ruled.app, ruled.rules.len()), ("shop", 1));
    assert_eq!(book.learn(&message("b.test", "", &[])), Ok(()));
    assert!(matches!(book.look("b.test"), Look::Known(Known::None)));
    assert_eq!(ready(&mut book), [4]);
}

#[test]
fn what_is_recalled_is_forgotten() {
    let mut book = book();
    book.welcome(false);
    book.forget(&["a.test".into()], true);
    assert!(!book.is_closed());
    for name in ["a.test", "b.test", "x.c.test", "c.test"] {
        let told = message(name, "shop", &["always deny"]);
        assert_eq!(book.learn(&told), Ok(()));
    }
    assert!(Arc::ptr_eq(
        &rules(&book, "a.test").expect("rules"),
        &rules(&book, "b.test").expect("the same")
    ));
    book.forget(&["a.test".into(), "*.c.test".into()], false);
    assert!(matches!(book.look("a.test"), Look::Unknown));
    assert!(matches!(book.look("x.c.test"), Look::Unknown));
    assert!(rules(&book, "b.test").is_some());
    assert!(rules(&book, "c.test").is_some());
    assert_eq!(book.weight, 4);
    let told = message("a.test", "shop", &["always deny 404"]);
    assert_eq!(book.learn(&told), Ok(()));
    assert!(!Arc::ptr_eq(
        &rules(&book, "a.test").expect("rules"),
        &rules(&book, "b.test").expect("others")
    ));
}

#[test]
fn an_outage_is_sat_out() {
    let mut book = book();
    book.wait("a.test", 1, 100);
    assert_eq!(book.poll_expired(100 + OUTAGE - 1), None);
    assert_eq!(book.poll_expired(100 + OUTAGE), Some(1));
    book.welcome(true);
    book.wait("a.test", 2, 200);
    book.learn(&message("b.test", "shop", &["always deny"]))
        .expect("read");
    assert_eq!(book.poll_expired(1_000_000), None);
    book.disconnected(1_000);
    assert!(rules(&book, "b.test").is_some(), "it goes by what it knows");
    assert_eq!(book.poll_expired(1_000 + OUTAGE - 1), None);
    let asked = book.welcome(true);
    assert_eq!(asked, ["a.test".into()]);
    assert!(matches!(book.look("b.test"), Look::Unknown));
    book.disconnected(20_000);
    assert_eq!(book.poll_expired(20_000 + OUTAGE), Some(2));
    assert_eq!(book.poll_expired(u64::MAX), None);
}

#[test]
fn what_cant_be_read_is_no_licence() {
    let mut book = book();
    book.welcome(true);
    let told = message("a.test", "shop", &["when moon is full then deny"]);
    let problem = book.learn(&told).expect_err("unreadable");
    assert!(
        problem.contains("shop") && problem.contains("line 1"),
        "{problem}"
    );
    assert!(matches!(
        book.look("a.test"),
        Look::Known(Known::Unreadable)
    ));
    // Comments alone are no rules.
    assert_eq!(book.learn(&message("b.test", "shop", &["# soon"])), Ok(()));
    assert!(matches!(book.look("b.test"), Look::Known(Known::None)));
}

#[test]
fn who_may_use_an_app_is_known_with_its_rules() {
    let mut book = book();
    book.welcome(true);
    let auth = |mark: u8, line: &str| AppAuth {
        mark: vec![mark; 32],
        lines: vec![line.into()],
    };
    let mut told = message("a.test", "shop", &[]);
    told.auth = Some(auth(1, "basic"));
    assert_eq!(book.learn(&told), Ok(()));
    let first = rules(&book, "a.test").expect("something");
    let gate = first.gate.as_ref().expect("a gate");
    assert!(gate.mark == [1; 32] && gate.policy.basic.is_some());
    told.name = "@shop".into();
    assert_eq!(book.learn(&told), Ok(()));
    assert!(Arc::ptr_eq(
        &rules(&book, "@shop").expect("the same"),
        &first
    ));
    told.auth = Some(auth(2, "basic"));
    assert_eq!(book.learn(&told), Ok(()));
    let other = rules(&book, "@shop").expect("something");
    assert_eq!(other.gate.as_ref().map(|gate| gate.mark), Some([2; 32]));
    for unreadable in [auth(3, "moon"), AppAuth::default()] {
        told.auth = Some(unreadable);
        assert!(book.learn(&told).is_err());
        assert!(matches!(book.look("@shop"), Look::Known(Known::Unreadable)));
    }
}

#[test]
fn there_is_an_end_to_what_is_known() {
    let mut book = book();
    book.welcome(true);
    for n in 0..=MOST {
        let _ = book.learn(&message(&format!("{n}.test"), "", &[]));
    }
    assert_eq!((book.known.len(), book.weight), (MOST, MOST));
    assert!(matches!(book.look("0.test"), Look::Unknown));
    let last = format!("{MOST}.test");
    assert!(matches!(book.look(&last), Look::Known(_)));
    for _ in 0..2 * MOST {
        let _ = book.learn(&message("x.test", "", &[]));
    }
    assert!(book.order.len() <= MOST);
    assert!(matches!(book.look("x.test"), Look::Known(_)));
}

#[test]
fn what_is_sticky_is_known_without_any_rule() {
    let mut book = book();
    book.welcome(true);
    let sticky = |sticky: &str| AppRules {
        sticky: sticky.into(),
        ..message("a.test", "shop", &[])
    };
    book.learn(&sticky("header:X-User"))
        .expect("it can be read");
    let header = Some(Sticky::Header("X-User".into()));
    assert_eq!(rules(&book, "a.test").expect("some").sticky, header);
    book.learn(&sticky("cookie#00000000000000ff"))
        .expect("it can be read");
    let own = Some(Sticky::Own(0xff));
    assert_eq!(rules(&book, "a.test").expect("some").sticky, own);
    book.learn(&sticky("")).expect("it can be read");
    assert!(rules(&book, "a.test").is_none());
}
