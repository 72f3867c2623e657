//! Tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{
    Mesh,
    harness::run,
    token::{ALGORITHMS, Issuer, jwks},
};
use serde_json::{Value, json};

use super::{basic, curl, get, user, why};
use crate::echo::Echo;

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn claims(sub: &str) -> Value {
    json!({
        "iss": "https://id.example", "aud": ["shop"], "sub": sub, "exp": now() + 600,
        "roles": ["staff", "a,b"],
    })
}

const JWT: &str = "jwt issuer https://id.example audience shop";

#[test]
fn who_has_a_token_is_in() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let (issuer, stranger) = (Issuer::new("k1"), Issuer::new("k1"));
        let host = app.host();
        let keys = format!("keys {}", jwks(&[&issuer]));
        app.auth(&[JWT, &keys, "claim sub to X-User", "claim roles to X-Roles"])
            .await;
        let answer = mesh.get(&host, "/").await;
        assert_eq!(why(&answer), (401, Some("auth-missing")));
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"shop\"")
        );
        let token = issuer.sign(&claims("ann\r\nX-Admin: 1"));
        for _ in 0..2 {
            let request = mesh
                .request("GET", &host, "/echo")
                .header("X-Roles", "admin");
            let bearer = format!("Bearer {token}");
            let answer = request.header("Authorization", &bearer).send().await;
            let seen = Echo::of(&answer);
            assert_eq!(seen.header("x-user"), Some("ann%0D%0AX-Admin: 1"));
            assert_eq!(seen.header("x-roles"), Some("staff,a%2Cb"));
            assert_eq!(seen.header("x-admin"), None);
            // It may want to look at it itself.
            assert_eq!(seen.header("authorization"), Some(&*bearer));
        }
        let with = |name: &str, value: Value| {
            let mut claims = claims("ann");
            claims[name] = value;
            issuer.sign(&claims)
        };
        for wrong in [
            stranger.sign(&claims("ann")),
            with("exp", json!(now() - 60)),
            with("nbf", json!(now() + 60)),
            with("aud", json!("blog")),
            with("iss", json!("https://evil.example")),
            format!("{token}x"),
            "x".into(),
        ] {
            let answer = get(&mesh, &host, "/", &format!("Bearer {wrong}")).await;
            assert_eq!(why(&answer), (401, Some("auth-wrong")), "{wrong}");
            let told = answer.header("www-authenticate");
            assert_eq!(told, Some("Bearer realm=\"shop\", error=\"invalid_token\""));
        }
        let (host, bearer) = (
            format!("Host: {host}"),
            format!("Authorization: Bearer {}", issuer.sign(&claims("bob"))),
        );
        let told = curl(&mesh, &["-H", &host, "-H", &bearer]).await;
        let seen: Echo = serde_json::from_str(&told).unwrap();
        assert_eq!(seen.header("x-user"), Some("bob"));
        mesh.finish().await;
    });
}

#[test]
fn whatever_a_token_is_signed_by() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let host = app.host();
        let issuers = ALGORITHMS.map(|algorithm| Issuer::by(algorithm, algorithm));
        let keys = format!("keys {}", jwks(&issuers.iter().collect::<Vec<_>>()));
        app.auth(&[JWT, &keys, "claim sub to X-User"]).await;
        for issuer in &issuers {
            let kid = &issuer.kid;
            let bearer = format!("Bearer {}", issuer.sign(&claims(kid)));
            let answer = get(&mesh, &host, "/echo", &bearer).await;
            assert_eq!(answer.status(), 200, "{kid}");
            assert_eq!(Echo::of(&answer).header("x-user"), Some(&**kid));
        }
        // One of each kind: who is wrong ten times has to wait.
        for kid in ["HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"] {
            let bearer = format!("Bearer {}", Issuer::by(kid, kid).sign(&claims(kid)));
            let answer = get(&mesh, &host, "/echo", &bearer).await;
            assert_eq!(why(&answer), (401, Some("auth-wrong")), "{kid}");
        }
        mesh.finish().await;
    });
}

#[test]
fn a_password_or_a_token() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        let issuer = Issuer::new("k1");
        let host = app.host();
        let keys = format!("keys {}", jwks(&[&issuer]));
        app.auth(&["basic realm Shop", &user("ann"), JWT, &keys])
            .await;
        let answer = mesh.get(&host, "/").await;
        let all = answer.head.headers.iter();
        let all = all.filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        let all: Vec<_> = all.map(|(_, value)| &**value).collect();
        let wanted = [
            "Basic realm=\"Shop\", charset=\"UTF-8\"",
            "Bearer realm=\"Shop\"",
        ];
        assert_eq!(all, wanted);
        for right in [
            basic("ann", "secret"),
            format!("Bearer {}", issuer.sign(&claims("bob"))),
        ] {
            assert_eq!(get(&mesh, &host, "/", &right).await.status(), 200);
        }
        mesh.finish().await;
    });
}

#[test]
fn keys_go_and_others_come() {
    run(async {
        let mesh = Mesh::builder().workers(2).web();
        let (mesh, app, _dynos) = mesh.with_dynos(2).await;
        let host = app.host();
        let (old, new) = (Issuer::new("old"), Issuer::new("new"));
        let keys = format!("keys {}", jwks(&[&old]));
        app.auth(&[JWT, &keys, "claim sub to X-User"]).await;
        let old_token = format!("Bearer {}", old.sign(&claims("ann")));
        let new_token = format!("Bearer {}", new.sign(&claims("ann")));
        let is = async |token: &str, wanted: u16| {
            for _ in 0..4 {
                assert_eq!(get(&mesh, &host, "/", token).await.status(), wanted);
            }
        };
        let push = async |issuers: &[&Issuer]| {
            let file = mesh.dir().join("jwks.json");
            std::fs::write(&file, jwks(issuers)).unwrap();
            let ran = mesh
                .ctl(&format!("app auth shop --keys {}", file.display()))
                .await;
            assert_eq!(ran.code, 0, "{ran:?}");
        };
        is(&old_token, 200).await;
        is(&new_token, 401).await;
        push(&[&old, &new]).await;
        is(&old_token, 200).await;
        is(&new_token, 200).await;
        push(&[&new]).await;
        is(&old_token, 401).await;
        is(&new_token, 200).await;
        // A token is looked at once by each worker, for each set of keys.
        let labels = [("kind", "token"), ("result", "right")];
        let looked = mesh
            .metrics()
            .await
            .sum("dynomesh_credentials_total", &labels);
        assert!(looked <= 8.0, "{looked} were looked at");
        let shown = mesh.ctl("app auth shop").await.stdout;
        assert!(
            shown.contains("claim sub to X-User") && shown.contains("\"new\""),
            "{shown}"
        );
        mesh.finish().await;
    });
}
