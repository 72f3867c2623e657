//! A browser, as people have it.

use std::time::Duration;

use e2e::{
    App, Mesh,
    authorizer::{Authorizer, allowed, denied},
    harness::{Browser, run_within},
    token::{Issuer, jwks},
};
use serde_json::json;

use super::user;

const LIMIT: Duration = Duration::from_secs(180);
const DESK: (u32, u32) = (1_280, 900);

/// What every browser takes for this host, whatever resolves names.
const HOST: &str = "shop.localhost";

async fn browser(mesh: &Mesh) -> Browser {
    Browser::start(&mesh.dir().join("browser")).await
}

/// A page of the app, as somebody comes to it who says this before the host.
async fn show(page: &mut Browser, mesh: &Mesh, who: &str, path: &str) {
    let port = mesh.nginx.address.port();
    page.show(&format!("http://{who}{HOST}:{port}{path}"), DESK, false)
        .await;
}

/// What a script on the page gets: the status, and why or who.
async fn fetched(page: &mut Browser, path: &str, headers: &str) -> (i64, String) {
    let script = format!(
        "fetch({path:?}, {{ headers: {headers} }}).then(async answer => [answer.status,
            answer.headers.get('X-Mesh-Error') ?? (await answer.json()).headers
                .find(([name]) => name.toLowerCase() === 'x-user')?.[1] ?? ''])"
    );
    let told = page.value(&script).await;
    let status = told[0].as_i64().unwrap();
    (status, told[1].as_str().unwrap().to_owned())
}

/// Whether a websocket opens.
async fn opens(page: &mut Browser) -> bool {
    let script = "new Promise(is => { const socket = new WebSocket(`ws://${location.host}/ws`);
        socket.onopen = () => is(true); socket.onerror = () => is(false); })";
    page.value(script).await == true
}

async fn start(mesh: &Mesh) -> (App, e2e::Dyno) {
    let app = mesh.app("shop").await;
    app.add_domain(HOST).await;
    let dyno = app.dyno("web.1").await;
    (app, dyno)
}

#[test]
fn a_password_is_typed_once() {
    run_within(LIMIT, async {
        let mesh = Mesh::start().await;
        let (app, _dyno) = start(&mesh).await;
        app.auth(&[
            "basic realm \"The Shop\"",
            &user("ann"),
            "claim sub to X-User",
        ])
        .await;
        let mut page = browser(&mesh).await;
        // Who gives up sees why it is refused.
        for typed in [None, Some(("ann", "wrong"))] {
            page.sits(typed).await;
            show(&mut page, &mesh, "", "/").await;
            let code = if typed.is_some() { "wrong" } else { "missing" };
            page.until(&format!("document.body.innerText.includes('auth-{code}')"))
                .await;
        }
        page.sits(Some(("ann", "secret"))).await;
        show(&mut page, &mesh, "", "/").await;
        page.until("document.body.innerText.includes('X-User: ann')")
            .await;
        // The browser knows it from now on, for what the page loads as well.
        show(&mut page, &mesh, "", "/").await;
        page.until("document.body.innerText.includes('X-User: ann')")
            .await;
        let seen = fetched(&mut page, "/echo", "{ 'X-User': 'root' }").await;
        assert_eq!(seen, (200, "ann".to_owned()));
        assert!(opens(&mut page).await, "the same for a websocket");
        // Until the app does not know it any more.
        app.auth(&["basic realm \"The Shop\"", &user("bob")]).await;
        let seen = fetched(&mut page, "/echo", "{}").await;
        assert_eq!(seen, (401, "auth-wrong".to_owned()));
        assert!(!opens(&mut page).await);
        drop(page);
        mesh.finish().await;
    });
}

#[test]
fn scripts_have_tokens_and_keys() {
    run_within(LIMIT, async {
        let authorizer = Authorizer::start(|check| {
            let headers = &check.request.as_ref().unwrap().headers;
            match headers.iter().any(|it| it.value == b"k-1") {
                true => allowed(&[("X-User", "robot")], 0),
                false => denied(false),
            }
        })
        .await;
        let place = format!("keys=http://{}", authorizer.address);
        let mesh = Mesh::builder().sidecar(&["--authorizers", &place]);
        let mesh = mesh.start().await;
        let (app, _dyno) = start(&mesh).await;
        let issuer = Issuer::new("k1");
        let keys = format!("keys {}", jwks(&[&issuer]));
        let page_for_all = "except path = /";
        app.auth(&[
            "jwt issuer https://id.example audience shop",
            &keys,
            "claim sub to X-User",
            page_for_all,
        ])
        .await;
        let mut page = browser(&mesh).await;
        show(&mut page, &mesh, "", "/").await;
        page.until("document.body.innerText.includes('Hello from dyno')")
            .await;
        let bearer = |sub: &str, exp: u64| {
            let claims =
                json!({ "iss": "https://id.example", "aud": "shop", "sub": sub, "exp": exp });
            format!("{{ Authorization: 'Bearer {}' }}", issuer.sign(&claims))
        };
        let far = 4_000_000_000;
        for (headers, wanted) in [
            ("{}".to_owned(), (401, "auth-missing")),
            (bearer("ann", far), (200, "ann")),
            (bearer("zoë", far), (200, "zo%C3%AB")),
            (bearer("ann", 1_000), (401, "auth-wrong")),
        ] {
            let seen = fetched(&mut page, "/echo", &headers).await;
            assert_eq!((seen.0, &*seen.1), wanted, "{headers}");
        }
        assert!(!opens(&mut page).await, "a websocket has no such header");

        app.auth(&["authorizer keys shown X-Key sets X-User", page_for_all])
            .await;
        for (headers, wanted) in [
            ("{}", (403, "auth-denied")),
            ("{ 'X-Key': 'k-1' }", (200, "robot")),
            ("{ 'X-Key': 'k-2' }", (403, "auth-denied")),
        ] {
            let seen = fetched(&mut page, "/echo", headers).await;
            assert_eq!((seen.0, &*seen.1), wanted, "{headers}");
        }
        drop(page);
        mesh.finish().await;
    });
}
