//! What a request is told as.

use dynomesh_proto::otlp::{Span, StatusCode};
use e2e::{
    Mesh,
    collector::{Collector, hex, said},
    harness::{closed_port, run, wait},
};

use super::{CALLER, TRACE, assert_chain, parent, seen, traced, until_traced};
use crate::{auth::user, echo::Echo};

fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref();
    status.is_some_and(|status| status.code() == StatusCode::Error)
}

#[test]
fn a_request_begins_a_trace() {
    run(async {
        let collector = Collector::start().await;
        let mesh = traced(&collector, "1").location("add_header X-Trace $mesh_trace always;");
        let (mesh, app, _dyno) = mesh.with_dyno().await;
        until_traced(&mesh, &app).await;
        let answer = mesh.get(&app.host(), "/a/b?secret=1").await;
        let (name, dyno_saw) = seen(&Echo::of(&answer));
        assert_eq!(answer.header("x-trace"), Some(&*name));
        let trace = collector.trace(&name).await;
        assert_chain(&trace, &dyno_saw);
        let served = &trace.served;
        assert!(served.parent_span_id.is_empty() && !is_error(served));
        for (key, value) in [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("url.path", "/a/b"),
            ("url.scheme", "http"),
            ("server.address", "shop.test"),
            ("network.protocol.version", "1.1"),
            ("mesh.app", "shop"),
            ("mesh.dyno", "web.1"),
            ("mesh.attempts", "1"),
        ] {
            assert_eq!(said(served, key).as_deref(), Some(value), "{key}");
        }
        assert!(said(served, "mesh.lease").is_some(), "{served:?}");
        assert!(!format!("{trace:?}").contains("secret"));
        let dyno = trace.dyno.unwrap();
        assert_eq!(said(&dyno, "peer.service").as_deref(), Some("shop"));
        assert!(served.start_time_unix_nano <= dyno.start_time_unix_nano);
        assert!(dyno.end_time_unix_nano <= served.end_time_unix_nano);
        mesh.finish().await;
    });
}

#[test]
fn a_caller_decides() {
    run(async {
        let collector = Collector::start().await;
        let (mesh, app, _dyno) = traced(&collector, "0").with_dyno().await;
        until_traced(&mesh, &app).await;
        let with = async |headers: &[(&str, &str)]| {
            let mut request = mesh.request("POST", &app.host(), "/echo").body("x");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            Echo::of(&request.send().await)
        };
        // Who is in no trace begins none, nor does what nobody understands.
        assert_eq!(with(&[]).await.header("traceparent"), None);
        let odd = with(&[("traceparent", "00-x"), ("tracestate", "a=1")]).await;
        assert_eq!(odd.header("traceparent"), Some("00-x"));
        let unwanted = parent("00");
        let echo = with(&[("traceparent", &unwanted)]).await;
        assert_eq!(echo.header("traceparent"), Some(&*unwanted));
        assert!(collector.find(TRACE).is_none());

        let echo = with(&[("TraceParent", &parent("01")), ("tracestate", "a=1,b=2")]).await;
        let (name, dyno_saw) = seen(&echo);
        assert_eq!(name, TRACE);
        assert_eq!(echo.header("tracestate"), Some("a=1,b=2"));
        let headers = echo.headers.iter();
        let named = headers.filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        assert_eq!(named.count(), 1);
        let trace = collector.trace(TRACE).await;
        assert_chain(&trace, &dyno_saw);
        assert_eq!(hex(&trace.served.parent_span_id), CALLER);
        assert_eq!(trace.served.name, "POST");
        mesh.finish().await;
    });
}

#[test]
fn a_wait_is_told() {
    run(async {
        let collector = Collector::start().await;
        let (mesh, app, dyno) = traced(&collector, "1").with_dyno().await;
        until_traced(&mesh, &app).await;
        let request = mesh.request("GET", &app.host(), "/hold");
        let mut held = request.start().await.unwrap();
        app.until_load(1, 0).await;
        let request = mesh.request("GET", &app.host(), "/echo");
        let mut waits = request.start().await.unwrap();
        wait::until("it has waited", async || {
            app.status().await.oldest_wait_ms >= 5
        })
        .await;
        dyno.release().await;
        assert_eq!(held.response().await.unwrap().status(), 200);
        let (name, dyno_saw) = seen(&Echo::of(&waits.response().await.unwrap()));
        let trace = collector.trace(&name).await;
        assert_chain(&trace, &dyno_saw);
        let (waited, with) = (trace.wait.unwrap(), trace.dyno.unwrap());
        assert_eq!(waited.name, "wait");
        assert_eq!(waited.end_time_unix_nano, with.start_time_unix_nano);
        mesh.finish().await;
    });
}

#[test]
fn what_goes_wrong_is_told() {
    run(async {
        let collector = Collector::start().await;
        let (mesh, app, _dyno) = traced(&collector, "0").with_dyno().await;
        until_traced(&mesh, &app).await;
        let empty = mesh.app("empty").await;
        let shut = mesh.app("shut").await;
        shut.auth(&["basic", &user("ann")]).await;
        // Each in a trace of its own: nobody tells their names otherwise.
        let ask = async |host: &str, target: &str, number: u32| {
            let name = format!("{number:032x}");
            let parent = format!("00-{name}-{CALLER}-01");
            let request = mesh.request("GET", host, target);
            let answer = request.header("traceparent", &parent).send().await;
            (answer.status(), collector.trace(&name).await)
        };
        let code = |span: &Span| said(span, "mesh.error");

        let (status, trace) = ask(&empty.host(), "/", 1).await;
        assert_eq!((status, code(&trace.served).as_deref()), (503, Some("H81")));
        assert!(is_error(&trace.served) && trace.dyno.is_none());
        assert_eq!(said(&trace.served, "error.type").as_deref(), Some("H81"));

        let (status, trace) = ask("nobody.test", "/", 2).await;
        assert_eq!(
            (status, code(&trace.served).as_deref()),
            (404, Some("no-app"))
        );
        assert!(!is_error(&trace.served));

        let (status, trace) = ask(&shut.host(), "/", 3).await;
        assert_eq!(status, 401);
        assert_eq!(code(&trace.served).as_deref(), Some("auth-missing"));
        assert_eq!(said(&trace.served, "mesh.app").as_deref(), Some("shut"));

        let (status, trace) = ask(&app.host(), "/close", 4).await;
        assert_eq!((status, code(&trace.served).as_deref()), (503, Some("H13")));
        assert!(is_error(&trace.served) && is_error(&trace.dyno.unwrap()));

        let (status, trace) = ask(&app.host(), "/status/404", 5).await;
        assert_eq!((status, code(&trace.served)), (404, None));
        assert!(!is_error(&trace.served));
        mesh.finish().await;
    });
}

#[test]
fn another_try_is_told() {
    run(async {
        let collector = Collector::start().await;
        let mesh = traced(&collector, "1").start().await;
        let app = mesh.app("shop").await;
        let _dyno = app.dyno("good").await;
        until_traced(&mesh, &app).await;
        app.register("bad", &closed_port().address).await;
        let request = mesh.request("GET", &app.host(), "/echo");
        let mut twice = None;
        for _ in 0..20 {
            let (name, dyno_saw) = seen(&Echo::of(&request.send().await));
            let trace = collector.trace(&name).await;
            assert_chain(&trace, &dyno_saw);
            if said(&trace.served, "mesh.attempts").as_deref() == Some("2") {
                twice = trace.dyno;
                break;
            }
        }
        let twice = twice.expect("one of two is tried first");
        assert_eq!(
            said(&twice, "http.request.resend_count").as_deref(),
            Some("1")
        );
        assert_eq!(said(&twice, "mesh.dyno").as_deref(), Some("good"));
        mesh.finish().await;
    });
}

#[test]
fn nothing_is_traced_that_nobody_asked_for() {
    run(async {
        let (mesh, app, _dyno) = Mesh::builder().web().with_dyno().await;
        for _ in 0..5 {
            let plain = Echo::of(&mesh.get(&app.host(), "/echo").await);
            assert_eq!(plain.header("traceparent"), None);
            let sent = parent("01");
            let request = mesh.request("GET", &app.host(), "/echo");
            let echo = Echo::of(&request.header("traceparent", &sent).send().await);
            assert_eq!(echo.header("traceparent"), Some(&*sent));
        }
        let metrics = mesh.metrics().await;
        assert_eq!(metrics.all("dynomesh_spans_total", &[]).count(), 0);
        mesh.finish().await;
    });
}
