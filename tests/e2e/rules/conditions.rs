//! When a rule holds, with requests as Nginx reads them.

use e2e::{Mesh, client::Request, harness::run};

/// What is asked, and whether it is denied.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

async fn check(condition: &str, cases: &[Case]) {
    let (mesh, app, _dyno) = Mesh::with_dyno().await;
    app.rules(&[&format!("when {condition} then deny 410")])
        .await;
    for (line, headers, denied) in cases {
        let (method, target) = line.split_once(' ').unwrap();
        let request = mesh.request(method, &app.host(), target);
        let request = headers
            .iter()
            .fold(request, |request: Request, (name, value)| {
                request.header(name, value)
            });
        let wanted = if *denied { 410 } else { 200 };
        assert_eq!(
            request.send().await.status(),
            wanted,
            "{condition}: {line} {headers:?}"
        );
    }
    mesh.finish().await;
}

#[test]
fn by_method() {
    run(check(
        "method POST PUT",
        &[
            ("POST /", &[], true),
            ("PUT /", &[], true),
            ("GET /", &[], false),
        ],
    ));
}

#[test]
fn by_path() {
    run(async {
        check(
            "path = /old",
            &[
                ("GET /old", &[], true),
                ("GET /old?a=b", &[], true),
                ("GET //old", &[], true),
                ("GET /x/../%6fld", &[], true),
                ("GET /older", &[], false),
            ],
        )
        .await;
        check(
            "path ^= /admin/",
            &[
                ("GET /admin/x", &[], true),
                ("GET /administrator", &[], false),
            ],
        )
        .await;
        check(
            "path ~* ^/(a|b)[0-9]+$",
            &[("GET /B12", &[], true), ("GET /c12", &[], false)],
        )
        .await;
    });
}

#[test]
fn by_header_and_cookie() {
    run(async {
        check(
            "header x-beta present and not header x-beta = no",
            &[
                ("GET /", &[("X-Beta", "yes")], true),
                ("GET /", &[("X-BETA", "")], true),
                ("GET /", &[("X-Beta", "no")], false),
                ("GET /", &[], false),
            ],
        )
        .await;
        check(
            "header user-agent ~ ^Bot/",
            &[
                ("GET /", &[("User-Agent", "Bot/1.0")], true),
                ("GET /", &[("User-Agent", "curl")], false),
            ],
        )
        .await;
        check(
            "cookie beta = on",
            &[
                ("GET /", &[("Cookie", "a=b; beta=on")], true),
                ("GET /", &[("Cookie", "a=b"), ("Cookie", "beta=on")], true),
                ("GET /", &[("Cookie", "alphabeta=on")], false),
            ],
        )
        .await;
    });
}

#[test]
fn by_query_and_client() {
    run(async {
        check(
            "query q = \"a b\"",
            &[
                ("GET /?x=1&q=a%20b", &[], true),
                ("GET /?q=a+b", &[], true),
                ("GET /?q=a", &[], false),
            ],
        )
        .await;
        check("client 10.0.0.0/8 127.0.0.0/8", &[("GET /", &[], true)]).await;
        check("client 10.0.0.0/8 ::/0", &[("GET /", &[], false)]).await;
    });
}
