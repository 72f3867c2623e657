//! Where clients may come from.

use e2e::{Mesh, client::Response, harness::run};

use super::{CLIENTS, basic, curl, user, why};

async fn from(mesh: &Mesh, host: &str, client: &str, credential: Option<&str>) -> Response {
    let request = mesh.request("GET", host, "/").header("X-Client", client);
    match credential {
        Some(credential) => request.header("Authorization", credential).send().await,
        None => request.send().await,
    }
}

#[test]
fn only_from_there() {
    run(async {
        let mesh = Mesh::builder().http(CLIENTS).workers(2);
        let (mesh, app, dynos) = mesh.with_dynos(1).await;
        let host = app.host();
        app.auth(&["client 10.0.0.0/8 2001:db8::/32", "client 192.0.2.7"])
            .await;
        for client in ["10.1.2.3", "2001:db8::1", "192.0.2.7"] {
            let answer = from(&mesh, &host, client, None).await;
            assert_eq!(answer.status(), 200, "{client}");
        }
        let before = dynos[0].figures().await.total;
        for client in ["11.1.2.3", "2001:db9::1", "192.0.2.8"] {
            let answer = from(&mesh, &host, client, None).await;
            assert_eq!(why(&answer), (403, Some("auth-denied")), "{client}");
            assert_eq!(answer.header("www-authenticate"), None);
        }
        assert_eq!(dynos[0].figures().await.total, before);
        // By the address that it is, whatever else a client says.
        let host_line = format!("Host: {host}");
        let arguments = ["-w", "%{http_code}", "-o", "/dev/null", "-H", &host_line];
        let forged = ["-H", "X-Forwarded-For: 10.1.2.3"];
        assert_eq!(
            curl(&mesh, &[&arguments[..], &forged].concat()).await,
            "403"
        );
        app.auth(&["client 127.0.0.0/8"]).await;
        assert_eq!(curl(&mesh, &arguments).await, "200");
        mesh.finish().await;
    });
}

#[test]
fn from_there_and_with_a_password() {
    run(async {
        let (mesh, app, _dynos) = Mesh::builder().http(CLIENTS).with_dynos(1).await;
        let host = app.host();
        let lines = ["client 10.0.0.0/8", "basic", &user("ann")];
        app.auth(&lines).await;
        let ann = basic("ann", "secret");
        for (client, credential, wanted) in [
            ("10.0.0.1", Some(&*ann), 200),
            ("10.0.0.1", None, 401),
            ("11.0.0.1", Some(&*ann), 403),
            ("11.0.0.1", None, 403),
        ] {
            let answer = from(&mesh, &host, client, credential).await;
            assert_eq!(answer.status(), wanted, "{client} {credential:?}");
        }
        // Either will do.
        let open = ["basic", &user("ann"), "except client 10.0.0.0/8"];
        app.auth(&open).await;
        for (client, credential, wanted) in [
            ("10.0.0.1", None, 200),
            ("11.0.0.1", Some(&*ann), 200),
            ("11.0.0.1", None, 401),
        ] {
            let answer = from(&mesh, &host, client, credential).await;
            assert_eq!(answer.status(), wanted, "{client} {credential:?}");
        }
        mesh.finish().await;
    });
}
