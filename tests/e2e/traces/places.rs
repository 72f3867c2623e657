//! Rules, and where requests come from.

use e2e::{
    collector::{Collector, hex},
    harness::run,
};

use super::{CALLER, TRACE, assert_chain, parent, seen, traced, until_traced};
use crate::echo::Echo;

#[test]
fn rules_come_first() {
    run(async {
        let collector = Collector::start().await;
        let (mesh, app, _dyno) = traced(&collector, "0").with_dyno().await;
        until_traced(&mesh, &app).await;
        let sent = parent("01");
        let ask = async |target: &str| {
            let request = mesh.request("GET", &app.host(), target);
            Echo::of(&request.header("traceparent", &sent).send().await)
        };
        app.rules(&[
            "when path = /distrust then remove request header traceparent",
            "when path = /begin then set request header traceparent $traceparent",
            "always set request header X-Id $request_id",
            "always set request header X-Saw $app",
        ])
        .await;
        let distrusted = ask("/distrust").await;
        assert_eq!(distrusted.header("traceparent"), None);
        assert_eq!(distrusted.header("x-saw"), Some("shop"));

        let begun = ask("/begin").await;
        let (name, dyno_saw) = seen(&begun);
        assert_eq!(begun.header("x-id"), Some(&*name));
        let trace = collector.trace(&name).await;
        assert_chain(&trace, &dyno_saw);
        assert!(trace.served.parent_span_id.is_empty(), "a rule is no span");

        let (name, dyno_saw) = seen(&ask("/echo").await);
        assert_eq!(name, TRACE);
        let trace = collector.trace(TRACE).await;
        assert_chain(&trace, &dyno_saw);
        assert_eq!(hex(&trace.served.parent_span_id), CALLER);
        mesh.finish().await;
    });
}

#[test]
fn once_for_each_request() {
    run(async {
        let collector = Collector::start().await;
        let mesh = traced(&collector, "1").server(
            "location /named { try_files /none @mesh; } location @mesh { PASS }
             location /unruled { mesh_rules off; PASS }
             location /asks { auth_request /check; PASS }
             location = /check { internal; PASS proxy_pass_request_body off;
                 proxy_set_header Content-Length ''; }
             location /status { PASS proxy_intercept_errors on; error_page 404 = @mesh; }",
        );
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        until_traced(&mesh, &app).await;
        for target in ["/named/x", "/unruled", "/asks"] {
            let (name, dyno_saw) = seen(&Echo::of(&mesh.get(&app.host(), target).await));
            // Finding it makes sure that it is there once.
            let trace = collector.trace(&name).await;
            assert_chain(&trace, &dyno_saw);
        }
        let name = "0af7651916cd43dd8448eb211c80319d";
        let sent = format!("00-{name}-{CALLER}-01");
        // It comes to two locations.
        let request = mesh.request("GET", &app.host(), "/status/404");
        let answer = request.header("traceparent", &sent).send().await;
        assert_eq!(answer.status(), 404, "{answer:?}");
        let trace = collector.trace(name).await;
        assert_eq!(hex(&trace.served.parent_span_id), CALLER);
        mesh.finish().await;
    });
}
