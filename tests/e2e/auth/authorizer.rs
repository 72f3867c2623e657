//! Whom the operator named decides.

use e2e::{
    Mesh,
    authorizer::{Authorizer, allowed, denied},
    harness::run,
};

use tonic::transport::{Identity, ServerTlsConfig};

use super::{basic, get, user, why};
use crate::{echo::Echo, log::secure::Authority};

#[test]
fn an_authorizer_decides() {
    run(async {
        let authorizer = Authorizer::start(|check| {
            let request = check.request.as_ref().unwrap();
            match &*request.target {
                b"/no" => denied(false),
                b"/once" => allowed(&[], 0),
                _ => allowed(&[("X-Plan", "gold"), ("X-Admin", "1")], 60_000),
            }
        })
        .await;
        let place = format!("corp=http://{}", authorizer.address);
        let mesh = Mesh::builder().web().sidecar(&["--authorizers", &place]);
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        let host = app.host();
        app.auth(&["authorizer corp shown Cookie X-Key sets X-Plan"])
            .await;
        let ask = async |target: &str, key: &str| {
            let request = mesh.request("GET", &host, target);
            let request = request
                .header("X-Key", key)
                .header("X-Plan", "free")
                .header("X-Secret", "s");
            request.send().await
        };
        for _ in 0..5 {
            let seen = Echo::of(&ask("/a?b=c", "k").await);
            assert_eq!(seen.header("x-plan"), Some("gold"));
            assert_eq!(seen.header("x-admin"), None, "the app does not let it");
        }
        let asked = authorizer.asked();
        assert_eq!(asked.len(), 1, "it is known what it said");
        assert_eq!((&*asked[0].app, &*asked[0].client), ("shop", "127.0.0.1"));
        let shown = asked[0].request.as_ref().unwrap();
        assert_eq!((&*shown.method, &*shown.host), ("GET", &*host));
        assert_eq!(shown.target, b"/a?b=c");
        let headers: Vec<_> = shown
            .headers
            .iter()
            .map(|h| (&*h.name, &*h.value))
            .collect();
        assert_eq!(headers, [("x-key", &b"k"[..])]);
        // Whatever it is shown makes a difference.
        assert_eq!(ask("/a?b=c", "other").await.status(), 200);
        assert_eq!(ask("/a?b=d", "k").await.status(), 200);
        assert_eq!(authorizer.asked().len(), 3);
        for _ in 0..2 {
            assert_eq!(why(&ask("/no", "k").await), (403, Some("auth-denied")));
            assert_eq!(ask("/once", "k").await.status(), 200);
        }
        assert_eq!(authorizer.asked().len(), 7);
        let long = "k".repeat(7_000);
        let cookie = mesh
            .request("GET", &host, "/")
            .header("Cookie", &long)
            .send()
            .await;
        assert_eq!(cookie.status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn after_a_password_and_while_it_is_away() {
    run(async {
        let authorizer = Authorizer::start(|check| match &*check.user {
            "ann" => allowed(&[], 0),
            _ => denied(true),
        })
        .await;
        let place = format!("corp=http://{}", authorizer.address);
        let mesh = Mesh::builder().sidecar(&["--authorizers", &place]);
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        let host = app.host();
        let (ann, bob) = (user("ann"), user("bob"));
        app.auth(&["basic", &ann, &bob, "authorizer corp"]).await;
        let with =
            async |name: &str, password: &str| get(&mesh, &host, "/", &basic(name, password)).await;
        assert_eq!(with("ann", "secret").await.status(), 200);
        assert_eq!(why(&with("bob", "secret").await), (401, Some("auth-wrong")));
        let asked = authorizer.asked();
        assert_eq!(
            (&*asked[0].user, &*asked[0].claims),
            ("ann", "{\"sub\":\"ann\"}")
        );
        // Nobody is asked about who is wrong already.
        assert_eq!(why(&with("ann", "wrong").await), (401, Some("auth-wrong")));
        assert_eq!(authorizer.asked().len(), 2);
        authorizer.stop().await;
        assert_eq!(why(&with("ann", "secret").await), (503, Some("auth-away")));
        app.auth(&["basic", &ann, &bob, "authorizer corp open"])
            .await;
        assert_eq!(with("ann", "secret").await.status(), 200);
        assert_eq!(why(&with("ann", "wrong").await), (401, Some("auth-wrong")));
        app.auth(&["authorizer nobody"]).await;
        assert_eq!(why(&mesh.get(&host, "/").await), (503, Some("auth-away")));
        mesh.finish().await;
    });
}

#[test]
fn it_shows_who_it_is() {
    run(async {
        let (authority, stranger) = (Authority::new("one"), Authority::new("another"));
        let (chain, key) = authority.issue();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key));
        let authorizer = Authorizer::start_with(Some(tls), |_| allowed(&[], 0)).await;
        let place = format!("corp=https://localhost:{}", authorizer.address.port());
        for (trusted, wanted) in [
            (&authority, (200, None)),
            (&stranger, (503, Some("auth-away"))),
        ] {
            let mesh = Mesh::builder().sidecar(&["--authorizers", &place]).file(
                "--authorizer-tls-ca",
                "authz-ca.pem",
                trusted.pem(),
            );
            let (mesh, app, _dyno) = mesh.with_dyno().await;
            app.auth(&["authorizer corp"]).await;
            assert_eq!(why(&mesh.get(&app.host(), "/").await), wanted);
            mesh.finish().await;
        }
        assert_eq!(authorizer.asked().len(), 1);
    });
}
