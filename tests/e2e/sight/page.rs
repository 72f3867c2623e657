//! The page, and what it asks for.

use dynomesh_proto::v1::operation::Kind;
use e2e::{
    Mesh,
    harness::{run, wait},
};
use serde_json::Value;

async fn json(mesh: &Mesh, target: &str) -> Value {
    let answer = mesh.look(target).await;
    assert_eq!(answer.status(), 200, "{target}: {answer:?}");
    answer.json()
}

#[test]
fn apps_come_in_pages_and_are_found() {
    run(async {
        let mesh = Mesh::builder().web().start().await;
        for n in 0..120 {
            mesh.app(&format!("app-{n:03}")).await;
        }
        let shop = mesh.app("shop").await;
        let dyno = shop.dyno("web.1").await;
        let mut held = mesh
            .request("GET", &shop.host(), "/hold")
            .start()
            .await
            .unwrap();
        dyno.until_now(1).await;
        let mut waits = mesh
            .request("GET", &shop.host(), "/")
            .start()
            .await
            .unwrap();
        shop.until_load(1, 1).await;

        let names = |list: &Value| {
            let apps = list["apps"].as_array().unwrap().iter();
            apps.map(|app| app["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        // A look may be a second old.
        let first = wait::some(wait::LIMIT, "it is seen to be busy", async || {
            let list = json(&mesh, "/api/apps").await;
            (list["apps"][0]["waiting"] == 1).then_some(list)
        })
        .await;
        assert_eq!(
            (&first["found"], names(&first).len()),
            (&Value::from(121), 50)
        );
        let row = &first["apps"][0];
        assert_eq!(
            (&row["name"], &row["in_flight"]),
            (&"shop".into(), &1.into())
        );
        assert_eq!(row["dynos"][0]["load"], 1, "{row}");
        let mut all = Vec::new();
        for page in 0..4 {
            all.extend(names(
                &json(&mesh, &format!("/api/apps?order=name&page={page}")).await,
            ));
        }
        assert_eq!(all.len(), 121);
        assert!(all.is_sorted(), "{all:?}");
        let found = json(&mesh, "/api/apps?search=p-01&order=name").await;
        assert_eq!(names(&found).len(), 10);
        let none = json(&mesh, "/api/apps?search=p-01&page=99999999999").await;
        assert!(names(&none).is_empty());
        for odd in ["/api/apps?order=size", "/api/apps?page=-1"] {
            assert_eq!(mesh.look(odd).await.status(), 400, "{odd}");
        }

        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        assert_eq!(waits.response().await.unwrap().status(), 200);
        mesh.finish().await;
    });
}

#[test]
fn one_app_is_shown_whole() {
    run(async {
        let mesh = Mesh::builder().web().workers(2).start().await;
        let app = mesh.app("shop").await;
        let _dynos = app.dynos(2).await;
        mesh.get(&app.host(), "/").await;
        mesh.get("nobody.test", "/").await;
        app.apply(vec![Kind::SetMaintenance(true)]).await;
        mesh.get(&app.host(), "/").await;
        mesh.until_metrics("all are counted", |metrics| {
            metrics.requests().values().sum::<u64>() == 3
        })
        .await;
        let shop = json(&mesh, "/api/apps/shop").await;
        assert_eq!(
            (&shop["capacity"], &shop["maintenance"]),
            (&2.into(), &true.into())
        );
        assert_eq!(shop["domains"][0], "shop.test");
        let errors: Vec<_> = shop["answers"].as_array().unwrap().iter().collect();
        assert!(
            errors
                .iter()
                .any(|row| row["error"] == "H80" && row["status"] == "503")
        );
        assert_eq!(mesh.look("/api/apps/nobody").await.status(), 404);
        assert_eq!(mesh.look("/api/apps/nobody/requests").await.status(), 404);

        let all = json(&mesh, "/api/overview").await;
        assert_eq!((&all["ready"], &all["dynos"]), (&true.into(), &2.into()));
        assert_eq!(all["workers"].as_array().unwrap().len(), 2, "{all}");
        wait::until("what went wrong is shown", async || {
            let all = json(&mesh, "/api/overview").await;
            let errors = all["errors"].as_array().unwrap();
            ["H80", "no-app"]
                .iter()
                .all(|code| errors.iter().any(|row| row["error"] == *code))
        })
        .await;
        let all = json(&mesh, "/api/overview").await;
        let failures = all["failures"].as_array().unwrap();
        for (app, error) in [(Value::from("shop"), "H80"), (Value::Null, "no-app")] {
            let is_it = |row: &&Value| row["app"] == app && row["error"] == error;
            let row = failures.iter().find(is_it).expect("it is among the last");
            assert_eq!(row["requests"], 1, "{row}");
        }
        assert_eq!(
            (&all["taps"], &all["members"]),
            (&Value::Array(vec![]), &Value::Null)
        );
        for name in ["requests", "load"] {
            let chart = mesh
                .look(&format!("/charts/{name}.svg?width=300&height=120"))
                .await;
            assert_eq!(chart.header("content-type"), Some("image/svg+xml"));
            assert!(chart.text().starts_with("<svg"), "{chart:?}");
        }
        assert_eq!(
            mesh.look("/charts/x.svg?width=1&height=1").await.status(),
            404
        );
        mesh.finish().await;
    });
}

#[test]
fn nothing_on_it_comes_from_elsewhere() {
    run(async {
        let mesh = Mesh::builder().web().start().await;
        for target in [
            "/",
            "/page.css",
            "/page.js",
            "/show.js",
            "/requests.js",
            "/text.js",
        ] {
            let answer = mesh.look(target).await;
            assert_eq!(answer.status(), 200, "{target}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(!answer.text().contains("://"), "{target}");
        }
        mesh.finish().await;
    });
}
