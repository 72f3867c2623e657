//! What a rule does.

use e2e::{Mesh, harness::run};

use crate::echo::Echo;

#[test]
fn headers_to_the_dyno() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        app.rules(&[
            "always set request header X-Set \"a b\", set request header Accept text/plain",
            "always add request header X-More 2, remove request header X-Gone",
            "always rename request header X-Old X-New, remove request header Accept-Language",
            "always set request header X-Client \"$client_addr $host $app $scheme $path?$args\"",
            "when path ~ ^/u/([a-z]+)/ then set request header X-User $1",
            "when not header traceparent present then set request header traceparent $traceparent",
            "always set request header X-Id $request_id",
        ])
        .await;
        for _ in 0..3 {
            let request = mesh
                .request("GET", &app.host(), "/u/ann/x%20y?q=1")
                .header("Accept", "text/html")
                .header("X-Gone", "1")
                .header("Accept", "image/png")
                .header("X-More", "1")
                .header("X-Old", "first")
                .header("X-Gone", "2")
                .header("X-Old", "second")
                .header("Accept-Language", "en")
                .header("X-Stays", "here");
            let seen = Echo::of(&request.send().await);
            let all = |name: &str| -> Vec<&str> {
                let same = seen.headers.iter();
                let same = same.filter(|(given, _)| given.eq_ignore_ascii_case(name));
                same.map(|(_, value)| value.as_str()).collect()
            };
            assert_eq!(all("x-set"), ["a b"]);
            assert_eq!(all("accept"), ["text/plain"]);
            assert_eq!(all("x-more"), ["1", "2"]);
            assert_eq!(all("x-gone"), [""; 0]);
            assert_eq!(all("accept-language"), [""; 0]);
            assert_eq!(all("x-old"), [""; 0]);
            assert_eq!(all("x-new"), ["first", "second"]);
            assert_eq!(all("x-stays"), ["here"]);
            assert_eq!(all("x-user"), ["ann"]);
            let (trace, id) = (all("traceparent")[0], all("x-id")[0]);
            assert!(
                trace.starts_with(&format!("00-{id}-")) && trace.len() == 55,
                "{trace} {id}"
            );
            assert_eq!(
                all("x-client"),
                ["127.0.0.1 shop.test shop http /u/ann/x%20y?q=1"]
            );
        }
        mesh.finish().await;
    });
}

#[test]
fn headers_to_the_client() {
    run(async {
        let (mesh, app, _dyno) = Mesh::with_dyno().await;
        app.rules(&[
            "always set response header X-Frame-Options DENY, remove response header X-Powered-By",
            "always set response header Content-Type text/x-other, remove response header Server",
            "always rename response header X-Old X-New, add response header X-More $request_id",
            "always remove response header ETag, set response header Last-Modified never",
        ])
        .await;
        let target = "/header?X-Powered-By=x&X-Frame-Options=a&X-Old=1&X-More=1&ETag=e\
                      &Last-Modified=Thu,%2001%20Jan%201970%2000:00:00%20GMT&Content-Type=text/html";
        let answer = mesh.get(&app.host(), target).await;
        assert_eq!(answer.status(), 200);
        let all = |name: &str| -> Vec<&str> {
            let same = answer.head.headers.iter();
            let same = same.filter(|(given, _)| given.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(all("x-frame-options"), ["DENY"]);
        assert_eq!(all("x-powered-by"), [""; 0]);
        assert_eq!(all("server"), [""; 0]);
        assert_eq!(all("etag"), [""; 0]);
        assert_eq!(all("last-modified"), ["never"]);
        assert_eq!(all("content-type"), ["text/x-other"]);
        assert_eq!(all("x-old"), [""; 0]);
        assert_eq!(all("x-new"), ["1"]);
        let more = all("x-more");
        assert!(more.len() == 2 && more[1].len() == 32, "{more:?}");
        assert_eq!(all("date").len(), 1);
        mesh.finish().await;
    });
}

#[test]
fn redirects_and_denials() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        app.rules(&[
            "# what moved",
            "always set response header X-Rules on",
            "when path ~ ^/old/(.*)$ then redirect 301 https://$host/new/$1?$args",
            "when path = /here then redirect 307 /there",
            "when path ^= /away then redirect 302 /$path",
            "when path = /secret then deny",
            "when path = /gone then deny 410",
        ])
        .await;
        let host = app.host();
        let answer = mesh.get(&host, "/old/a%0d%0ab?x=1").await;
        let to = "https://shop.test/new/";
        assert_eq!(
            answer.status(),
            200,
            "a line break is no part of a path: {answer:?}"
        );
        let answer = mesh.get(&host, "/old/a%20b?x=1").await;
        assert_eq!(answer.status(), 301);
        assert_eq!(answer.header("location"), Some(&*format!("{to}a%20b?x=1")));
        assert_eq!(answer.header("x-rules"), Some("on"));
        let request = mesh.request("POST", &host, "/here").id("moved");
        let answer = request.body("0123456789").send().await;
        assert_eq!(answer.status(), 307);
        let there = answer.header("location").unwrap();
        assert!(there.ends_with("/there"), "{there}");
        assert_eq!(mesh.logged("moved").await.rule, "4");
        // Nobody is sent to another host by slashes.
        let answer = mesh.get(&host, "/away//evil.example").await;
        let location = answer.header("location").unwrap();
        assert!(location.ends_with("/away/evil.example"), "{location}");
        let answer = mesh
            .request("POST", &host, "/secret")
            .body("x")
            .send()
            .await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.header("x-mesh-error"), None);
        assert_eq!(mesh.get(&host, "/gone").await.status(), 410);
        assert_eq!(dyno.figures().await.total, 1);
        mesh.finish().await;
    });
}

#[test]
fn another_app() {
    run(async {
        let mesh = Mesh::start().await;
        let (shop, next) = (mesh.app("shop").await, mesh.app("next").await);
        let _dynos = (shop.dyno("web.1").await, next.dyno("web.1").await);
        // Rules of the one that is chosen are not looked at.
        next.rules(&["always deny"]).await;
        shop.rules(&[
            "when header x-canary = yes then app next",
            "when share 30% by cookie user then app next",
            "when path = /nobody then app nobody",
        ])
        .await;
        let request = mesh.request("GET", &shop.host(), "/echo");
        let canary = request.clone().header("X-Canary", "yes").id("canary");
        assert_eq!(Echo::of(&canary.send().await).app, "next");
        let entry = mesh.logged("canary").await;
        assert_eq!(
            (&*entry.app, &*entry.rule_app, &*entry.rule),
            ("next", "next", "1")
        );
        let mut some = 0;
        for user in 0..60 {
            let request = request.clone().header("Cookie", &format!("user={user}"));
            let app = Echo::of(&request.send().await).app;
            assert_eq!(Echo::of(&request.send().await).app, app, "it stays");
            some += u32::from(app == "next");
        }
        assert!((5..35).contains(&some), "{some} of 60");
        let answer = mesh.get(&shop.host(), "/nobody").await;
        assert_eq!(
            (answer.status(), answer.header("x-mesh-error")),
            (404, Some("no-app"))
        );
        assert_eq!(mesh.get(&next.host(), "/").await.status(), 403);
        // What a client sends is no such name.
        assert_eq!(mesh.get("@next", "/").await.status(), 400);
        mesh.finish().await;
    });
}

#[test]
fn a_share_by_chance() {
    run(async {
        let mesh = Mesh::builder().workers(2).start().await;
        let (shop, next) = (mesh.app("shop").await, mesh.app("next").await);
        let _dynos = (shop.dyno("web.1").await, next.dyno("web.1").await);
        shop.rules(&["when share 25% then app next"]).await;
        let mut some = 0;
        for _ in 0..400 {
            some += u32::from(Echo::of(&mesh.get(&shop.host(), "/echo").await).app == "next");
        }
        // 100 expected; 5 standard deviations are 43.
        assert!((57..=143).contains(&some), "{some} of 400");
        mesh.finish().await;
    });
}

#[test]
fn a_key_that_is_known_by_its_hash() {
    run(async {
        let (mesh, app, dyno) = Mesh::with_dyno().await;
        app.rules(&[
            // "yes"
            "when not header x-api-key sha256 8a798890fe93817163b10b5f7bd2ca4d25d84c52739a645a889c173eee7d9d3d then \
             set response header WWW-Authenticate Key, deny 401",
            "always remove request header X-Api-Key",
        ])
        .await;
        let request = mesh.request("GET", &app.host(), "/echo");
        for key in [None, Some("no"), Some("Yes"), Some("")] {
            let request = request.clone();
            let request = match key {
                Some(key) => request.header("X-Api-Key", key),
                None => request,
            };
            let answer = request.send().await;
            assert_eq!(answer.status(), 401, "{key:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Key"));
        }
        assert_eq!(dyno.figures().await.total, 0);
        let seen = Echo::of(&request.header("X-Api-Key", "yes").send().await);
        assert_eq!(seen.header("x-api-key"), None);
        mesh.finish().await;
    });
}
