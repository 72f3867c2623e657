//! Whatever the text, the credentials and the claims, nothing panics and nothing gets
//! into a header that must not.
#![allow(clippy::unwrap_used)]

use std::{borrow::Cow, net::IpAddr};

use auth::{Look, MAX_CREDENTIAL, MAX_HEADER, Policy};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use credentials::Document;
use proptest::prelude::*;
use ring::hmac;
use rules::Request;
use serde_json::{Value, json};

const BCRYPT: &str = "$2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";
/// Of "open sesame".
const KEY_HASH: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";
const SECRET: [u8; 32] = [7; 32];
const NOW: u64 = 1_800_000_000;

#[derive(Debug)]
struct Sent {
    client: Option<IpAddr>,
    path: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Request for Sent {
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn path(&self) -> &[u8] {
        &self.path
    }
    fn query(&self) -> &[u8] {
        b""
    }
    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut all = self.headers.iter();
        all.any(|(key, value)| key == name && like(value))
    }
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) {
        self.headers
            .iter()
            .for_each(|(key, _)| each(key.as_bytes()));
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn client_text(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"unix:")
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn host(&self) -> &[u8] {
        b"shop.example"
    }
    fn app(&self) -> &str {
        "shop"
    }
    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }
    fn chance(&self) -> u32 {
        0
    }
}

/// Words of the language and of none, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "basic",
            "realm",
            "pass",
            "user",
            "ann",
            BCRYPT,
            "jwt",
            "issuer",
            "audience",
            "keys",
            "{\"keys\":[",
            "]}",
            "{}",
            "key",
            "header",
            "holder",
            KEY_HASH,
            "client",
            "10.0.0.0/8",
            "claim",
            "sub",
            "to",
            "X-User",
            "authorizer",
            "open",
            "shown",
            "sets",
            "except",
            "path",
            "=",
            "^=",
            "~",
            "/x",
            "and",
            "not",
            "method",
            "GET",
            "host",
            "\"a b\"",
            "$argon2id$v=19$m=1,t=1,p=1$",
            "a:b",
            ",",
            "#",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    prop::collection::vec(word, 0..10).prop_map(|words| words.join(" "))
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("shop")),
        Just(json!(NOW + 60)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("(kty|kid|crv|x|y|n|e|k|alg|use|a)", inner), 0..5)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

fn document() -> Document {
    let key = json!({"kty": "oct", "kid": "a", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    Document::parse(&[
        "basic".to_owned(),
        format!("user ann {BCRYPT}"),
        "jwt issuer i audience shop".into(),
        format!("keys {}", json!({ "keys": [key] })),
        "key header X-Key".into(),
        format!("holder ci {KEY_HASH}"),
        "claim sub to X-User".into(),
        "claim /a/0 to X-A".into(),
        "except path ^= /open".into(),
    ])
    .unwrap()
}

fn signed(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn plain(text: &str) -> bool {
    let visible = |b: u8| b.is_ascii_graphic() || b == b' ';
    text.bytes().all(visible) && text.trim() == text && text.len() <= MAX_HEADER
}

/// What a router makes of a request with these headers, from there.
fn look(lines: &[&str], client: &str, headers: &[(&str, &str)]) -> Look {
    let headers = headers.iter().map(|(name, value)| {
        let (name, value) = (*name, *value);
        (name.to_owned(), value.as_bytes().to_vec())
    });
    let sent = Sent {
        client: client.parse().ok(),
        path: b"/".to_vec(),
        headers: headers.collect(),
    };
    Policy::parse(lines).unwrap().look(&sent)
}

#[test]
fn a_key_is_in_its_header_alone() {
    let lines = ["basic", "key header X-Key"];
    let look = |headers: &[_]| look(&lines, "10.0.0.1", headers);
    let ask = |credential: &str| Look::Ask(credential.as_bytes().into());
    let key = ("x-key", "open sesame");
    assert_eq!(look(&[key]), ask("Key open sesame"));
    // What a browser says on its own does not count then.
    let login = ("authorization", "Basic YTpi");
    assert_eq!(look(&[login, key]), ask("Key open sesame"));
    assert_eq!(look(&[login, ("x-key", " ")]), ask("Basic YTpi"));
    assert_eq!(look(&[key, key]), Look::Malformed);
    let in_vain = ("authorization", "Key open sesame");
    assert_eq!(look(&[in_vain]), Look::Missing);
    let long = "x".repeat(MAX_CREDENTIAL - 4);
    assert_eq!(look(&[("x-key", &long)]), ask(&format!("Key {long}")));
    assert_eq!(look(&[("x-key", &format!("{long}x"))]), Look::Malformed);
}

#[test]
fn where_clients_may_come_from() {
    let alone = ["client 10.0.0.0/8 ::1", "client 192.0.2.7"];
    for (client, wanted) in [
        ("10.9.9.9", Look::Exempt),
        ("::ffff:10.9.9.9", Look::Exempt),
        ("192.0.2.7", Look::Exempt),
        ("::1", Look::Exempt),
        ("192.0.2.8", Look::Elsewhere),
        ("unix:", Look::Elsewhere),
    ] {
        assert_eq!(look(&alone, client, &[]), wanted, "{client}");
    }
    let login = ("authorization", "Basic YTpi");
    let both = ["client 10.0.0.0/8", "basic", "except path = /"];
    assert_eq!(look(&both, "11.0.0.1", &[]), Look::Exempt);
    let both = &both[..2];
    assert_eq!(look(both, "11.0.0.1", &[login]), Look::Elsewhere);
    assert_eq!(look(both, "10.0.0.1", &[]), Look::Missing);
    assert!(matches!(look(both, "10.0.0.1", &[login]), Look::Ask(_)));
    let asked = ["client 10.0.0.0/8", "authorizer corp"];
    assert_eq!(look(&asked, "10.0.0.1", &[]), Look::Ask(Box::default()));
    assert_eq!(look(&asked, "11.0.0.1", &[]), Look::Elsewhere);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text(lines in prop::collection::vec(prop_oneof![words(), "\\PC{0,80}"], 0..5)) {
        match Document::parse(&lines) {
            Ok(document) => {
                // What a router gets to read says the same.
                let public: Vec<_> = Policy::public(&lines).collect();
                let policy = Policy::parse(&public).unwrap();
                prop_assert_eq!(policy.basic, document.policy.basic);
                prop_assert_eq!(policy.jwt, document.policy.jwt);
                prop_assert_eq!(policy.key, document.policy.key);
                prop_assert_eq!(policy.clients, document.policy.clients);
                prop_assert_eq!(policy.grants, document.policy.grants);
                prop_assert!(public.iter().all(|line| !line.contains(BCRYPT)));
                prop_assert!(public.iter().all(|line| !line.contains(KEY_HASH)));
            }
            Err(problem) => {
                let line = lines.get(problem.line - 1).map_or("", |line| line);
                let columns = 1..=line.chars().count() + 1;
                prop_assert!(columns.contains(&problem.column), "{problem} of {line:?}");
            }
        }
    }

    #[test]
    fn any_keys(keys in json(), whole in any::<bool>()) {
        let keys = if whole { keys } else { json!({"keys": [keys]}) };
        let line = format!("keys {keys}");
        let _ = Document::parse(&["jwt issuer a audience b", &line]);
    }

    #[test]
    fn any_request(
        path in any::<Vec<u8>>(),
        headers in prop::collection::vec(("(authorization|x-key|a)", prop_oneof![
            any::<Vec<u8>>(),
            any::<Vec<u8>>().prop_map(|rest| [b"Basic ".to_vec(), rest].concat()),
            any::<Vec<u8>>().prop_map(|rest| [b"Bearer ".to_vec(), rest].concat()),
        ]), 0..4),
    ) {
        let sent = Sent { client: None, path, headers };
        let document = document();
        let count = |wanted| sent.headers.iter().filter(|(name, _)| name == wanted).count();
        let (credentials, keys) = (count("authorization"), count("x-key"));
        match document.policy.look(&sent) {
            Look::Elsewhere => prop_assert!(false, "clients may be anywhere"),
            Look::Exempt => prop_assert!(sent.path.starts_with(b"/open")),
            Look::Missing => prop_assert!(credentials < 2 && keys < 2),
            Look::Malformed => prop_assert!(credentials > 1 || keys > 1),
            Look::Ask(credential) => {
                prop_assert!(credential.len() <= MAX_CREDENTIAL);
                prop_assert!(document.token(&credential, NOW).is_err());
                prop_assert!(document.key(&credential).is_err());
            }
        }
    }

    #[test]
    fn any_login(text in any::<Vec<u8>>(), raw in any::<Vec<u8>>()) {
        let document = document();
        let encoded = format!("Basic {}", STANDARD.encode(&text));
        if let Ok(login) = document.login(encoded.as_bytes()) {
            prop_assert!(text.starts_with(login.user.as_bytes()));
            prop_assert!(!login.user.contains(':'));
            if let Ok(pass) = document.admit(login.user) {
                prop_assert!(pass.headers.iter().all(|(_, value)| plain(value)), "{:?}", pass);
            }
        }
        let _ = document.login(&raw);
        let _ = document.token(&raw, NOW);
    }

    #[test]
    fn any_claims(sub in json(), a in json(), extra in json(), exp in json()) {
        let document = document();
        let header = json!({"alg": "HS256", "kid": "a"});
        let claims = json!({
            "iss": "i", "aud": "shop", "exp": NOW + 1, "sub": sub, "a": [a], "b": extra,
        });
        if let Ok(pass) = document.token(signed(&header, &claims).as_bytes(), NOW) {
            prop_assert!(pass.headers.iter().all(|(_, value)| plain(value)), "{:?}", pass);
            prop_assert!(plain(&pass.user) || pass.user.len() > MAX_HEADER);
        }
        let claims = json!({"iss": "i", "aud": extra, "exp": exp, "nbf": sub});
        if let Ok(pass) = document.token(signed(&header, &claims).as_bytes(), NOW) {
            prop_assert!(pass.until.unwrap() > NOW);
        }
    }

    #[test]
    fn any_header(header in json(), member in "(alg|kid|crit|typ|jwk)", value in json()) {
        let document = document();
        let claims = json!({"iss": "i", "aud": "shop", "exp": NOW + 1});
        prop_assert!(document.token(signed(&header, &claims).as_bytes(), NOW).is_err());
        let mut header = json!({"alg": "HS256", "kid": "a"});
        header[&*member] = value;
        let passes = document.token(signed(&header, &claims).as_bytes(), NOW).is_ok();
        prop_assert_eq!(passes, matches!(&*member, "typ" | "jwk"), "{}", header);
    }
}
