use dynomesh_proto::v1::{SetHeader, ShownHeader, ShownRequest};

use super::*;

const OUTAGE: Millis = 5_000;
const MARK: [u8; 32] = [1; 32];

fn verdicts() -> Verdicts<u32> {
    Verdicts::new(Duration::from_millis(OUTAGE), [7; 32], 0)
}

fn from(credential: &str) -> Authenticate {
    Authenticate {
        app: "shop".into(),
        credential: credential.into(),
        client: vec![10, 0, 0, 1],
        ..Default::default()
    }
}

fn wait(verdicts: &mut Verdicts<u32>, credential: &str, who: u32, now: Millis) -> Option<u64> {
    let key = verdicts.key(&MARK, &from(credential));
    let asked = verdicts.wait(key, &MARK, from(credential), (who, now));
    asked.map(|message| message.number)
}

fn passed(number: u64) -> Authenticated {
    Authenticated {
        number,
        mark: MARK.into(),
        verdict: AuthVerdict::Pass.into(),
        valid_ms: 1_000,
        headers: vec![SetHeader {
            name: "X-User".into(),
            value: "ann".into(),
        }],
        user: "ann".into(),
        ..Default::default()
    }
}

fn ready(verdicts: &mut Verdicts<u32>) -> Vec<(u32, bool)> {
    let all = std::iter::from_fn(|| verdicts.poll_ready());
    all.map(|(who, outcome)| (who, matches!(outcome, Outcome::Passed(_))))
        .collect()
}

#[test]
fn the_same_is_asked_once_and_known_for_a_while() {
    let mut verdicts = verdicts();
    verdicts.welcome();
    let number = wait(&mut verdicts, "a", 1, 0).expect("an ask");
    assert_eq!(wait(&mut verdicts, "a", 2, 0), None);
    assert!(wait(&mut verdicts, "b", 3, 0).is_some());
    verdicts.learn(passed(number), 100);
    assert_eq!(ready(&mut verdicts), [(1, true), (2, true)]);
    let key = verdicts.key(&MARK, &from("a"));
    assert_eq!(&*verdicts.look(key, 1_099).expect("known").user, "ann");
    assert_eq!(verdicts.look(key, 1_100), None);
    let other = verdicts.key(&[2; 32], &from("a"));
    assert_eq!(verdicts.look(other, 100), None);
    // Nobody asked that.
    verdicts.learn(passed(99), 100);
    assert!(!verdicts.has_ready());
}

#[test]
fn what_is_wrong_or_was_judged_by_another_text_is_not_kept() {
    let mut verdicts = verdicts();
    verdicts.welcome();
    let key = verdicts.key(&MARK, &from("a"));
    let mut answer = passed(wait(&mut verdicts, "a", 1, 0).expect("an ask"));
    answer.mark = vec![2; 32];
    verdicts.learn(answer, 0);
    assert_eq!(ready(&mut verdicts), [(1, true)]);
    assert_eq!(verdicts.look(key, 0), None);
    let mut answer = passed(wait(&mut verdicts, "a", 1, 0).expect("an ask"));
    answer.set_verdict(AuthVerdict::Limited);
    answer.retry_after_s = 3;
    verdicts.learn(answer, 0);
    let refused = Outcome::Refused {
        verdict: AuthVerdict::Limited,
        retry_after_s: 3,
    };
    assert_eq!(verdicts.poll_ready(), Some((1, refused)));
    assert_eq!(verdicts.look(key, 0), None);
    // A verdict of a later version is no pass.
    let mut answer = passed(wait(&mut verdicts, "a", 1, 0).expect("an ask"));
    answer.verdict = 77;
    verdicts.learn(answer, 0);
    assert_eq!(ready(&mut verdicts), [(1, false)]);
}

#[test]
fn an_outage_is_sat_out() {
    let mut verdicts = verdicts();
    assert_eq!(wait(&mut verdicts, "a", 1, 100), None, "there is nobody");
    verdicts.expire(100 + OUTAGE - 1);
    assert!(!verdicts.has_ready());
    verdicts.expire(100 + OUTAGE);
    assert_eq!(verdicts.poll_ready(), Some((1, Outcome::Unheard)));
    wait(&mut verdicts, "a", 2, 200);
    wait(&mut verdicts, "b", 3, 200);
    wait(&mut verdicts, "c", 4, 200);
    let key = verdicts.key(&MARK, &from("b"));
    verdicts.leave(key, 3);
    let asked = verdicts.welcome();
    assert_eq!(asked.len(), 2);
    assert!(asked.is_sorted_by_key(|message| message.number));
    verdicts.disconnected(1_000);
    let again = verdicts.welcome();
    assert_eq!(again, asked);
    verdicts.learn(passed(asked[0].number), 1_000);
    assert_eq!(ready(&mut verdicts), [(2, true)]);
    // Who leaves with a link leaves an answer for the next one.
    let key = verdicts.key(&MARK, &from("c"));
    verdicts.leave(key, 4);
    verdicts.learn(passed(asked[1].number), 1_000);
    assert!(!verdicts.has_ready());
    assert!(verdicts.look(key, 1_000).is_some());
    verdicts.disconnected(2_000);
    assert!(
        verdicts.look(key, 1_000).is_some(),
        "it goes by what it knows"
    );
    verdicts.expire(u64::MAX);
    assert!(!verdicts.has_ready());
}

#[test]
fn all_that_is_shown_counts() {
    let verdicts = verdicts();
    let shown = |target: &str, cookie: &str, client: u8| {
        let header = ShownHeader {
            name: "cookie".into(),
            value: cookie.into(),
        };
        let request = ShownRequest {
            method: "GET".into(),
            host: "shop.test".into(),
            target: target.into(),
            headers: vec![header],
        };
        let message = Authenticate {
            request: Some(request),
            client: vec![10, 0, 0, client],
            ..from("a")
        };
        verdicts.key(&MARK, &message)
    };
    let keys = [
        verdicts.key(&MARK, &from("a")),
        shown("/", "a", 1),
        shown("/x", "a", 1),
        shown("/", "b", 1),
        shown("/", "a", 2),
    ];
    for (n, key) in keys.iter().enumerate() {
        assert!(!keys[n + 1..].contains(key), "{n}");
    }
    // Without an authorizer it does not matter who brings it.
    let elsewhere = Authenticate {
        client: vec![10, 0, 0, 2],
        ..from("a")
    };
    assert_eq!(verdicts.key(&MARK, &elsewhere), keys[0]);
}

#[test]
fn there_is_an_end_to_what_is_known() {
    let mut verdicts = verdicts();
    verdicts.welcome();
    for n in 0..=MOST {
        let number = wait(&mut verdicts, &n.to_string(), 1, 0).expect("an ask");
        verdicts.learn(passed(number), 0);
    }
    assert_eq!((verdicts.known.len(), verdicts.weight), (MOST, MOST));
    let first = verdicts.key(&MARK, &from("0"));
    assert_eq!(verdicts.look(first, 0), None);
    assert_eq!(verdicts.asked.len() + verdicts.numbers.len(), 0);
}
