use auth::MAX_USERS;
use serde_json::json;

use super::*;
use crate::testing::{ARGON, BCRYPT, RSA, RSA_TOKENS, SMALL, Signer, encoded};

const NOW: u64 = 1_800_000_000;

fn basic() -> Document {
    Document::parse(&[
        "# who works here",
        "basic realm \"Shop 1\"",
        &format!("user ann {BCRYPT}"),
        &format!("  user bob:{ARGON}"),
        "claim sub to X-User",
    ])
    .expect("a document")
}

fn login(text: &str) -> Vec<u8> {
    format!("Basic {}", BASE64.encode(text)).into()
}

fn problem(lines: &[&str]) -> String {
    Document::parse(lines).expect_err("a problem").to_string()
}

#[test]
fn who_has_a_password_is_in() {
    let document = basic();
    let right = |text: &str| {
        let credential = login(text);
        let login = document.login(&credential).expect("a login");
        login.is_right()
    };
    for (login, wanted) in [
        ("ann:secret", true),
        ("bob:secret", true),
        ("ann:Secret", false),
        ("ann:", false),
        ("eve:secret", false),
        (":secret", false),
        ("ann:secret:", false),
    ] {
        assert_eq!(right(login), wanted, "{login}");
    }
    let pass = document.admit("ann".into()).expect("a pass");
    let header = pass.headers.first().expect("a header");
    assert_eq!((&*header.0.spelled, &*header.1), ("X-User", "ann"));
    assert_eq!((&*pass.user, pass.until), ("ann", None));
}

/// Who has the key "open sesame".
const HOLDER: &str = "holder ci 41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

#[test]
fn who_has_a_key_is_in() {
    let lines = ["key header X-Key", HOLDER, "claim sub to X-User"];
    let document = Document::parse(&lines).expect("a document");
    let pass = document.key(b"Key open sesame").expect("a pass");
    let header = pass.headers.first().expect("a header");
    assert_eq!((&*header.0.spelled, &*header.1), ("X-User", "ci"));
    assert_eq!((&*pass.user, pass.until), ("ci", None));
    assert_eq!(document.key(b"Key open Sesame"), Err(Wrong::Nobody));
    for none in [
        &b"Key"[..],
        b"key open sesame",
        b"Basic b3BlbiBzZXNhbWU=",
        b"",
    ] {
        assert_eq!(document.key(none), Err(Wrong::Malformed));
    }
    assert_eq!(basic().key(b"Key open sesame"), Err(Wrong::Malformed));
    // While one takes the place of another.
    let other = HOLDER.replace("41", "42");
    Document::parse(&["key header X-Key", HOLDER, &other]).expect("a document");
}

#[test]
fn what_is_no_login() {
    let document = basic();
    for credential in [
        b"Basic".to_vec(),
        b"Basic ".to_vec(),
        b"Basic !!!".to_vec(),
        b"Bearer YTpi".to_vec(),
        b"".to_vec(),
        login("ann"),
        [b"Basic ".to_vec(), BASE64.encode(b"\xff:a").into()].concat(),
    ] {
        assert!(document.login(&credential).is_err(), "{credential:?}");
    }
    // Some leave out the padding, and case does not matter.
    let bare = BASE64.encode("ann:secret");
    let bare = format!("bAsIc  {}", bare.trim_end_matches('='));
    let login = document.login(bare.as_bytes()).expect("a login");
    assert!(login.is_right());
}

#[test]
fn somebody_unknown_takes_as_long_as_the_slowest() {
    let document = basic();
    let credential = login("eve:x");
    let nobody = document.login(&credential).expect("a login");
    let costs = document.secrets.users.values().map(Hash::cost);
    assert_eq!(Some(nobody.hash.cost()), costs.max());
    assert!(!nobody.may_be_remembered());
}

#[test]
fn problems_say_where_they_are() {
    let user = format!("user ann {BCRYPT}");
    for (lines, wanted) in [
        (
            &["basic", "user ann secret"][..],
            "line 2, column 10: expected the hash",
        ),
        (
            &["basic", "user ann"],
            "line 2, column 9: expected the hash",
        ),
        (&["basic"], "basic needs users"),
        (&[&user], "nothing says who may come"),
        (&["# soon"], "nothing says who may come"),
        (
            &["basic", &user, &user],
            "line 3, column 1: this user is said twice",
        ),
        (
            &["basic", "basic", &user],
            "line 2, column 1: basic is said twice",
        ),
        (&["basic realm", &user], "line 1, column 12: expected what"),
        (
            &["basic realm \"a\\\"b\"", &user],
            "line 1, column 13: a realm is",
        ),
        (
            &["basic pass now", &user],
            "line 1, column 12: expected the end",
        ),
        (
            &["basic", &user, "claim email to X-Mail"],
            "no claim but sub",
        ),
        (
            &["basic", &user, "claim sub to Host"],
            "line 3, column 14: no rule may",
        ),
        (
            &["basic", &user, "claim sub to Authorization"],
            "line 3, column 14: that is",
        ),
        (
            &["basic", &user, "claim sub to X-A", "claim sub to x-a"],
            "x-a is said twice",
        ),
        (
            &["basic", &user, "except moon full"],
            "line 3, column 8: expected method",
        ),
        (&["jwt issuer a"], "line 1, column 13: expected audience"),
        (&["jwt issuer a audience b"], "jwt needs a line with keys"),
        (&["jwt issuer a audience b", "keys"], "the keys are no JSON"),
        (
            &["jwt issuer a audience b", "keys {\"keys\":[]}"],
            "there is no key",
        ),
        (&["key"], "line 1, column 4: expected header"),
        (&["key header X-Key"], "key needs holders"),
        (
            &["key header X-Key", HOLDER, HOLDER],
            "this key is said twice",
        ),
        (
            &["key header X-Key", "holder ci my-api-key"],
            "line 2, column 11: expected the SHA-256 of a key",
        ),
        (
            &["key header X-Key", &format!("{HOLDER} x")],
            "the end of the line behind the hash",
        ),
        (
            &["client 10.0.0.0/8", HOLDER],
            "holders need a line with key",
        ),
        (
            &["key header X-Key", HOLDER, "claim sub to X-Key"],
            "X-Key is where the key is",
        ),
        (
            &["key header X-Key pass", HOLDER, "claim sub to x_key"],
            "X-Key is where the key is",
        ),
        (
            &["key header X_Key", HOLDER],
            "line 1, column 12: the name of a header for keys is",
        ),
        (
            &["key header X-Key", HOLDER, "claim email to X-Mail"],
            "no claim but sub",
        ),
        (
            &["key header Authorization", HOLDER],
            "line 1, column 12: that is",
        ),
        (&["client"], "line 1, column 7: expected an address"),
        (
            &["client 10.0.0.1/8"],
            "line 1, column 8: \"10.0.0.1/8\" has bits",
        ),
        (&["allow all"], "line 1, column 1: expected basic"),
        (&["basic\u{7}"], "a control character"),
    ] {
        let found = problem(lines);
        assert!(found.contains(wanted), "{lines:?}: {found}");
        assert!(!found.contains(&BCRYPT[7..]), "{found}");
        assert!(!found.contains("my-api-key"), "{found}");
    }
    let many: Vec<String> = (0..=MAX_USERS)
        .map(|n| format!("user u{n} {BCRYPT}"))
        .collect();
    let many: Vec<&str> = std::iter::once("basic")
        .chain(many.iter().map(|l| &**l))
        .collect();
    assert!(problem(&many).contains("at most"), "{}", problem(&many));
    let long = format!("user ann {}", "x".repeat(40_000));
    assert!(problem(&["basic", &long]).contains("bytes"));
}

/// A document with these keys, and the claims that it wants.
fn tokens(keys: &[Value]) -> Document {
    let keys = json!({ "keys": keys });
    Document::parse(&[
        "jwt issuer https://id.example audience shop other",
        "claim sub to X-User",
        "claim /realm/roles to X-Roles",
        &format!("keys {keys}"),
    ])
    .expect("a document")
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "shop", "sub": "ann", "exp": NOW + 60,
        "realm": {"roles": ["a", "b,c"]},
    })
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into()
}

#[test]
fn tokens_of_each_kind() {
    let secret = Signer::Secret(vec![7; 64]);
    let rsa: Value = serde_json::from_str(RSA).expect("JSON");
    let signers = [
        ("ES256", Signer::p256()),
        ("ES384", Signer::p384()),
        ("EdDSA", Signer::ed()),
        ("HS256", Signer::Secret(vec![8; 32])),
        ("HS512", secret),
    ];
    let mut keys: Vec<Value> = signers.iter().map(|(alg, s)| s.jwk(alg)).collect();
    keys.push(rsa);
    let document = tokens(&keys);
    for (alg, signer) in &signers {
        let token = signer.sign(&json!({"alg": alg, "kid": alg, "typ": "JWT"}), &claims());
        let pass = document.token(&bearer(&token), NOW).expect(alg);
        let headers: Vec<_> = pass
            .headers
            .iter()
            .map(|(n, v)| (&*n.spelled, &**v))
            .collect();
        assert_eq!(headers, [("X-User", "ann"), ("X-Roles", "a,b%2Cc")]);
        assert_eq!((&*pass.user, pass.until), ("ann", Some(NOW + 70)));
        // Each with the key of another.
        for (other, _) in &signers {
            if other != alg {
                let token = signer.sign(&json!({"alg": alg, "kid": other}), &claims());
                assert!(
                    document.token(&bearer(&token), NOW).is_err(),
                    "{alg} {other}"
                );
            }
        }
    }
    for (alg, token) in RSA_TOKENS {
        assert!(document.token(&bearer(token), NOW).is_ok(), "{alg}");
        let cut = &token[..token.len() - 6];
        assert_eq!(document.token(&bearer(cut), NOW), Err(Wrong::Signature));
    }
}

#[test]
fn a_key_is_used_as_it_says() {
    let signer = Signer::ed();
    let mut key = signer.jwk("a");
    key["alg"] = json!("ES256");
    let token = signer.sign(&json!({"alg": "EdDSA", "kid": "a"}), &claims());
    let refused = tokens(&[key]).token(&bearer(&token), NOW);
    assert_eq!(refused, Err(Wrong::Algorithm));
    let mut key: Value = serde_json::from_str(RSA).expect("JSON");
    key["alg"] = json!("RS512");
    let document = tokens(&[key]);
    for (alg, token) in RSA_TOKENS {
        assert_eq!(document.token(&bearer(token), NOW).is_ok(), alg == "RS512");
    }
}

#[test]
fn headers_that_lie() {
    let signer = Signer::p256();
    let rsa: Value = serde_json::from_str(RSA).expect("JSON");
    let modulus = rsa["n"].as_str().expect("a modulus");
    let public = Signer::Secret(modulus.into());
    let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(modulus)
        .expect("base64");
    let document = tokens(&[signer.jwk("a"), rsa.clone()]);
    for (signer, header, wanted) in [
        (
            &signer,
            json!({"alg": "none", "kid": "a"}),
            Wrong::Algorithm,
        ),
        (
            &signer,
            json!({"alg": "None", "kid": "rsa"}),
            Wrong::Algorithm,
        ),
        (&signer, json!({"alg": "", "kid": "a"}), Wrong::Algorithm),
        (&signer, json!({"alg": null, "kid": "a"}), Wrong::Algorithm),
        (&signer, json!({"kid": "a"}), Wrong::Algorithm),
        (
            &signer,
            json!({"alg": "ES384", "kid": "a"}),
            Wrong::Algorithm,
        ),
        (
            &signer,
            json!({"alg": "EdDSA", "kid": "a"}),
            Wrong::Algorithm,
        ),
        (
            &signer,
            json!({"alg": "HS256", "kid": "a"}),
            Wrong::Algorithm,
        ),
        (
            &signer,
            json!({"alg": "es256", "kid": "a"}),
            Wrong::Algorithm,
        ),
        (&signer, json!({"alg": "ES256"}), Wrong::Key),
        (&signer, json!({"alg": "ES256", "kid": "b"}), Wrong::Key),
        (&signer, json!({"alg": "ES256", "kid": 1}), Wrong::Key),
        (
            &signer,
            json!({"alg": "ES256", "jwk": signer.jwk("a")}),
            Wrong::Key,
        ),
        (
            &signer,
            json!({"alg": "ES256", "kid": "a", "crit": ["exp"]}),
            Wrong::Critical,
        ),
        (
            &signer,
            json!({"alg": "ES256", "kid": "a", "crit": []}),
            Wrong::Critical,
        ),
        (
            &public,
            json!({"alg": "HS256", "kid": "rsa"}),
            Wrong::Algorithm,
        ),
        (
            &Signer::Secret(raw),
            json!({"alg": "HS256", "kid": "rsa"}),
            Wrong::Algorithm,
        ),
        (
            &Signer::p256(),
            json!({"alg": "ES256", "kid": "a"}),
            Wrong::Signature,
        ),
        (
            &Signer::p384(),
            json!({"alg": "ES256", "kid": "a"}),
            Wrong::Signature,
        ),
        (&signer, json!([]), Wrong::Malformed),
    ] {
        let token = signer.sign(&header, &claims());
        assert_eq!(
            document.token(&bearer(&token), NOW),
            Err(wanted),
            "{header}"
        );
    }
}

#[test]
fn what_is_no_token() {
    let signer = Signer::p256();
    let document = tokens(&[signer.jwk("a")]);
    let header = json!({"alg": "ES256", "kid": "a"});
    let good = signer.sign(&header, &claims());
    assert!(document.token(&bearer(&good), NOW).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    for token in [
        String::new(),
        head.into(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{good}.{signature}"),
        format!("{good}=="),
        format!("{good} x"),
        format!("{head}.{body}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{head}=.{body}.{signature}"),
        good.replace('.', ".."),
        "x".repeat(MAX_CREDENTIAL + 1),
        format!("{head}.{}.{signature}", "A".repeat(MAX_CREDENTIAL)),
    ] {
        assert!(document.token(&bearer(&token), NOW).is_err(), "{token}");
    }
    // A signature of another message.
    let other = encoded(json!({"sub": "eve"}).to_string());
    let forged = format!("{head}.{other}.{signature}");
    assert_eq!(document.token(&bearer(&forged), NOW), Err(Wrong::Signature));
    let array = signer.sign(&header, &json!(["ann"]));
    assert_eq!(document.token(&bearer(&array), NOW), Err(Wrong::Malformed));
    assert_eq!(document.token(b"Basic YTpi", NOW), Err(Wrong::Malformed));
    assert_eq!(basic().token(&bearer(&good), NOW), Err(Wrong::Malformed));
}

#[test]
fn claims_that_are_not_right() {
    let signer = Signer::ed();
    let document = tokens(&[signer.jwk("a")]);
    let with = |name: &str, value: Option<Value>| {
        let mut claims = claims();
        let object = claims.as_object_mut().expect("an object");
        match value {
            Some(value) => _ = object.insert(name.into(), value),
            None => _ = object.remove(name),
        }
        let token = signer.sign(&json!({"alg": "EdDSA", "kid": "a"}), &claims);
        document.token(&bearer(&token), NOW).map(|pass| pass.until)
    };
    for (name, value, wanted) in [
        ("exp", json!(NOW - 11), Wrong::Expired),
        ("exp", json!(NOW - 10), Wrong::Expired),
        ("exp", json!(0), Wrong::Expired),
        ("exp", json!(-1), Wrong::Claims),
        ("exp", json!((NOW + 60).to_string()), Wrong::Claims),
        ("exp", json!(null), Wrong::Claims),
        ("nbf", json!(NOW + 11), Wrong::Early),
        ("nbf", json!("soon"), Wrong::Claims),
        ("iss", json!("https://id.example/"), Wrong::Issuer),
        ("iss", json!(["https://id.example"]), Wrong::Issuer),
        ("aud", json!("shops"), Wrong::Audience),
        ("aud", json!([]), Wrong::Audience),
        ("aud", json!(["a", ["shop"]]), Wrong::Audience),
        ("aud", json!({"shop": 1}), Wrong::Audience),
        ("sub", json!("ü".repeat(1_000)), Wrong::Long),
    ] {
        assert_eq!(
            with(name, Some(value.clone())),
            Err(wanted),
            "{name} {value}"
        );
    }
    for name in ["exp", "iss", "aud"] {
        assert_eq!(with(name, None), Err(Wrong::Claims), "{name}");
    }
    for (name, value) in [
        ("exp", json!(NOW - 9)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("exp", json!(1e300)),
        ("nbf", json!(NOW + 10)),
        ("aud", json!(["a", "other"])),
        ("iat", json!("whenever")),
        ("sub", json!("a\r\nX: y")),
    ] {
        assert!(with(name, Some(value.clone())).is_ok(), "{name} {value}");
    }
    assert!(with("sub", None).is_ok(), "then there is no such header");
    let suspicious = [Wrong::Expired, Wrong::Early, Wrong::Signature].map(Wrong::is_suspicious);
    assert_eq!(suspicious, [false, false, true]);
}

#[test]
fn keys_that_are_none() {
    let set = |key: Value| {
        let line = format!("keys {}", json!({ "keys": [key] }));
        Document::parse(&["jwt issuer a audience b", &line])
            .map(|_| ())
            .map_err(|problem| problem.to_string())
    };
    let with = |name: &str, value: Value| {
        let mut key = Signer::p256().jwk("a");
        key[name] = value;
        set(key)
    };
    for (name, value, wanted) in [
        ("kid", json!(null), "kid that is no text"),
        ("kid", json!("x".repeat(300)), "kid of more than"),
        ("x", json!("AAAA"), "not 32 bytes"),
        ("x", json!("!"), "not base64url"),
        ("d", json!("AAAA"), "is a private one"),
        ("crv", json!("P-521"), "there is no key"),
        ("use", json!("enc"), "there is no key"),
        ("key_ops", json!(["sign"]), "there is no key"),
        ("kty", json!("XX"), "there is no key"),
    ] {
        let found = with(name, value).expect_err("a problem");
        assert!(found.contains(wanted), "{name}: {found}");
    }
    assert_eq!(with("use", json!("sig")), Ok(()));
    assert_eq!(with("key_ops", json!(["verify"])), Ok(()));
    let mut no_kid = Signer::p256().jwk("a");
    no_kid.as_object_mut().expect("an object").remove("kid");
    assert!(set(no_kid).expect_err("a problem").contains("has no kid"));
    let short = Signer::Secret(vec![1; 31]).jwk("a");
    assert!(set(short).expect_err("a problem").contains("less than 32"));
    let small = json!({"kty": "RSA", "kid": "a", "n": SMALL, "e": "AQAB"});
    assert!(set(small).expect_err("a problem").contains("2048"));
    let twice = json!({"keys": [Signer::ed().jwk("a"), Signer::ed().jwk("a")]});
    let twice = format!("keys {twice}");
    let found = problem(&["jwt issuer a audience b", &twice]);
    assert!(
        found.contains("line 2, column 6: key 2 has the kid"),
        "{found}"
    );
    // One that is of no use beside one that is.
    let both = [json!({"kty": "new", "kid": "x"}), Signer::ed().jwk("a")];
    assert_eq!(tokens(&both).secrets.keys.map(|keys| keys.len()), Some(1));
    // A secret has to be as long as what it makes.
    let secret = Signer::Secret(vec![1; 32]);
    let token = secret.sign(&json!({"alg": "HS512", "kid": "a"}), &claims());
    let refused = tokens(&[secret.jwk("a")]).token(&bearer(&token), NOW);
    assert_eq!(refused, Err(Wrong::Algorithm));
}

#[test]
fn nothing_secret_is_for_routers() {
    let key = Signer::ed().jwk("a");
    let lines = [
        "# us".into(),
        "basic pass".into(),
        format!("user ann {BCRYPT}"),
        format!("\tuser bob {ARGON}"),
        "jwt issuer a audience b".into(),
        format!("keys {}", json!({ "keys": [key] })),
        "key header X-Key".into(),
        HOLDER.into(),
        "except path = /health and method GET".into(),
    ];
    let whole = Document::parse(&lines).expect("a document").policy;
    let public: Vec<_> = Policy::public(&lines).collect();
    let all = [
        "basic pass",
        "jwt issuer a audience b",
        "key header X-Key",
        "except path = /health and method GET",
    ];
    assert_eq!(public, all);
    let read = Policy::parse(&public).expect("a policy");
    assert_eq!((read.basic, read.jwt), (whole.basic, whole.jwt));
    let printed = format!("{:?}", Document::parse(&lines));
    assert!(printed.ends_with("secrets: Secrets })"), "{printed}");
}
