use std::sync::mpsc;

use super::*;

/// Of "secret", by bcrypt at its least cost.
const HASH: &str = "$2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";
/// "ann:secret", "ann:wrong", "bob:secret".
const RIGHT: &[u8] = b"Basic YW5uOnNlY3JldA==";
const WRONG: &[u8] = b"Basic YW5uOndyb25n";
const NOBODY: &[u8] = b"Basic Ym9iOnNlY3JldA==";

fn auth(lines: &[&str]) -> Auth {
    let mark = auth::mark(lines);
    Auth::new(lines.iter().map(|line| (*line).into()), mark)
}

fn shop() -> Auth {
    auth(&["basic", &format!("user ann {HASH}"), "claim sub to X-User"])
}

/// What comes of it, now or later.
fn look(verifier: &Verifier, auth: &Auth, credential: &[u8]) -> Verdict {
    let asked = Asked {
        app: "shop".into(),
        credential: credential.into(),
        client: "192.0.2.1".parse().ok(),
        shown: Shown::default(),
    };
    let (told, hear) = mpsc::channel();
    let later = move |finding| told.send(finding).expect("a receiver");
    let finding = verifier.ask(asked, auth.clone(), later);
    let finding = finding.unwrap_or_else(|| hear.recv().expect("an answer"));
    assert_eq!(finding.mark.as_ref(), auth.mark());
    finding.verdict
}

fn count(verifier: &Verifier, result: &str) -> u64 {
    let counts = verifier.counts();
    counts
        .filter(|((_, kind), _)| *kind == result)
        .map(|(_, n)| n)
        .sum()
}

#[test]
fn a_right_password_is_looked_at_once() {
    let verifier = Verifier::default();
    for _ in 0..3 {
        let Verdict::Pass(passed) = look(&verifier, &shop(), RIGHT) else {
            panic!("it is right");
        };
        assert_eq!(passed.user, "ann");
        assert_eq!(passed.headers, [("X-User".into(), "ann".into())]);
    }
    // Others come and go.
    let more = auth(&[
        "basic",
        &format!("user ann {HASH}"),
        &format!("user eve {HASH}"),
    ]);
    assert!(matches!(look(&verifier, &more, RIGHT), Verdict::Pass(_)));
    assert_eq!(count(&verifier, "right"), 1);
    assert_eq!(count(&verifier, "remembered"), 3);
    // Who is gone is gone, whatever is remembered.
    let less = auth(&["basic", &format!("user eve {HASH}")]);
    assert_eq!(look(&verifier, &less, RIGHT), Verdict::Wrong);
    assert_eq!(look(&verifier, &shop(), NOBODY), Verdict::Wrong);
    assert_eq!(look(&verifier, &shop(), NOBODY), Verdict::Wrong);
}

#[test]
fn who_is_wrong_too_often_has_to_wait() {
    let verifier = Verifier::default();
    assert!(matches!(look(&verifier, &shop(), RIGHT), Verdict::Pass(_)));
    for _ in 0..10 {
        assert_eq!(look(&verifier, &shop(), WRONG), Verdict::Wrong);
    }
    let Verdict::Limited(after) = look(&verifier, &shop(), WRONG) else {
        panic!("it was wrong ten times");
    };
    assert!(after <= Duration::from_secs(1));
    // What was right before is not looked at again.
    assert!(matches!(look(&verifier, &shop(), RIGHT), Verdict::Pass(_)));
}

#[test]
fn a_key_is_known_by_who_has_it() {
    let verifier = Verifier::default();
    // Of "open sesame".
    let holder = "holder ci 41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";
    let auth = auth(&["key header X-Key", holder, "claim sub to X-User"]);
    let Verdict::Pass(passed) = look(&verifier, &auth, b"Key open sesame") else {
        panic!("it is right");
    };
    assert_eq!(passed.user, "ci");
    assert_eq!(passed.headers, [("X-User".into(), "ci".into())]);
    for _ in 0..10 {
        assert_eq!(look(&verifier, &auth, b"Key sesame"), Verdict::Wrong);
    }
    let guess = look(&verifier, &auth, b"Key guess");
    assert!(matches!(guess, Verdict::Limited(_)), "{guess:?}");
    let wrong = verifier.counts().find(|it| it.0 == ("key", "wrong"));
    assert_eq!(wrong, Some((("key", "wrong"), 10)));
}

#[test]
fn without_a_document_anybody_may() {
    let verifier = Verifier::default();
    let verdict = look(&verifier, &Auth::default(), WRONG);
    assert_eq!(verdict, Verdict::Pass(Passed::default()));
    // One of another version may forbid anything.
    let unreadable = auth(&["moon full"]);
    assert_eq!(look(&verifier, &unreadable, RIGHT), Verdict::Away);
}

/// An authorizer of tests: who is shown "/no" may not.
#[derive(Debug)]
struct Strict;

impl Authorizers for Strict {
    fn ask(&self, name: &str, check: Check, reply: Box<dyn FnOnce(Ruling) + Send>) {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        reply(match (name, &*check.shown.target) {
            ("away", _) => Ruling::Away,
            (_, b"/no") => Ruling::Denied { unknown: false },
            (_, b"/who") => Ruling::Denied { unknown: true },
            _ => Ruling::Allowed {
                headers: vec![
                    header("x-plan", "gold"),
                    header("X-Other", "1"),
                    header("X-Plan", "a\r\nb"),
                    header("X-Claims", &check.claims),
                ],
                valid: Duration::from_secs(3),
            },
        });
    }
}

fn consult(lines: &[&str], target: &str, credential: &[u8]) -> Verdict {
    let verifier = Verifier::default();
    verifier.have_asked(Arc::new(Strict));
    let asked = Asked {
        app: "shop".into(),
        credential: credential.into(),
        client: None,
        shown: Shown {
            target: target.into(),
            ..Shown::default()
        },
    };
    let (told, hear) = mpsc::channel();
    let later = move |finding: Finding| told.send(finding).expect("a receiver");
    let finding = verifier.ask(asked, auth(lines), later);
    finding
        .unwrap_or_else(|| hear.recv().expect("an answer"))
        .verdict
}

#[test]
fn an_authorizer_has_the_last_word() {
    let ann = format!("user ann {HASH}");
    let alone = ["authorizer corp sets X-Plan X-Claims"];
    let both = [
        "basic",
        &*ann,
        "claim sub to X-User",
        "authorizer corp sets X-Plan X-Claims",
    ];
    let Verdict::Pass(passed) = consult(&both, "/", RIGHT) else {
        panic!("it is right");
    };
    let headers: Vec<_> = passed.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    let claims = "{\"sub\":\"ann\"}";
    assert_eq!(
        headers,
        [("X-User", "ann"), ("X-Plan", "gold"), ("X-Claims", claims)]
    );
    assert_eq!(passed.valid, Duration::from_secs(3));
    assert_eq!(consult(&both, "/", WRONG), Verdict::Wrong);
    assert_eq!(consult(&both, "/no", RIGHT), Verdict::Denied);
    assert_eq!(consult(&both, "/who", RIGHT), Verdict::Wrong);
    assert!(matches!(consult(&alone, "/", b""), Verdict::Pass(_)));
    assert_eq!(consult(&alone, "/no", b""), Verdict::Denied);
    assert_eq!(consult(&alone, "/who", b""), Verdict::Denied);
    assert_eq!(consult(&["authorizer away"], "/", b""), Verdict::Away);
    let open = consult(&["authorizer away open"], "/", b"");
    let Verdict::Pass(passed) = open else {
        panic!("it is open");
    };
    assert_eq!(passed.valid, Duration::ZERO);
}
